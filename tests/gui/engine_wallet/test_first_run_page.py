"""The first steps in the window, from nothing to a job that was sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from engine_gui.app import make_window
from engine_gui.first_run import Step
from engine_gui.first_run_page import KEPT, FirstRunPage
from gui_kit import audit
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode
from p2p.core.errors import Refused
from p2p.core.paths import Home
from p2p.engine.client import EngineClient
from p2p.local.platform import is_locked
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui.engine_wallet.answers import JOB, balance, job, plan
from tests.gui.engine_wallet.conftest import CONFIG

Open = Callable[[], Frame]
NOBODY = Refused("not_logged_in", "Nobody is logged in.", "Nothing was moved.", "Log in.")
DEADLINE_MS = 60_000


def texts(widget: QWidget) -> list[str]:
    return [found.text() for found in widget.findChildren(QLabel) if found.isVisible()]


@pytest.fixture
def newcomer(preferences: Preferences, engine: ScriptedAgent) -> None:
    """Somebody without a wallet."""
    preferences.set(KEPT, "")
    engine.answers |= {"wallet_balance": NOBODY, "jobs": []}


def steps_of(frame: Frame, qtbot: QtBot) -> FirstRunPage:
    qtbot.waitUntil(lambda: isinstance(frame.page(), FirstRunPage))
    page = frame.page()
    assert isinstance(page, FirstRunPage)
    return page


def see(qtbot: QtBot, page: QWidget, text: str) -> None:
    qtbot.waitUntil(lambda: text in texts(page), timeout=DEADLINE_MS)


@pytest.mark.usefixtures("newcomer")
def test_from_nothing_to_a_job(
    open_window: Open,
    engine: ScriptedAgent,
    qtbot: QtBot,
    mode: Mode,
    preferences: Preferences,
    tmp_path: Path,
) -> None:
    started: list[Any] = []

    async def planned(params: dict[str, Any]) -> AsyncGenerator[Any, None]:
        assert Path(params["script"]).read_text().startswith('"""')
        assert params["asset"] == "usdc"
        yield {"progress": [0, 10]}
        yield {"plan": plan()}

    engine.stop()
    engine.streams["plan"] = planned
    engine.answers["start"] = lambda params: started.append(params) or job()
    engine.start()
    preferences.set("out_folder", str(tmp_path / "results"))
    frame = open_window()
    page = steps_of(frame, qtbot)
    see(qtbot, page, "2 of 4 · Connect your wallet")
    assert audit.problems(frame) == []
    engine.answers["wallet_balance"] = balance(0)
    frame.reload()
    see(qtbot, page, "3 of 4 · Put money into escrow")
    qtbot.waitUntil(lambda: page.deposit.form.balance() is not None)
    assert audit.problems(frame) == []
    engine.answers["wallet_balance"] = balance()
    frame.reload()
    see(qtbot, page, "4 of 4 · Run a sample job")
    page.sample.prepare.setFocus()
    qtbot.keyClick(page.sample.prepare, Qt.Key.Key_Space)
    see(qtbot, page, "0.166667 USDC")
    assert {"5 files, 126 kB", "2 of 3 nodes online", "/results/sample"} <= set(texts(page))
    assert audit.problems(frame) == []
    page.sample.run.click()
    qtbot.waitUntil(lambda: started == [{"job": JOB}])
    qtbot.waitUntil(lambda: frame.page() is not page)
    assert preferences.get(KEPT) == "left"


@pytest.mark.usefixtures("newcomer")
@pytest.mark.parametrize("size", [SMALLEST_SIZE, (1120, 720)])
def test_every_step_can_be_skipped_and_taken_up_again(
    open_window: Open, qtbot: QtBot, mode: Mode, preferences: Preferences, size: tuple[int, int]
) -> None:
    frame = open_window()
    frame.resize(*size)
    page = steps_of(frame, qtbot)
    see(qtbot, page, "2 of 4 · Connect your wallet")
    page.skip.click()
    see(qtbot, page, "3 of 4 · Put money into escrow")
    assert "This needs another step first: Wallet." in texts(page)
    assert audit.problems(frame) == []
    page.skip.click()
    page.skip.click()
    assert "Skipped: Wallet, Deposit, Sample job. Choose one above to take it up again." in texts(page)
    assert page.next.text() == "Done"
    assert audit.problems(frame) == []
    assert preferences.get(KEPT) == "wallet deposit sample"
    page.step_buttons[Step.WALLET].click()
    assert "2 of 4 · Connect your wallet" in texts(page)
    assert preferences.get(KEPT) == "deposit sample"
    page.step_buttons[Step.NETWORK].click()
    assert "This computer belongs to a network." in texts(page)
    page.next.click()
    assert "2 of 4 · Connect your wallet" in texts(page)
    page.leave.click()
    assert frame.page() is not page


@pytest.mark.usefixtures("newcomer")
def test_it_goes_on_where_it_was_at_the_next_start(
    open_window: Open, qtbot: QtBot, preferences: Preferences
) -> None:
    preferences.set(KEPT, "wallet")
    page = steps_of(open_window(), qtbot)
    assert "3 of 4 · Put money into escrow" in texts(page)


def test_who_has_done_it_all_does_not_see_it(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, preferences: Preferences
) -> None:
    preferences.set(KEPT, "")
    frame = open_window()
    qtbot.waitUntil(lambda: engine.count("wallet_balance") > 0 and engine.count("jobs") > 0)
    frame.go_to("Settings")
    assert not isinstance(frame.page(), FirstRunPage)


def test_the_settings_lead_there_again(open_window: Open, qtbot: QtBot) -> None:
    frame = open_window()
    frame.go_to("Settings")
    frame.page().first_steps.click()  # type: ignore[attr-defined]
    see(qtbot, steps_of(frame, qtbot), "That is all")


@pytest.fixture
def elsewhere(tmp_path: Path, qtbot: QtBot) -> Iterator[Frame]:
    """The window of a home without a network. The agent that it starts once there is one ends with it."""
    home = Home(tmp_path / "new")
    home.engine.folder.mkdir(parents=True)
    frame = make_window(home, Preferences(home.engine.folder / "window.ini"))
    frame.link.set_auto_start(False)
    qtbot.addWidget(frame)
    frame.show()
    qtbot.waitActive(frame)
    yield frame
    if is_locked(home.engine.lock):
        trio.run(EngineClient(home).call, "stop")
        qtbot.waitUntil(lambda: not is_locked(home.engine.lock), timeout=DEADLINE_MS)


def test_a_network_is_joined_by_its_file(elsewhere: Frame, tmp_path: Path, qtbot: QtBot, mode: Mode) -> None:
    page = steps_of(elsewhere, qtbot)
    assert "1 of 4 · Choose the network" in texts(page)
    assert audit.problems(elsewhere) == []
    file = tmp_path / "network.toml"
    file.write_text("nonsense")
    page.network.start("join", str(file))
    assert not page.network.file.isEnabled()
    qtbot.waitUntil(lambda: page.network.file.isEnabled(), timeout=DEADLINE_MS)
    assert any("config.toml cannot be read" in text for text in texts(page))
    assert audit.problems(elsewhere) == []
    file.write_text(CONFIG)
    page.network.start("join", str(file))
    see(qtbot, page, "2 of 4 · Connect your wallet")
    see(qtbot, elsewhere, "localnet")
    elsewhere.close()


def test_a_plan_that_cannot_be_is_explained(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, preferences: Preferences
) -> None:
    preferences.set(KEPT, "")

    async def refused(params: dict[str, Any]) -> AsyncGenerator[Any, None]:
        raise Refused(
            "balance_too_low", "The job needs a deposit of 1 USDC.", "Nothing was paid.", "Deposit."
        )
        yield

    engine.stop()
    engine.streams["plan"] = refused
    engine.answers["jobs"] = []
    engine.start()
    page = steps_of(open_window(), qtbot)
    see(qtbot, page, "4 of 4 · Run a sample job")
    page.sample.prepare.click()
    see(qtbot, page, "The job needs a deposit of 1 USDC.\nNothing was paid.\nDeposit.")
    assert page.sample.prepare.isEnabled()
