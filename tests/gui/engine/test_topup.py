"""More time for a job: what is said before the yes, what is refused, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine_gui import topup_model
from engine_gui.job_head import doing_words
from engine_gui.job_model import job_row
from engine_gui.job_notices import notice_of
from engine_gui.timeline_model import event_rows
from engine_gui.topup_dialog import TopUpDialog
from gui_kit import audit
from gui_kit.labels import Label
from gui_kit.theme import Mode
from gui_kit.words import time_text
from p2p.core.errors import Refused, UserError
from p2p.testing import scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent

JOB = scripted_jobs.JOB_ID
LOW = {"budget_used": 0.9, "used_seconds": 3240}
TOO_LONG = Refused(
    "too_long",
    "With 3 h more the job could run into its escrow's deadline, which nothing moves.",
    "Nothing was sent; what was agreed stands.",
    "At most 2 h 10 min can be added now.",
)


# -- without a window


@pytest.mark.parametrize(
    ("job", "can"),
    [
        (scripted_jobs.job(), True),
        (scripted_jobs.job("queued"), True),
        (scripted_jobs.job("opening"), False),
        (scripted_jobs.job("delivering"), False),
        (scripted_jobs.job("settled"), False),
        (scripted_jobs.job(topping_up=True), False),
        (scripted_jobs.job(cancel_wanted=True), False),
    ],
)
def test_time_is_added_to_what_goes_on(job: dict[str, Any], can: bool) -> None:
    assert topup_model.can_top_up(job_row(job)) is can


def test_what_was_typed_is_a_span_of_time() -> None:
    assert topup_model.seconds_of("45min") == 2700
    assert topup_model.seconds_of("1 h") == 3600
    for text in ("", "0 h", "25h", "-1h", "soon"):
        with pytest.raises(UserError):
            topup_model.seconds_of(text)


def test_the_figures_are_exact() -> None:
    names = topup_model.figure_names()
    now_s = scripted_jobs.AT_S
    job = scripted_jobs.job(used_seconds=600)
    said = dict(zip(names, topup_model.figures(scripted_jobs.topup_terms(), job, now_s), strict=True))
    assert said == {
        "Is added": "30 min",
        "May then run for": "1 h 30 min in all",
        "Until, about": time_text(now_s + 5400 - 600),
        "Is locked now": "0.200000 USDC of the 5.000000 USDC in your escrow balance",
        "Costs at most": "0.600000 USDC in all",
    }
    waits = topup_model.figures(scripted_jobs.topup_terms(), scripted_jobs.job("queued"), now_s)
    assert waits[2] == "1 h 30 min after its start"


def test_what_the_balance_lacks_is_said() -> None:
    topup_model.require_balance(scripted_jobs.topup_terms(balance_units=200_000))
    topup_model.require_balance(scripted_jobs.topup_terms(balance_units=0, underway=True))
    with pytest.raises(Refused) as caught:
        topup_model.require_balance(scripted_jobs.topup_terms(balance_units=50_000))
    assert caught.value.lines()[0] == "Your escrow balance lacks 0.150000 USDC."
    assert len(caught.value.lines()) == 3


def test_how_it_ended_is_told_once() -> None:
    before = scripted_jobs.job(topping_up=True)
    assert topup_model.ended_words(before, before) is None
    longer = scripted_jobs.job(timeout_s=5400, deposit_units=600_000)
    assert topup_model.ended_words(longer, longer) is None
    told = topup_model.ended_words(before, longer)
    assert told == ("It may run for 1 h 30 min now and costs at most 0.600000 USDC.", True)
    event = {"at_s": 1.0, "state": "not_topped_up", "detail": "it ended; nothing was added", "from": "engine"}
    failed = scripted_jobs.job(events=[event])
    told = topup_model.ended_words(before, failed)
    assert told == ("No time was added: it ended; nothing was added.", False)
    assert event_rows(failed)[0].look.word == "No time was added"


def test_it_is_seen_while_it_is_underway() -> None:
    low, adding = scripted_jobs.job(**LOW), scripted_jobs.job(topping_up=True, **LOW)
    assert doing_words(adding) == "Adding time"
    notices = notice_of(low), notice_of(adding)
    assert [notice.more_time for notice in notices if notice] == [True, False]


# -- in the window


def opened(qtbot: QtBot) -> TopUpDialog:
    """The dialog that was asked for."""
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), TopUpDialog))
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, TopUpDialog)
    return dialog


def texts(dialog: TopUpDialog) -> list[str]:
    """Everything that it says."""
    return [label.text() for label in dialog.findChildren(Label) if label.isVisible()]


def test_from_the_notice_to_the_longer_limit(
    window: Any, agent: ScriptedAgent, script: Any, mode: Mode, qtbot: QtBot
) -> None:
    script.job = scripted_jobs.job(**LOW)
    page = window.open_job()
    assert page.notice.mend.text() == "Add time"
    assert audit.problems(window.frame) == []
    page.notice.mend.click()
    dialog = opened(qtbot)
    qtbot.waitUntil(dialog.yes.isEnabled)
    dialog.choices.buttons["2 h"].click()
    assert not dialog.yes.isEnabled(), "what is shown is for another time"
    qtbot.waitUntil(dialog.yes.isEnabled)
    assert "0.800000 USDC of the 5.000000 USDC in your escrow balance" in texts(dialog)
    assert "1.200000 USDC in all" in texts(dialog)
    assert audit.problems(dialog) == []
    assert agent.count("topup") == 0
    dialog.yes.click()
    qtbot.waitUntil(lambda: agent.count("topup") == 1)
    assert ("topup", {"job": JOB, "seconds": 7200}) in agent.asked
    script.job = scripted_jobs.job(topping_up=True, **LOW)
    qtbot.waitUntil(lambda: page.head.doing.text() == "Adding time")
    assert not page.notice.mend.isVisible()
    script.job = scripted_jobs.job(timeout_s=10_800, deposit_units=1_200_000)
    qtbot.waitUntil(lambda: not page.notice.isVisible())
    assert page.head.doing.text() == "42 %"


def test_what_is_refused_is_said_beside_the_field(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    agent.answers["topup_terms"] = lambda params: scripted_jobs.topup_terms(params["seconds"])
    page = window.open_job()
    window.actions.add_time(page, JOB)
    dialog = opened(qtbot)
    qtbot.waitUntil(dialog.yes.isEnabled)
    agent.answers["topup_terms"] = TOO_LONG
    dialog.line.clear()
    qtbot.keyClicks(dialog.line, "3h")
    qtbot.waitUntil(lambda: bool(dialog.field.problem))
    assert dialog.field.problem.splitlines() == list(TOO_LONG.lines())
    assert not dialog.yes.isEnabled()
    assert audit.problems(dialog) == []
    agent.answers["topup_terms"] = scripted_jobs.topup_terms(balance_units=1)
    dialog.choices.buttons["30 min"].click()
    qtbot.waitUntil(lambda: dialog.field.problem.startswith("Your escrow balance lacks"))
    assert not dialog.yes.isEnabled()
    assert audit.problems(dialog) == []
    dialog.no.click()
    assert agent.count("topup") == 0


def test_enter_locks_money_only_on_the_yes(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    page = window.open_job()
    menu = window.actions.menu(page, job_row(scripted_jobs.job()))
    next(action for action in menu.actions() if action.text() == "Add time …").trigger()
    dialog = opened(qtbot)
    qtbot.waitUntil(dialog.yes.isEnabled)
    dialog.line.selectAll()
    qtbot.keyClicks(dialog.line, "45min")
    qtbot.keyClick(dialog.line, Qt.Key.Key_Return)
    assert agent.count("topup") == 0
    qtbot.waitUntil(dialog.yes.isEnabled)
    assert dialog.seconds == 2700
    button = dialog.choices.buttons["1 h"]
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.seconds == 3600)
    dialog.line.setFocus()
    qtbot.keyClick(dialog.line, Qt.Key.Key_Return)
    assert dialog.yes.hasFocus()
    assert agent.count("topup") == 0
    qtbot.keyClick(dialog.yes, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: ("topup", {"job": JOB, "seconds": 3600}) in agent.asked)
    assert agent.count("topup") == 1
