"""The pages about the network and the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from engine_gui.choices import asset_of, notifies, out_folder
from engine_gui.network_model import connection, flow_text, offer_rows
from engine_gui.network_page import NetworkPage
from engine_gui.settings_page import SettingsPage
from gui_kit import audit
from gui_kit.dialogs import Confirm
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from gui_kit.theme import Mode, theme
from p2p.core.errors import EnvironmentFailure
from p2p.core.money import Asset
from p2p.local.protocol import error_to_json
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui.engine_wallet.answers import network, offers

Open = Callable[[], Frame]
HOSTILE = "\x1b[2J<b>x</b>\u202e\x07"
AWAY = EnvironmentFailure(
    "coordinator_unreachable", "The coordinator does not answer.", "Jobs go on.", "Wait."
)


def texts(widget: QWidget) -> list[str]:
    return [found.text() for found in widget.findChildren(QLabel) if found.isVisible()]


def network_page(frame: Frame, qtbot: QtBot) -> NetworkPage:
    frame.go_to("Network")
    page = frame.page()
    assert isinstance(page, NetworkPage)
    qtbot.waitUntil(lambda: page.is_ready)
    return page


def test_the_way_to_a_node_has_a_word() -> None:
    direct, relayed = connection(network()).ways
    assert (direct.look.word, relayed.look.word) == ("Direct", "Relayed")
    unknown = {**network()["jobs"][0], "relayed": None, "node_peer_id": ""}
    found = connection(network(jobs=[unknown, {**unknown, "connected": False}])).ways
    assert [way.look.word for way in found] == ["Connected", "Not connected"]
    assert found[0].node == "No node yet"
    assert (direct.up, direct.down) == ("42.0 MB, 1.1 MB/s", "1.2 MB")
    assert flow_text(0, 0.0) == "0 B"


def test_a_coordinator_that_is_away_says_why() -> None:
    gone = {**network()["coordinator"], "reachable": False, "problem": error_to_json(AWAY)}
    found = connection(network(coordinator=gone, addresses=[]))
    assert found.coordinator.word == "Does not answer"
    assert found.problem == "The coordinator does not answer. Jobs go on. Wait."
    assert found.addresses == "Nowhere yet"


def test_offers_are_priced() -> None:
    rtx, cpu = offer_rows(offers())
    assert (rtx.price, rtx.free_words, rtx.memory) == ("$0.40/h", "7 / 12", "25.8 GB")
    assert (cpu.price, cpu.memory) == ("$0.05/h", "")


@pytest.mark.parametrize("size", [SMALLEST_SIZE, (1120, 720)])
def test_the_network_is_shown(open_window: Open, qtbot: QtBot, mode: Mode, size: tuple[int, int]) -> None:
    frame = open_window()
    frame.resize(*size)
    page = network_page(frame, qtbot)
    for number, listing in enumerate((page.offers, page.ways, page.peers)):
        page.tabs.setCurrentIndex(number)
        qtbot.waitUntil(lambda listing=listing: listing.table.shown.rowCount() == 2)
        assert audit.problems(frame) == []
    assert page.coordinator.text() == "Answers"


def test_nothing_there_errors_and_hostile_names(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, mode: Mode
) -> None:
    engine.answers |= {"offers": [], "network": network(jobs=[], peers=[])}
    frame = open_window()
    page = network_page(frame, qtbot)
    qtbot.waitUntil(lambda: any(text.startswith("Nobody offers a GPU") for text in texts(page)))
    assert audit.problems(frame) == []
    engine.answers["offers"] = AWAY
    named = [{**network()["jobs"][0], "name": HOSTILE, "node_peer_id": HOSTILE}]
    engine.answers["network"] = network(
        jobs=named, peers=[{"peer_id": HOSTILE, "role": HOSTILE, "host": HOSTILE}]
    )
    frame.reload()
    qtbot.waitUntil(lambda: "The coordinator does not answer.\nJobs go on.\nWait." in texts(page))
    qtbot.waitUntil(lambda: page.ways.table.shown.rowCount() == 1)
    cells = [str(page.ways.table.shown.index(0, at).data()) for at in range(5)]
    assert all(cell.isprintable() for cell in cells)
    engine.answers["network"] = AWAY
    frame.reload()
    qtbot.waitUntil(lambda: not page.is_ready)
    assert audit.problems(frame) == []


def settings_page(frame: Frame) -> SettingsPage:
    frame.go_to("Settings")
    page = frame.page()
    assert isinstance(page, SettingsPage)
    return page


@pytest.mark.parametrize("size", [SMALLEST_SIZE, (1120, 720)])
def test_settings_can_be_read(open_window: Open, qtbot: QtBot, mode: Mode, size: tuple[int, int]) -> None:
    frame = open_window()
    frame.resize(*size)
    page = settings_page(frame)
    qtbot.waitUntil(lambda: "4711" in texts(page))
    assert audit.problems(frame) == []


def test_choices_are_kept_at_once(open_window: Open, preferences: Preferences, tmp_path: Path) -> None:
    page = settings_page(open_window())
    page.modes[Mode.DARK].click()
    assert (theme().mode, preferences.mode) == (Mode.DARK, Mode.DARK)
    page.modes[Mode.LIGHT].click()
    page.notifies.click()
    assert not notifies(preferences)
    page.asset.setCurrentIndex(1)
    assert asset_of(preferences) is Asset.SOL
    page.out.line.setText("results")
    page.out.line.editingFinished.emit()
    assert page.out.problem.startswith("Name the folder by its whole path")
    page.out.line.setText(str(tmp_path))
    page.out.line.editingFinished.emit()
    assert out_folder(preferences) == tmp_path


def answered(frame: Frame, qtbot: QtBot, yes: bool) -> None:
    (dialog,) = (found for found in frame.findChildren(Confirm) if found.isVisible())
    assert audit.problems(dialog) == []
    (dialog.yes if yes else dialog.no).click()


def test_the_agent_is_stopped_only_after_a_yes_and_comes_back(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot
) -> None:
    engine.stop()
    engine.answers["stop"] = {"stopping": True}
    engine.start()
    frame = open_window()
    page = settings_page(frame)
    qtbot.waitUntil(page.stop.isEnabled)
    page.stop.click()
    answered(frame, qtbot, yes=False)
    assert engine.count("stop") == 0
    page.stop.click()
    answered(frame, qtbot, yes=True)
    qtbot.waitUntil(lambda: engine.count("stop") == 1)
    engine.stop()
    qtbot.waitUntil(lambda: frame.link.state is LinkState.STOPPED, timeout=20_000)
    assert page.restart.isEnabled()
    engine.start()
    page.restart.click()
    qtbot.waitUntil(lambda: frame.link.state is LinkState.CONNECTED, timeout=20_000)
    page.restart.click()
    answered(frame, qtbot, yes=True)
    qtbot.waitUntil(lambda: engine.count("stop") == 2)
