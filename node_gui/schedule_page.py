"""When jobs may come: hours of the week, and what has to hold besides."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QCheckBox, QSpinBox, QWidget

from gui_kit.boxes import Card, Form, column, row
from gui_kit.buttons import Button
from gui_kit.fields import TextField
from gui_kit.frame import Frame
from gui_kit.labels import Label
from gui_kit.page import Page
from gui_kit.segments import Segments
from gui_kit.words import tr
from node_gui.hours_grid import HoursGrid
from node_gui.rates import own_rates
from node_gui.schedule_form import ScheduleForm, changes, form_of
from node_gui.week import Week, week_of
from p2p.core.errors import CyxWizError, UserError
from p2p.core.hours import DAYS, parse_hours
from p2p.core.limits import IDLE_MINUTES_MAX
from p2p.core.money import parse_usd

_ALWAYS, _WEEKLY = "always", "weekly"


class SchedulePage(Page):
    """Nothing counts before it is saved; what is not saved yet stays while the agent is asked anew."""

    def __init__(self, frame: Frame) -> None:
        self.save = Button(tr("Save"), "primary", "check")
        super().__init__(tr("Schedule"), "calendar-clock", action=self.save, scrolls=True)
        self._frame = frame
        self._settings: dict[str, Any] = {}
        self.when = Segments(
            tr("When may jobs come?"), ((_ALWAYS, tr("At any time")), (_WEEKLY, tr("In these hours")))
        )
        self.grid = HoursGrid(tr("Hours of the week in which jobs may come"))
        self.total, self.problem = Label("", "muted"), Label("", "problem", wrap=True)
        self.only_when_idle = QCheckBox(tr("Only when nobody else uses this machine"))
        self.idle_minutes = QSpinBox()
        self.on_battery = QCheckBox(tr("Also on battery"))
        self.apps = TextField(
            tr("Not while these programs run"),
            tr("Names as the system lists its processes, with commas: blender, game."),
        )
        self.apps_stop = QCheckBox(tr("End a running job when one of them starts"))
        self.maintenance = TextField(
            tr("Keep free for maintenance"),
            tr("No job runs then, nor is one taken that could still run. Like: sun 03:00-05:00"),
            check=parse_hours,
        )
        self.price = TextField(
            tr("Lowest price in USD an hour"), tr("0 takes every job at its class's rate."), check=parse_usd
        )
        self.rates = Label("", "small", wrap=True)
        self._build()
        self.show_loading(tr("Asking for the schedule"))

    def reload(self) -> None:
        self._frame.link.call(self, "settings").then(self._take_settings, self._show_problem)
        self._frame.link.call(self, "rates").then(lambda found: self.rates.setText(own_rates(found)))

    def form(self) -> ScheduleForm:
        """What is typed and ticked now."""
        return ScheduleForm(
            scheduled=self.when.key() == _WEEKLY,
            hours=self.grid.week.text(),
            maintenance=self.maintenance.text(),
            only_when_idle=self.only_when_idle.isChecked(),
            idle_minutes=self.idle_minutes.value(),
            on_battery=self.on_battery.isChecked(),
            exclusive_apps=self.apps.text(),
            exclusive_stops=self.apps_stop.isChecked(),
            min_price=self.price.text(),
        )

    # -- inside

    def _build(self) -> None:
        self.idle_minutes.setRange(1, IDLE_MINUTES_MAX)
        self.idle_minutes.setAccessibleName(tr("Minutes without use"))
        self.idle_minutes.setSuffix(tr(" min without use"))
        everything, nothing = Button(tr("All hours"), "flat"), Button(tr("None"), "flat")
        nights, weekend = Button(tr("Nights"), "flat"), Button(tr("Weekend"), "flat")
        for button, text in (
            (everything, "mon-sun 00:00-24:00"),
            (nights, "mon-sun 20:00-08:00"),
            (weekend, "sat,sun 00:00-24:00"),
            (nothing, ""),
        ):
            button.clicked.connect(lambda _, text=text: self._fill(text))
        self._hours = QWidget()
        presets = row(everything, nights, weekend, nothing, None, self.total)
        self._hours.setLayout(column(presets, self.grid, self.problem))
        self.problem.hide()
        idle = row(self.only_when_idle, self.idle_minutes, None)
        parts = (idle, self.on_battery, self.apps, self.apps_stop, self.maintenance, self.price, self.rates)
        self.body.addWidget(Card(tr("Hours"), row(self.when, None), self._hours))
        self.body.addWidget(Card(tr("Conditions"), Form(*parts)))
        self.body.addStretch(1)
        self.when.chosen.connect(self._choose_when)
        self.save.clicked.connect(self._save)
        self.grid.edited.connect(self._on_edit)
        for box in (self.only_when_idle, self.on_battery, self.apps_stop):
            box.toggled.connect(self._on_edit)
        self.idle_minutes.valueChanged.connect(self._on_edit)
        for field in (self.apps, self.maintenance, self.price):
            field.line.textChanged.connect(self._on_edit)

    def _take_settings(self, settings: dict[str, Any]) -> None:
        edited = bool(self._settings) and self.form() != form_of(self._settings)
        self._settings = settings
        if not edited:
            self._show_form(form_of(settings))
        self._on_edit()
        self.show_content()

    def _show_form(self, form: ScheduleForm) -> None:
        self.grid.set_week(week_of(form.hours))
        self.when.show_key(_WEEKLY if form.scheduled else _ALWAYS)
        self.only_when_idle.setChecked(form.only_when_idle)
        self.idle_minutes.setValue(form.idle_minutes)
        self.on_battery.setChecked(form.on_battery)
        self.apps.set_text(form.exclusive_apps)
        self.apps_stop.setChecked(form.exclusive_stops)
        self.maintenance.set_text(form.maintenance)
        self.price.set_text(form.min_price)

    def _fill(self, text: str) -> None:
        self.grid.set_week(week_of(text))
        self._on_edit()

    def _choose_when(self, key: str) -> None:
        self.when.show_key(key)
        if key == _WEEKLY and self.grid.week == Week():
            self.grid.set_week(week_of("mon-fri 18:00-08:00, sat,sun 00:00-24:00"))
        self._on_edit()

    def _on_edit(self) -> None:
        weekly = self.when.key() == _WEEKLY
        self._hours.setVisible(weekly)
        hours = self.grid.week.hours_on
        self.total.setText(tr("{hours} of {all} hours", hours=f"{hours:g}", all=24 * len(DAYS)))
        self.idle_minutes.setEnabled(self.only_when_idle.isChecked())
        self.apps_stop.setEnabled(bool(self.apps.text()))
        problem = self._problem()
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem) and weekly)
        self.save.setEnabled(self.form() != form_of(self._settings) and not problem)

    def _problem(self) -> str:
        try:
            self.form().settings()
        except UserError as error:
            return error.what
        return ""

    def _save(self) -> None:
        wanted = changes(self._settings, self.form().settings())
        self.save.set_busy(True)
        self._frame.link.call(self, "set", **wanted).then(self._saved, self._not_saved)

    def _saved(self, answer: dict[str, Any]) -> None:
        self._settings = answer["settings"]
        self._show_form(form_of(self._settings))
        self._on_edit()
        self._frame.toasts.show(tr("Saved. It counts from now on."))

    def _not_saved(self, error: CyxWizError) -> None:
        self.save.set_busy(False)
        self._frame.toasts.show(" ".join(error.lines()), "danger")

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
