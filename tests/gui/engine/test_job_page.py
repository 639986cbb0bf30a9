"""A job's own page: each of its parts in every state it can be in, and what can be done from it."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine_gui.costs_tab import CostsTab
from engine_gui.dispute_dialog import DisputeDialog
from engine_gui.job_tabs import LogTab, TimelineTab
from engine_gui.new_job_page import NewJobPage
from engine_gui.plots_tab import PlotsTab
from gui_kit import audit
from gui_kit.frame import FIRST_SIZE, SMALLEST_SIZE
from gui_kit.theme import Mode
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import DISPUTE_TEXT_MAX_CHARS
from p2p.testing import scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent

HOSTILE = "\x1b[2J<b>\u202eexe.py</b>" + "x" * 1_000_000


def part(page: Any, name: str) -> Any:
    """One of its parts, opened."""
    at = next(at for at in range(page.tabs.count()) if page.tabs.tabText(at) == name)
    page.open_tab(at)
    return page.tabs.widget(at).part


@pytest.mark.parametrize("size", [SMALLEST_SIZE, FIRST_SIZE])
def test_nothing_is_wrong_with_any_part(window: Any, mode: Mode, size: tuple[int, int], qtbot: QtBot) -> None:
    window.frame.resize(*size)
    page = window.open_job()
    for at in range(page.tabs.count()):
        page.open_tab(at)
        if isinstance(shown := page.tabs.widget(at).part, PlotsTab):
            qtbot.waitUntil(lambda shown=shown: bool(shown.plots))
        assert audit.problems(window.frame) == [], page.tabs.tabText(at)


@pytest.mark.parametrize("state", [job["state"] for job in scripted_jobs.jobs()])
def test_every_state_can_be_read(window: Any, script: Any, state: str) -> None:
    script.job = scripted_jobs.job(state, misfits=scripted_jobs.misfits())
    page = window.open_job()
    assert page.title == "digits"
    assert page.head.badge.isVisible() is (state in ("completed", "settled"))
    assert page.notice.isVisible() is (state == "queued")
    assert isinstance(part(page, "Costs"), CostsTab)
    assert audit.problems(window.frame) == []


def test_it_is_live(window: Any, script: Any, qtbot: QtBot) -> None:
    script.job = scripted_jobs.job("queued", misfits=scripted_jobs.misfits())
    page = window.open_job()
    assert page.notice.what.text() == "Why it still waits"
    script.job = scripted_jobs.job()
    qtbot.waitUntil(lambda: page.head.state.text() == "Running")
    assert not page.notice.isVisible()
    script.job = scripted_jobs.job("delivering", problem=scripted_jobs.problem())
    qtbot.waitUntil(page.notice.isVisible)
    assert page.notice.what.text() == "The disk is full: /srv/ml/out."
    script.job = scripted_jobs.job("settled")
    qtbot.waitUntil(lambda: page.act.text() == "Open the results")
    assert page.head.badge.isVisible()


def test_a_job_that_is_not_there_says_so(window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot) -> None:
    async def refuse(params: dict[str, Any]) -> Any:
        raise UserError(
            "unknown_job", "'3f9a' is not a job of this engine.", "Nothing was done.", "Look again."
        )
        yield {}

    agent.streams["watch"] = refuse
    window.actions.go.open_job(scripted_jobs.JOB_ID)
    page = window.frame.page()
    qtbot.waitUntil(lambda: not page.is_ready and not page._loading_timer.isActive())
    assert audit.problems(window.frame) == []


def test_it_goes_on_after_the_agent_was_killed(
    window: Any, agent: ScriptedAgent, script: Any, mode: Mode, qtbot: QtBot
) -> None:
    page = window.open_job()
    logs = part(page, "Logs")
    qtbot.waitUntil(lambda: len(logs.view.store) >= len(script.lines))
    agent.stop()
    qtbot.waitUntil(lambda: page.is_stale, timeout=20_000)
    assert audit.problems(window.frame) == []
    script.job = scripted_jobs.job("delivering")
    qtbot.waitUntil(lambda: not page.is_stale, timeout=20_000)
    qtbot.waitUntil(lambda: page.head.state.text() == "Fetching results", timeout=20_000)


def test_the_timeline_has_both_sides(window: Any) -> None:
    timeline = part(window.open_job(), "Timeline")
    assert isinstance(timeline, TimelineTab)
    assert [timeline.table.shown.index(at, 1).data() for at in range(2)] == [
        "Deposit in escrow",
        "Waiting for a node",
    ]


def test_values_are_plotted_together_by_kind(window: Any, qtbot: QtBot) -> None:
    metrics = part(window.open_job(), "Metrics")
    qtbot.waitUntil(lambda: set(metrics.plots) == {"loss", "accuracy"})
    assert set(metrics.plots["loss"].series) == {"train_loss", "val_loss"}
    assert len(metrics.plots["loss"].series["val_loss"]) == 10


def test_another_attempt_begins_its_plots_anew(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    answers = [scripted_jobs.metrics(3) | {"complete": False}, scripted_jobs.metrics(2) | {"epoch": 2}]
    agent.answers["metrics"] = lambda params: answers[0] if not params.get("epoch") else answers[1]
    metrics = part(window.open_job(), "Metrics")
    qtbot.waitUntil(lambda: agent.count("metrics") == 2)
    qtbot.waitUntil(lambda: len(metrics.plots["loss"].series["val_loss"]) == 2)
    last = [params for name, params in agent.asked if name == "metrics"][-1]
    assert last["offset"] == 300, "it asked for what came since"


def test_without_values_it_says_how_to_get_some(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    agent.answers["metrics"] = scripted_jobs.metrics(0) | {"complete": False}
    agent.answers["usage"] = EnvironmentFailure(
        "node_away", "The node does not answer.", "It runs on.", "Wait."
    )
    page = window.open_job()
    metrics = part(page, "Metrics")
    qtbot.waitUntil(lambda: metrics.note.text().startswith("No values yet"))
    assert audit.problems(window.frame) == []
    usage = part(page, "Resources")
    qtbot.waitUntil(lambda: usage.note.text().startswith("The node does not answer."))
    assert audit.problems(window.frame) == []


def test_files_are_there_once_they_are_fetched(
    window: Any, agent: ScriptedAgent, script: Any, qtbot: QtBot
) -> None:
    agent.answers["results"] = scripted_jobs.results(fetched=False, files=[], beside=[])
    page = window.open_job()
    files = part(page, "Files")
    qtbot.waitUntil(lambda: files.note.text().startswith("Results appear here"))
    assert audit.problems(window.frame) == []
    agent.answers["results"] = scripted_jobs.results()
    script.job = scripted_jobs.job("completed")
    qtbot.waitUntil(lambda: files.table.shown.rowCount() == 3)
    files.table.select("outputs/metrics.json")
    files.copy.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == "ef" * 32
    files.table.select("log.txt")
    assert not files.copy.isEnabled()
    agent.answers["results"] = EnvironmentFailure(
        "disk", "The folder cannot be read.", "", "Look at the disk."
    )
    page.open_tab(0)
    part(page, "Files")
    qtbot.waitUntil(lambda: files.note.text().startswith("The folder cannot be read."))


def test_transactions_are_copied_and_links_are_only_the_agents(
    window: Any, script: Any, qtbot: QtBot
) -> None:
    costs = part(window.open_job(), "Costs")
    costs.table.setFocus()
    qtbot.keyClick(costs.table, Qt.Key.Key_Down)
    costs.table.select(f"1 {scripted_jobs.SIGNATURE}")
    costs.copy.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == scripted_jobs.SIGNATURE
    assert costs.open.isEnabled()
    script.job = scripted_jobs.job(transactions=scripted_jobs.transactions(explorer=None))
    qtbot.waitUntil(lambda: not costs.open.isEnabled())


def test_a_dispute_needs_a_reason(
    window: Any, agent: ScriptedAgent, script: Any, mode: Mode, qtbot: QtBot
) -> None:
    script.job = scripted_jobs.job("completed", review=scripted_jobs.review())
    costs = part(window.open_job(), "Costs")
    qtbot.waitUntil(costs.dispute.isVisible)
    assert audit.problems(window.frame) == []
    costs.dispute.click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), DisputeDialog))
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, DisputeDialog)
    assert audit.problems(dialog) == []
    assert not dialog.yes.isEnabled()
    dialog.editor.setPlainText("x" * (DISPUTE_TEXT_MAX_CHARS + 1))
    assert not dialog.yes.isEnabled()
    dialog.editor.setPlainText("  The model is empty.\n")
    dialog.yes.click()
    qtbot.waitUntil(lambda: agent.count("dispute") == 1)
    assert ("dispute", {"job": scripted_jobs.JOB_ID, "reason": "The model is empty."}) in agent.asked


def test_a_job_that_failed_is_sent_again(window: Any, script: Any, qtbot: QtBot) -> None:
    script.job = scripted_jobs.job("refunded", failure="timeout", failure_words="Out of time.")
    page = window.open_job()
    assert page.notice.what.text() == "Out of time."
    page.act.click()
    qtbot.waitUntil(lambda: isinstance(window.frame.page(), NewJobPage))


def test_hostile_text_is_shown_harmlessly(
    window: Any, agent: ScriptedAgent, script: Any, mode: Mode, qtbot: QtBot
) -> None:
    problem = {**scripted_jobs.problem(), "what": HOSTILE, "meaning": HOSTILE, "hint": HOSTILE}
    event = {"at_s": scripted_jobs.AT_S, "state": HOSTILE, "detail": HOSTILE, "from": "coordinator"}
    script.job = scripted_jobs.job(
        name=HOSTILE, problem=problem, events=[event], gpu_class=HOSTILE, detail=HOSTILE
    )
    script.lines = [HOSTILE, "<img src=x>", "\x1b]0;title\x07"]
    line = {"line": 1, "epoch": None, "step": None, "values": {"<b>\x1b[2Jloss": "nan", HOSTILE: 1.0}}
    agent.answers["metrics"] = scripted_jobs.metrics(0) | {"rows": [line]}
    page = window.open_job()
    for name in ("Timeline", "Logs", "Metrics", "Costs"):
        part(page, name)
        assert audit.problems(window.frame) == [], name
    assert page.title.isprintable()


def test_a_flood_of_lines_leaves_the_window_awake(window: Any, script: Any, qtbot: QtBot) -> None:
    script.lines = ["x" * 1_000_000, *(f"line {number}" for number in range(20_000))]
    page = window.open_job()
    logs = part(page, "Logs")
    assert isinstance(logs, LogTab)
    qtbot.waitUntil(lambda: len(logs.view.store) >= len(script.lines), timeout=20_000)
    assert logs.view.store.line(len(script.lines) - 1) == "line 19999"
    assert page.is_ready
