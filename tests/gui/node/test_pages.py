"""Every page of the seller's window: with data, empty, on its way, old, broken; by keyboard; hostile text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest
import trio
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.buttons import Button
from gui_kit.dialogs import Confirm
from gui_kit.frame import FIRST_SIZE, SMALLEST_SIZE, Frame
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode
from node_gui.earnings_page import EarningsPage
from node_gui.hardware_page import HardwarePage
from node_gui.home_page import HomePage
from node_gui.job_page import JobPage
from node_gui.jobs_page import JobsPage
from node_gui.logs_page import LogsPage
from node_gui.news import CURSOR
from node_gui.window import NodeWindow
from p2p.core.earnings import By
from p2p.core.errors import EnvironmentFailure
from p2p.core.paths import Home
from p2p.testing.node_answers import CHECKS, STATUS, job
from p2p.testing.node_machine import HARDWARE
from p2p.testing.scripted_agent import ScriptedAgent

ASKS = {
    "Jobs": "jobs",
    "Earnings": "earnings",
    "Schedule": "settings",
    "Hardware": "hardware",
    "Setup checks": "check",
    "Settings": "settings",
}
PAGES = ["Home", *ASKS, "Logs"]
AWAY = EnvironmentFailure("coordinator_away", "The coordinator is away.", "Jobs go on.", "Try again later.")
HOSTILE = "\x1b[2J<img src=x onerror=alert(1)>\u202eevil\u2066" + "<b>" * 40


def go(window: Frame, title: str, qtbot: QtBot) -> None:
    window.go_to(title)
    qtbot.waitUntil(lambda: window.page().is_ready)


def press(widget: QWidget, key: Qt.Key) -> None:
    QTest.keyClick(widget, key)  # type: ignore[call-overload,unused-ignore]


def texts(part: QWidget) -> list[str]:
    return [label.text() for label in part.findChildren(QLabel) if label.isVisible() and label.text()]


@pytest.mark.parametrize("size", [SMALLEST_SIZE, FIRST_SIZE], ids=["small", "first"])
@pytest.mark.parametrize("title", PAGES)
def test_nothing_is_wrong_with_a_page(
    title: str, size: tuple[int, int], window: Frame, mode: Mode, qtbot: QtBot
) -> None:
    window.resize(*size)
    go(window, title, qtbot)
    assert audit.problems(window) == []


@pytest.mark.parametrize("title", ASKS)
def test_a_page_whose_answer_is_an_error(
    title: str, window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    node_agent.answers[ASKS[title]] = AWAY
    window.go_to(title)
    window.reload()
    qtbot.waitUntil(lambda: AWAY.what in texts(window))
    assert "Jobs go on.\nTry again later." in texts(window)
    assert audit.problems(window) == []


@pytest.mark.parametrize("title", ["Jobs", "Earnings"])
def test_a_page_without_anything_to_show(
    title: str, window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    node_agent.answers[ASKS[title]] = []
    window.go_to(title)
    window.reload()
    qtbot.waitUntil(lambda: any("yet" in text for text in texts(window)))
    assert audit.problems(window) == []


def test_what_takes_long_says_that_it_is_on_its_way(
    window: Frame, node_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    async def slowly(params: Any) -> list[Any]:
        await trio.sleep_forever()
        return []

    node_agent.answers["check"] = slowly
    window.go_to("Setup checks")
    qtbot.waitUntil(lambda: "Looking at this machine" in texts(window))
    assert audit.problems(window) == []


@pytest.mark.parametrize("title", PAGES)
def test_an_agent_that_dies_leaves_what_was_seen_and_comes_back(
    title: str, window: Frame, node_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    go(window, title, qtbot)
    before = set(texts(window.page()))
    node_agent.stop()
    qtbot.waitUntil(lambda: window.page().is_stale, timeout=20_000)
    assert before <= set(texts(window.page()))
    assert audit.problems(window) == []
    node_agent.start()
    qtbot.waitUntil(lambda: not window.page().is_stale, timeout=20_000)


def test_hostile_names_are_text(window: Frame, node_agent: ScriptedAgent, qtbot: QtBot) -> None:
    bad = job(1, name=HOSTILE, detail=HOSTILE * 100)
    node_agent.answers |= {"jobs": [bad], "status": STATUS | {"jobs": [bad], "version": 2}}
    go(window, "Jobs", qtbot)
    page = window.page()
    assert isinstance(page, JobsPage)
    qtbot.waitUntil(lambda: page.table.shown.rowCount() == 1)
    page.table.setCurrentIndex(page.table.shown.index(0, 0))
    press(page.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(window.page(), JobPage) and window.page().is_ready)
    assert audit.problems(window) == []
    for text in texts(window):
        assert all(character.isprintable() or character == "\n" for character in text)


def _is_said(window: Frame, words: str) -> bool:
    return words in texts(window)


# -- home


def home_page(window: Frame, qtbot: QtBot) -> HomePage:
    go(window, "Home", qtbot)
    page = window.page()
    assert isinstance(page, HomePage)
    return page


def test_home_says_what_runs_and_what_was_earned(window: Frame, qtbot: QtBot) -> None:
    page = home_page(window, qtbot)
    assert page.headline.text() == "2 jobs run on this machine."
    assert {"digits-1", "7:11 of at most 1:00:00", "412 MB of 1.3 GB"} <= set(texts(window))
    qtbot.waitUntil(lambda: "2.500000000 SOL" in texts(window))


def test_switching_off_asks_what_shall_become_of_the_jobs(
    window: Frame, node_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    page = home_page(window, qtbot)
    page.switch.buttons["off"].click()
    dialog = window.findChild(Confirm)
    assert dialog is not None
    qtbot.waitExposed(dialog)
    assert audit.problems(dialog) == []
    assert node_agent.count("switch") == 0
    assert page.switch.key() == "available"
    with qtbot.waitSignal(dialog.finished):
        dialog.yes.click()
    qtbot.waitUntil(lambda: ("switch", {"to": "off"}) in node_agent.asked)


def test_the_switch_is_worked_by_keyboard(window: Frame, node_agent: ScriptedAgent, qtbot: QtBot) -> None:
    page = home_page(window, qtbot)
    page.switch.buttons["available"].setFocus()
    press(page.switch.buttons["available"], Qt.Key.Key_Right)
    press(page.switch.buttons["finishing"], Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: ("switch", {"to": "finishing"}) in node_agent.asked)
    qtbot.waitUntil(page.pause.isEnabled)
    page.pause.click()
    qtbot.waitUntil(lambda: ("pause", {"for_s": 3600}) in node_agent.asked)


def test_why_nothing_runs_leads_to_where_it_is_mended(
    window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    verdict = STATUS["availability"] | {"reason": "cannot_run", "takes": False, "words": "No job image."}
    node_agent.answers["status"] = STATUS | {"availability": verdict, "jobs": [], "problem": None}
    page = home_page(window, qtbot)
    qtbot.waitUntil(lambda: page.to_checks.isVisible())
    assert page.rest.text() == "No job image."
    assert audit.problems(window) == []
    page.to_checks.click()
    assert window.page().title == "Setup checks"


# -- jobs and money


def test_a_job_is_stopped_only_after_a_question(
    window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    page = JobPage(window, f"{1:032x}/1", "digits-1")
    window.open_page(page)
    qtbot.waitUntil(lambda: page.is_ready and "about 0.097000 USDC" in texts(window))
    assert audit.problems(window) == []
    page.stop.click()
    dialog = window.findChild(Confirm)
    assert dialog is not None
    qtbot.waitExposed(dialog)
    assert audit.problems(dialog) == []
    with qtbot.waitSignal(dialog.finished):
        dialog.yes.click()
    qtbot.waitUntil(lambda: ("stop_job", {"job": f"{1:032x}"}) in node_agent.asked)


def test_earnings_by_day_as_bars_and_csv(window: Frame, mode: Mode, home: Home, qtbot: QtBot) -> None:
    go(window, "Earnings", qtbot)
    page = window.page()
    assert isinstance(page, EarningsPage)
    page.by.buttons[By.MONTH.value].click()
    assert page.bars.isVisible()
    assert audit.problems(window) == []
    page.bars.setFocus()
    press(page.bars, Qt.Key.Key_Home)
    first = page.bars.accessibleDescription()
    press(page.bars, Qt.Key.Key_Right)
    assert first != page.bars.accessibleDescription()
    path = home.root / "earnings.csv"
    page.save_to(path)
    assert path.read_text().startswith("month,asset,jobs,paid_units,paid,")
    page.save_to(home.root)
    assert any("cannot be written" in text for text in texts(window))


# -- the machine, its log, its checks


def test_hardware_over_time_and_which_gpus_are_offered(
    window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    go(window, "Hardware", qtbot)
    page = window.page()
    assert isinstance(page, HardwarePage)
    qtbot.waitUntil(lambda: page.plots is not None and bool(page.plots.use.series))
    assert page.plots is not None
    qtbot.waitUntil(lambda: len(page.plots.use.series["CPU"]) == 300)  # type: ignore[union-attr]
    assert {len(plot.series) for plot in page.plots.gpu.values()} == {2}
    assert audit.problems(window) == []
    page.cards["GPU-bbbb"].offered.click()
    qtbot.waitUntil(lambda: ("set", {"gpus": []}) in node_agent.asked)
    page.cards["GPU-aaaa"].offered.click()
    assert any("One has to be offered" in text for text in texts(window))
    assert page.cards["GPU-aaaa"].offered.isChecked()
    page.span.buttons["week"].click()
    qtbot.waitUntil(lambda: ("readings", {"span_s": 7 * 86400.0}) in node_agent.asked)


def test_a_machine_without_a_gpu_shows_its_processors(
    window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    node_agent.answers["hardware"] = HARDWARE | {"gpus": [], "problems": ["There is no NVIDIA driver."]}
    go(window, "Hardware", qtbot)
    page = window.page()
    assert isinstance(page, HardwarePage)
    qtbot.waitUntil(lambda: page.plots is not None)
    assert page.plots is not None
    assert (len(page.plots.use.series), page.plots.gpu) == (2, {})
    assert "There is no NVIDIA driver." in texts(page)
    assert audit.problems(window) == []


def test_the_log_is_followed_and_the_bundle_says_what_is_in_it(
    window: Frame, node_agent: ScriptedAgent, home: Home, qtbot: QtBot
) -> None:
    go(window, "Logs", qtbot)
    page = window.page()
    assert isinstance(page, LogsPage)
    qtbot.waitUntil(lambda: page.view is not None and page.view.store.end == 60)
    page.write_bundle(home.root / "bundle.zip")
    qtbot.waitUntil(lambda: any("status.json" in text for text in texts(window)))
    node_agent.answers["support_bundle"] = AWAY
    page.write_bundle(home.root / "bundle.zip")
    qtbot.waitUntil(lambda: any(AWAY.what in text for text in texts(window)))


def test_what_the_agent_can_mend_is_mended_by_a_click(
    window: Frame, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    go(window, "Setup checks", qtbot)
    node_agent.answers["check"] = [row | {"ok": True, "action": None, "fix": ""} for row in CHECKS]
    buttons = window.page().findChildren(Button)
    fix = next(button for button in buttons if button.accessibleName() == "Build the job image (Job image)")
    fix.click()
    qtbot.waitUntil(lambda: "Everything that jobs need is here." in texts(window))
    assert ("fix", {"id": "job-image"}) in node_agent.asked


def test_news_are_told_once_over_restarts(
    window: NodeWindow, node_agent: ScriptedAgent, home: Home, qtbot: QtBot
) -> None:
    told = [(8, "job_paid", "Paid: one."), (9, "availability", "Jobs are taken.")]

    async def news(params: dict[str, Any]) -> AsyncGenerator[Any, None]:
        for number, kind, words in told:
            if number > params["after"]:
                yield {"number": number, "at_s": 0.0, "kind": kind, "words": words, "job_id": f"{3:032x}"}
        await trio.sleep_forever()

    qtbot.waitUntil(lambda: node_agent.count("news") > 0)
    assert Preferences(home.root / "window.ini").get(CURSOR) == "7", "what was before is told to nobody"
    node_agent.streams["news"] = news
    for words in ("Paid: one.", "Paid: two."):
        node_agent.stop()
        node_agent.start()
        qtbot.waitUntil(partial(_is_said, window, words), timeout=20_000)
        told.append((10, "job_paid", "Paid: two."))
    assert texts(window).count("Paid: one.") == 1
    assert texts(window).count("Paid: two.") == 1
