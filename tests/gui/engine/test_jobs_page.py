"""The list of jobs: every way it can stand, by keyboard alone, and what can be done from it."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from engine_gui.job_page import JobPage
from engine_gui.jobs_page import JobsPage
from engine_gui.new_job_page import NewJobPage
from gui_kit import audit
from gui_kit.dialogs import Confirm
from gui_kit.frame import FIRST_SIZE, SMALLEST_SIZE
from gui_kit.theme import Mode
from p2p.core.errors import EnvironmentFailure
from p2p.testing import scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent

HOSTILE = "\x1b[2J<b>\u202eexe.py</b>" + "x" * 1_000_000


def jobs_page(window: Any) -> JobsPage:
    window.frame.go_to("Jobs")
    page = window.frame.page()
    assert isinstance(page, JobsPage)
    return page


def names(page: JobsPage) -> list[str]:
    return [str(page.table.shown.index(at, 1).data()) for at in range(page.table.shown.rowCount())]


@pytest.mark.parametrize("size", [SMALLEST_SIZE, FIRST_SIZE])
def test_nothing_is_wrong_with_a_full_list(window: Any, mode: Mode, size: tuple[int, int]) -> None:
    window.frame.resize(*size)
    page = jobs_page(window)
    assert audit.problems(window.frame) == []
    assert page.table.shown.rowCount() == len(scripted_jobs.jobs())
    assert names(page)[-2:] == ["train-refunded", "train-settled"], "first what is under way"


def test_an_empty_list_offers_one_thing(window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot) -> None:
    agent.answers["jobs"] = []
    page = jobs_page(window)
    page.reload()
    qtbot.waitUntil(lambda: not page.is_ready)
    assert audit.problems(window.frame) == []
    qtbot.keyClick(page, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: isinstance(window.frame.page(), NewJobPage))


def test_a_list_that_cannot_be_had_says_so_and_comes_back(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    page = jobs_page(window)
    agent.answers["jobs"] = EnvironmentFailure(
        "disk", "The journal cannot be read.", "Jobs go on.", "Look at the disk."
    )
    page.reload()
    qtbot.waitUntil(lambda: not page.is_ready)
    assert audit.problems(window.frame) == []
    agent.answers["jobs"] = scripted_jobs.jobs()
    page.reload()
    qtbot.waitUntil(lambda: page.is_ready)


def test_it_is_dimmed_while_the_agent_is_away(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    page = jobs_page(window)
    agent.stop()
    qtbot.waitUntil(lambda: page.is_stale, timeout=20_000)
    assert audit.problems(window.frame) == []
    assert page.table.shown.rowCount() == len(scripted_jobs.jobs()), "what is known stays"
    qtbot.waitUntil(lambda: not page.is_stale, timeout=20_000)


def test_it_is_live_filtered_and_searched(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    page = jobs_page(window)
    page.filter.setCurrentText("Waiting")
    assert sorted(names(page)) == ["train-opening", "train-queued"]
    assert page.count.text() == "2 of 11"
    page.filter.setCurrentText("All states")
    qtbot.keyClick(page.table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(page.search, "running")
    assert names(page) == ["train-running"]
    page.search.clear()
    page.table.select(scripted_jobs.jobs()[0]["job_id"])
    agent.answers["jobs"] = scripted_jobs.jobs()[:3]
    qtbot.waitUntil(lambda: len(names(page)) == 3, timeout=10_000)
    current = page.table.current()
    assert current is not None
    assert current.name == "train-opening", "what is selected stays selected"


def test_the_keyboard_opens_a_job_and_comes_back(window: Any, qtbot: QtBot) -> None:
    page = jobs_page(window)
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Home)
    qtbot.keyClick(page.table, Qt.Key.Key_Down)
    qtbot.keyClick(page.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(window.frame.page(), JobPage))
    qtbot.keyClick(window.frame, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert window.frame.page() is page


def test_cancelling_by_keyboard_says_first_what_it_costs(
    window: Any, agent: ScriptedAgent, script: Any, mode: Mode, qtbot: QtBot
) -> None:
    page = jobs_page(window)
    page.table.select(next(job["job_id"] for job in scripted_jobs.jobs() if job["state"] == "running"))
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), Confirm))
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, Confirm)
    assert audit.problems(dialog) == []
    assert agent.count("cancel") == 0
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)
    assert agent.count("cancel") == 0, "Enter alone does not say yes"
    window.actions.cancel(page, scripted_jobs.JOB_ID)
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), Confirm))
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, Confirm)
    qtbot.keyClick(dialog.yes, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: agent.count("cancel") == 1)


def test_the_menu_of_a_job_has_what_can_be_done(window: Any, qtbot: QtBot) -> None:
    page = jobs_page(window)
    by_state = {job["state"]: job["job_id"] for job in scripted_jobs.jobs()}
    page.table.select(by_state["settled"])
    page.more.click()
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    enabled = {action.text(): action.isEnabled() for action in menu.actions()}
    menu.close()
    assert enabled["Cancel …"] is False
    assert enabled["Copy its results to …"] is True
    page.table.select(by_state["queued"])
    page.more.click()
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    assert {action.text(): action.isEnabled() for action in menu.actions()}["Cancel …"] is True
    next(action for action in menu.actions() if action.text() == "Copy its id").trigger()
    menu.close()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == by_state["queued"]


def test_duplicating_by_keyboard_fills_the_form(window: Any, qtbot: QtBot) -> None:
    page = jobs_page(window)
    page.table.select(scripted_jobs.jobs()[-1]["job_id"])
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: isinstance(window.frame.page(), NewJobPage))
    form = window.frame.page()
    assert isinstance(form, NewJobPage)
    qtbot.waitUntil(lambda: form.fields.script.text() == "/srv/ml/train.py")
    assert form.fields.out.text() == "/srv/ml/out"


def test_results_can_be_put_elsewhere(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    page = jobs_page(window)
    window.actions.fetch_to(page, scripted_jobs.JOB_ID, "/tmp/elsewhere")
    qtbot.waitUntil(lambda: agent.count("fetch") == 1)
    assert ("fetch", {"job": scripted_jobs.JOB_ID, "out": "/tmp/elsewhere"}) in agent.asked


def test_hostile_names_are_shown_harmlessly(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    agent.answers["jobs"] = [scripted_jobs.job(name=HOSTILE, gpu_class=HOSTILE, node_peer_id=HOSTILE)]
    page = jobs_page(window)
    page.reload()
    qtbot.waitUntil(lambda: len(names(page)) == 1)
    qtbot.waitUntil(lambda: names(page)[0].startswith("<b>"))
    assert len(names(page)[0]) <= 2000
    assert names(page)[0].isprintable()
    assert audit.problems(window.frame) == []
