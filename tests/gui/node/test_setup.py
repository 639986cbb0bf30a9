"""The first run: its steps without a window, and the pages over them; the schedule and the settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.dialogs import Confirm
from gui_kit.frame import FIRST_SIZE, SMALLEST_SIZE
from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from gui_kit.theme import Mode, theme
from node_gui.app import make_window
from node_gui.machine_form import MachineForm, machine_form_of, number, whole
from node_gui.payout_wallet import backup_words, kind_words
from node_gui.schedule_form import ScheduleForm, apps_of, changes, form_of
from node_gui.schedule_page import SchedulePage
from node_gui.settings_page import SettingsPage
from node_gui.setup_page import MEMORY, SetupPage
from node_gui.week import Fill, Week, week_of
from node_gui.window import NodeWindow
from node_gui.wizard import Wizard, resumed, steps
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.hours import parse_hours
from p2p.core.paths import Home
from p2p.testing.node_answers import CHECKS, SETTINGS
from p2p.testing.scripted_agent import ScriptedAgent

KEYS = [step.key for step in steps()]


def press(widget: QWidget, key: Qt.Key, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(widget, key, modifier)  # type: ignore[call-overload,unused-ignore]


# -- the wizard, without a window


def test_steps_are_done_one_after_another() -> None:
    wizard = Wizard()
    for key in KEYS:
        assert (wizard.at, wizard.state(key), wizard.is_over) == (key, "current", False)
        wizard = wizard.finish()
    assert wizard.is_over
    assert wizard.open_count == 0
    assert {wizard.state(key) for key in KEYS} == {"done"}


def test_a_step_that_was_skipped_is_come_back_to() -> None:
    wizard = Wizard().skip().finish()
    assert (wizard.state(KEYS[0]), wizard.state(KEYS[1]), wizard.at) == ("skipped", "done", KEYS[2])
    wizard = wizard.go(KEYS[0])
    assert wizard.is_first
    wizard = wizard.finish()
    assert (wizard.state(KEYS[0]), wizard.at) == ("done", KEYS[2])
    assert wizard.back().at == KEYS[1]
    assert wizard.go("nonsense") == wizard
    assert wizard.open_count == len(KEYS) - 2


@given(st.lists(st.sampled_from(["finish", "skip", "back"]), max_size=20))
def test_the_first_run_goes_on_where_it_was_left(moves: list[str]) -> None:
    wizard = Wizard()
    for move in moves:
        wizard = getattr(wizard, move)()
    assert resumed(wizard.save()) == wizard


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"at": 1, "marks": []}', '{"at": "x", "marks": {}}']
)
def test_what_cannot_be_resumed_begins_anew(text: str) -> None:
    assert resumed(text) == Wizard()


# -- hours and forms, without a window


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("mon-sun 00:00-24:00", "mon-sun 00:00-24:00"),
        ("sat,sun 08:00-10:30", "sat-sun 08:00-10:30"),
        ("fri 22:00-06:00", "fri 22:00-24:00, sat 00:00-06:00"),
    ],
)
def test_a_week_is_said_in_the_agents_words(text: str, said: str) -> None:
    assert week_of(text).text() == said


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 23)), max_size=40))
def test_a_painted_week_means_the_same_to_the_agent(cells: set[tuple[int, int]]) -> None:
    week = Week().with_cells(cells, True)
    assert week.hours_on == len(cells)
    try:
        spans = parse_hours(week.text()).spans
    except UserError:  # more pieces than the agent takes, which the page says
        return
    assert sum(end - start for start, end in spans) == 60 * len(cells)
    assert week_of(week.text()) == week


def test_an_hour_that_is_on_in_part_stays_so_until_it_is_touched() -> None:
    week = week_of("wed 03:00-04:30")
    assert [week.fill((2, hour)) for hour in (3, 4, 5)] == [Fill.WHOLE, Fill.PART, Fill.NONE]
    assert week.with_cells([(2, 3)], False).text() == "wed 04:00-04:30"


def test_only_what_was_changed_is_set() -> None:
    form = form_of(SETTINGS)
    assert changes(SETTINGS, form.settings() | {"hours": SETTINGS["hours"]}) == {}
    assert form.exclusive_apps == "blender"
    dearer = ScheduleForm(min_price="0.30").settings()
    assert dearer["min_price_usd_micros_per_hour"] == 300_000
    with pytest.raises(UserError, match="No hour is chosen"):
        ScheduleForm(scheduled=True).settings()
    assert apps_of(" a, b,,a ") == ["a", "b"]


def test_an_empty_field_leaves_it_to_the_node() -> None:
    form = machine_form_of(SETTINGS)
    assert (form.cpus, form.memory_gib, form.electricity, form.watts) == ("", "", "0.30", "180")
    assert MachineForm(cpus="1.5", memory_gib="2").settings()["memory_bytes"] == 2 << 30
    for check, text in ((number, "x"), (number, "-1"), (number, "nan"), (whole, "1.5"), (whole, "٣")):
        with pytest.raises(UserError):
            check(text)


def test_a_wallet_in_words() -> None:
    assert "Back this file up" in backup_words({"kind": "keypair", "own": True})
    assert backup_words({"kind": "browser"}) == ""
    assert kind_words({}) == "not known yet"


# -- the first run


@pytest.fixture
def fresh(home: Home, node_agent: ScriptedAgent, qtbot: QtBot) -> NodeWindow:
    """The window of somebody who opens it for the first time."""
    made = make_window(home, Preferences(home.root / "window.ini"), node_agent.client())
    qtbot.addWidget(made)
    made.show()
    qtbot.waitActive(made)
    qtbot.waitUntil(lambda: made.link.state is LinkState.CONNECTED)
    return made


def setup_page(window: NodeWindow) -> SetupPage:
    page = window.page()
    assert isinstance(page, SetupPage)
    return page


@pytest.mark.parametrize("size", [SMALLEST_SIZE, FIRST_SIZE], ids=["small", "first"])
def test_nothing_is_wrong_with_any_step(
    fresh: NodeWindow, size: tuple[int, int], mode: Mode, qtbot: QtBot
) -> None:
    fresh.resize(*size)
    page = setup_page(fresh)
    for key in KEYS:
        assert page.wizard.at == key
        qtbot.waitUntil(lambda: page.parts[page.wizard.at].is_ready)
        assert audit.problems(fresh) == []
        page.skip_step()
    assert fresh.page() is fresh.home_page
    assert audit.problems(fresh) == []


def test_the_first_run_from_end_to_end(
    fresh: NodeWindow, node_agent: ScriptedAgent, home: Home, qtbot: QtBot
) -> None:
    page = setup_page(fresh)
    qtbot.waitUntil(lambda: node_agent.count("check") > 0 and page.parts["checks"].isVisible())
    qtbot.waitUntil(lambda: page.parts["checks"].is_ready)
    page.finish_step()
    assert page.problem.isVisible(), "something required is missing"
    assert page.wizard.at == "checks"
    node_agent.answers["check"] = [row | {"ok": True} for row in CHECKS]
    page.reload()
    qtbot.waitUntil(lambda: "Everything" in page.parts["checks"].panel.verdict.text())  # type: ignore[attr-defined]
    page.finish_step()
    page.finish_step()  # the node's own wallet will do
    price = page.parts["price"].price  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: price.text() == "0.25")
    price.line.clear()
    price.line.insert("0.40")
    price.line.setModified(True)
    page.finish_step()
    qtbot.waitUntil(lambda: ("set", {"min_price_usd_micros_per_hour": 400_000}) in node_agent.asked)
    qtbot.waitUntil(lambda: page.wizard.at == "hours")
    page.parts["hours"].when.buttons["weekly"].click()  # type: ignore[attr-defined]
    page.finish_step()
    qtbot.waitUntil(lambda: ("switch", {"to": "available"}) in node_agent.asked)
    qtbot.waitUntil(lambda: page.wizard.at == "login")
    page.finish_step()
    qtbot.waitUntil(lambda: ("autostart", {"to": True}) in node_agent.asked)
    qtbot.waitUntil(lambda: fresh.page() is fresh.home_page)
    asked = [params for name, params in node_agent.asked if name == "set"]
    assert asked[-1]["scheduled"] is True
    assert parse_hours(asked[-1]["hours"]) == parse_hours("mon-fri 18:00-08:00, sat,sun 00:00-24:00")


def test_the_first_run_is_gone_on_with_later(fresh: NodeWindow, home: Home, qtbot: QtBot) -> None:
    page = setup_page(fresh)
    page.skip_step()
    page.leave.click()
    assert fresh.page() is fresh.home_page
    assert fresh.home_page.set_up.isVisible()
    fresh.home_page.set_up.click()
    assert setup_page(fresh).wizard.at == KEYS[1]
    assert resumed(Preferences(home.root / "window.ini").get(MEMORY)).state(KEYS[0]) in ("skipped", "open")


def test_a_price_that_is_none_is_said(fresh: NodeWindow, qtbot: QtBot) -> None:
    page = setup_page(fresh)
    page.go_to_step("price")
    page.parts["price"].price.line.setText("dear")  # type: ignore[attr-defined]
    page.finish_step()
    assert "'dear' is not a price in dollars." in page.problem.text()


# -- schedule and settings


def schedule(window: NodeWindow, qtbot: QtBot) -> SchedulePage:
    window.go_to("Schedule")
    page = window.page()
    assert isinstance(page, SchedulePage)
    qtbot.waitUntil(lambda: page.is_ready)
    return page


def test_the_hours_are_painted_by_keyboard(
    window: NodeWindow, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    page = schedule(window, qtbot)
    assert not page.save.isEnabled()
    assert audit.problems(window) == []
    page.grid.setFocus()
    assert page.grid.accessibleDescription() == "Mon 09:00 to 10:00: no jobs"
    press(page.grid, Qt.Key.Key_Space)
    assert page.grid.accessibleDescription() == "Mon 09:00 to 10:00: jobs"
    press(page.grid, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert page.grid.week.fill((0, 10)) is Fill.WHOLE
    assert page.save.isEnabled()
    page.save.click()
    qtbot.waitUntil(lambda: node_agent.count("set") == 1)
    assert "mon 09:00-11:00" in node_agent.asked[-1][1]["hours"]


def test_the_hours_are_painted_by_mouse(window: NodeWindow, qtbot: QtBot) -> None:
    page = schedule(window, qtbot)
    page._fill("")
    first, last = page.grid._cell_rect((1, 4)).center(), page.grid._cell_rect((1, 6)).center()
    left = Qt.MouseButton.LeftButton
    qtbot.mousePress(page.grid, left, pos=first.toPoint())  # type: ignore[no-untyped-call]
    for x in range(int(first.x()), int(last.x()) + 1, 4):
        qtbot.mouseMove(page.grid, QPoint(x, int(first.y())))  # type: ignore[no-untyped-call]
    qtbot.mouseRelease(page.grid, left, pos=last.toPoint())  # type: ignore[no-untyped-call]
    assert page.grid.week.text() == "tue 04:00-07:00"


def test_what_is_not_saved_stays_and_problems_are_said(
    window: NodeWindow, node_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    page = schedule(window, qtbot)
    page._fill("")
    assert page.problem.text() == "No hour is chosen, so no job would ever come."
    assert not page.save.isEnabled()
    page.price.line.setText("0.99")
    before = node_agent.count("settings")
    page.reload()
    qtbot.waitUntil(lambda: node_agent.count("settings") > before)
    assert page.price.text() == "0.99"
    page.when.buttons["always"].click()
    node_agent.answers["set"] = EnvironmentFailure("disk_full", "The disk is full.", "Nothing was changed.")
    page.save.click()
    qtbot.waitUntil(lambda: page.save.isEnabled())


def settings_page(window: NodeWindow, qtbot: QtBot) -> SettingsPage:
    window.go_to("Settings")
    page = window.page()
    assert isinstance(page, SettingsPage)
    qtbot.waitUntil(lambda: page.is_ready)
    return page


def test_settings_are_saved_and_the_look_changes_at_once(
    window: NodeWindow, node_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    page = settings_page(window, qtbot)
    assert audit.problems(window) == []
    page.cpus.line.setText("2")
    page.save.click()
    qtbot.waitUntil(lambda: ("set", {"cpus": 2.0}) in node_agent.asked)
    page.look.buttons["dark"].click()
    assert theme().tokens.dark
    page.look.buttons["light"].click()
    assert not theme().tokens.dark


def test_an_agent_that_is_stopped_stays_stopped(
    window: NodeWindow, node_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    page = settings_page(window, qtbot)
    dialog = page.ask_to_stop()
    assert isinstance(dialog, Confirm)
    qtbot.waitExposed(dialog)
    assert audit.problems(dialog) == []
    dialog.yes.click()
    qtbot.waitUntil(lambda: node_agent.count("stop") == 1)
    node_agent.stop()
    qtbot.waitUntil(lambda: window.link.state is LinkState.STOPPED, timeout=20_000)
    assert node_agent.starts == 1
