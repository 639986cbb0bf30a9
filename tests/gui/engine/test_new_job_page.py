"""The form for a new job: what is wrong stands beside its field, the cost is always in sight, and nothing is
paid before the yes to exact numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from PyQt6.QtCore import QMimeData, QUrl
from PyQt6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from engine_gui.job_form import JobForm
from engine_gui.job_page import JobPage
from engine_gui.new_job_page import NewJobPage
from engine_gui.path_field import dropped_items
from gui_kit import audit
from gui_kit.frame import FIRST_SIZE, SMALLEST_SIZE
from gui_kit.page import Page
from gui_kit.theme import Mode
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.testing import scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent


def form_page(window: Any) -> NewJobPage:
    window.frame.go_to("New job")
    page = window.frame.page()
    assert isinstance(page, NewJobPage)
    return page


def texts(page: NewJobPage) -> list[str]:
    return [label.text() for label in page.findChildren(QLabel) if label.isVisible() and label.text()]


def filled(page: NewJobPage, qtbot: QtBot, agent: ScriptedAgent, **changes: Any) -> None:
    """Filled in, and looked at by the agent."""
    before = agent.count("measure")
    values = {"script": "/a/train.py", "data": "/a/data", "out": "/a/out", **changes}
    page.fill(JobForm(**values))
    qtbot.waitUntil(lambda: agent.count("measure") > before)
    qtbot.waitUntil(lambda: "0.400000 USDC" in texts(page))


@pytest.mark.parametrize("size", [SMALLEST_SIZE, FIRST_SIZE])
def test_nothing_is_wrong_with_the_form(
    window: Any, agent: ScriptedAgent, mode: Mode, size: tuple[int, int], qtbot: QtBot
) -> None:
    window.frame.resize(*size)
    page = form_page(window)
    assert audit.problems(window.frame) == []
    assert page.send.text() == "Choose a script"
    filled(page, qtbot, agent)
    assert audit.problems(window.frame) == []
    assert page.send.text() == "Review and send"
    assert "To be sent: 12 files, 4.2 MB · 1.0 MB hashed before · 3 left out" in texts(page)


def test_the_button_says_what_is_missing_and_goes_there(window: Any, qtbot: QtBot) -> None:
    page = form_page(window)
    page.send.click()
    assert page.fields.script.line.hasFocus()
    qtbot.keyClicks(page.fields.script.line, "/a/train.py")
    assert page.fields.out.text() == "/a/out", "results go beside the script"
    assert page.send.text() == "Review and send"
    page.fields.out.set_text("")
    page.fields.script.set_text("")
    assert page.send.text() == "Choose a script"


def test_problems_stand_beside_their_fields(
    window: Any, agent: ScriptedAgent, script: Any, mode: Mode, qtbot: QtBot
) -> None:
    page = form_page(window)
    filled(page, qtbot, agent)
    problem = {**scripted_jobs.problem(), "what": "/a/train.py, line 3: invalid syntax.", "hint": "Mend it."}
    script.measure = scripted_jobs.measure(problems=[{"field": "script", **problem}], config=None)
    page.reload()
    qtbot.waitUntil(lambda: page.fields.script.problem.startswith("/a/train.py, line 3"))
    assert page.send.text() == "Mend what is marked"
    assert audit.problems(window.frame) == []
    page.send.click()
    assert page.fields.script.line.hasFocus()
    assert agent.count("plan") == 0
    page.fields.timeout.line.setText("soon")
    qtbot.waitUntil(lambda: bool(page.fields.timeout.problem))


def test_the_estimate_follows_the_fields(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    page = form_page(window)
    filled(page, qtbot, agent)
    assert "· 2 of 3 nodes are busy with other jobs" in texts(page)
    agent.answers["estimate"] = scripted_jobs.estimate(deposit_units=800_000)
    page.fields.asset.setCurrentText("SOL")
    qtbot.waitUntil(lambda: "0.800000 USDC" in texts(page))
    agent.answers["estimate"] = Refused(
        "no_rate", "Nobody offers that class.", "Nothing was sent.", "Take another."
    )
    page.fields.asset.setCurrentText("USDC")
    qtbot.waitUntil(lambda: "Nobody offers that class." in texts(page))
    assert audit.problems(window.frame) == []


def test_the_yes_is_to_exact_numbers(window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot) -> None:
    page = form_page(window)
    filled(page, qtbot, agent)
    page.send.click()
    qtbot.waitUntil(lambda: page.sending.review is not None)
    review = page.sending.review
    assert review is not None
    assert audit.problems(review) == []
    shown = [label.text() for label in review.findChildren(QLabel)]
    assert {"0.400000 USDC", "19.600000 USDC", "20.000000 USDC"} <= set(shown)
    assert agent.count("start") == 0
    review.yes.click()
    qtbot.waitUntil(lambda: isinstance(window.frame.page(), JobPage))
    assert ("start", {"job": scripted_jobs.JOB_ID}) in agent.asked
    assert not page.sending.is_busy


def test_a_no_gives_the_plan_up(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    page = form_page(window)
    filled(page, qtbot, agent)
    page.send.click()
    qtbot.waitUntil(lambda: page.sending.review is not None)
    assert page.sending.review is not None
    page.sending.review.no.click()
    qtbot.waitUntil(lambda: agent.count("discard") == 1)
    assert agent.count("start") == 0
    assert page.send.isEnabled()


def test_reading_files_can_be_stopped(window: Any, agent: ScriptedAgent, script: Any, qtbot: QtBot) -> None:
    script.plan_items = [{"progress": [1, 1000]}]
    page = form_page(window)
    filled(page, qtbot, agent)
    page.send.click()
    qtbot.waitUntil(lambda: agent.count("plan") == 1)
    assert page.send.text() == "Preparing"
    page.sending.cancel()
    assert page.send.isEnabled()
    script.plan_items = [{"plan": scripted_jobs.plan()}]
    page.send.click()
    qtbot.waitUntil(lambda: page.sending.review is not None)


def test_what_stands_in_the_way_of_a_plan_is_said_in_three_parts(
    window: Any, agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    async def refuse(params: dict[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        raise Refused(
            "balance_too_low", "You have 0.1 USDC in escrow.", "Nothing was sent.", "Deposit 0.3 USDC."
        )
        yield {}

    agent.streams["plan"] = refuse
    page = form_page(window)
    filled(page, qtbot, agent)
    page.send.click()
    qtbot.waitUntil(lambda: page.problem.isVisible())
    assert page.problem.what.text() == "You have 0.1 USDC in escrow."
    assert page.problem.rest.text() == "Nothing was sent.\nDeposit 0.3 USDC."
    assert page.problem.mend.text() == "Open the wallet"
    assert audit.problems(window.frame) == []
    assert page.send.isEnabled()
    window.frame.add_section(Page("Wallet", "wallet-outline"))
    page.problem.mend.click()
    assert window.frame.page().title == "Wallet"


def test_an_expired_yes_costs_nothing(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    agent.answers["start"] = EnvironmentFailure(
        "terms_expired", "The terms have expired.", "Nothing was paid.", "Ask again."
    )
    page = form_page(window)
    filled(page, qtbot, agent)
    page.send.click()
    qtbot.waitUntil(lambda: page.sending.review is not None)
    assert page.sending.review is not None
    page.sending.review.yes.click()
    qtbot.waitUntil(lambda: page.problem.isVisible())
    assert window.frame.page() is page


def test_files_are_dropped_where_they_belong(window: Any, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "config.json").write_text('{"gpu_type": "cpu", "timeout": 600}')
    (tmp_path / "data").mkdir()
    dragged = QMimeData()
    dragged.setUrls(
        [QUrl.fromLocalFile(str(tmp_path / name)) for name in ("train.py", "data", "config.json")]
    )
    page = form_page(window)
    page.take_dropped(dropped_items(dragged))
    form = page.fields.form()
    assert (form.script, form.data) == (str(tmp_path / "train.py"), str(tmp_path / "data"))
    assert (form.gpu_type, form.timeout) == ("cpu", "10 min")
    text = QMimeData()
    text.setText("https://example.org/data.npz\n")
    page.take_dropped(dropped_items(text))
    assert page.fields.data.text() == "https://example.org/data.npz"
    assert page.fields.data_sha256.isVisible()
    assert not page.fields.exclude.isVisible()


def test_config_json_is_written_and_read(window: Any, tmp_path: Path, qtbot: QtBot) -> None:
    page = form_page(window)
    page.fields.timeout.set_text("45 min")
    page.write_config(str(tmp_path / "config.json"))
    page.fields.timeout.set_text("1 h")
    page.read_config(str(tmp_path / "config.json"))
    assert page.fields.timeout.text() == "45 min"
    page.read_config(str(tmp_path / "absent.json"))
    assert page.problem.isVisible()
    page.write_config(str(tmp_path / "absent" / "config.json"))
    assert "cannot be used" in page.problem.what.text()


def test_a_typed_form_survives_the_agent(window: Any, agent: ScriptedAgent, qtbot: QtBot) -> None:
    page = form_page(window)
    filled(page, qtbot, agent)
    agent.stop()
    qtbot.waitUntil(lambda: page.is_stale, timeout=20_000)
    assert page.fields.script.text() == "/a/train.py"
    qtbot.waitUntil(lambda: not page.is_stale, timeout=20_000)
    before = agent.count("measure")
    page.reload()
    qtbot.waitUntil(lambda: agent.count("measure") > before)
