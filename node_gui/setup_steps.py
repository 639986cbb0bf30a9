"""What each step of the first run shows, and what it asks the agent to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtWidgets import QCheckBox, QWidget

from gui_kit.boxes import Form, column, row
from gui_kit.buttons import Button
from gui_kit.fields import TextField
from gui_kit.frame import Frame
from gui_kit.labels import Label
from gui_kit.segments import Segments
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import tr
from node_gui.checks import Check, check_of, verdict
from node_gui.checks_panel import ChecksPanel
from node_gui.hours_grid import HoursGrid
from node_gui.rates import own_rates
from node_gui.schedule_form import price_text
from node_gui.standing import AVAILABLE, OFF
from node_gui.wallet_panel import WalletPanel
from node_gui.week import week_of
from p2p.core.errors import CyxWizError, Refused, UserError
from p2p.core.money import parse_usd
from p2p.core.paths import Home

Done = Callable[[], None]
Failed = Callable[[CyxWizError], None]
_WEEKLY = "weekly"
_FIRST_HOURS = "mon-fri 18:00-08:00, sat,sun 00:00-24:00"


class StepPart(QWidget):
    """The part of a step."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self.frame = frame

    @property
    def is_ready(self) -> bool:
        """Whether it shows what it asked for."""
        return True

    def reload(self) -> None:
        """Ask for what it shows."""

    def apply(self, done: Done, failed: Failed) -> None:
        """Do what was chosen; exactly one of both is called."""
        done()

    def ask(self, done: Done, failed: Failed, name: str, **params: Any) -> None:
        """Ask the agent; ``done`` once it has answered."""
        self.frame.link.call(self, name, **params).then(lambda answer: done(), failed)


class ChecksStep(StepPart):
    """The self-test."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self._checks: list[Check] = []
        self.panel = ChecksPanel(frame)
        self.panel.mended.connect(self.reload)
        self.again = Button(tr("Check again"), "plain", "refresh")
        self.again.clicked.connect(self.reload)
        self.setLayout(column(row(self.again, None), self.panel, spacing_px=MARGIN_PX))

    @property
    def is_ready(self) -> bool:
        return bool(self._checks)

    def reload(self) -> None:
        self.again.set_busy(True)
        self.frame.link.call(self, "check").then(self._take, self._fail)

    def apply(self, done: Done, failed: Failed) -> None:
        state, sentence = verdict(self._checks)
        if state == "missing":
            failed(Refused("not_ready", sentence, hint=tr("Mend it, or skip this step and do it later.")))
        else:
            done()

    def _take(self, rows: list[dict[str, Any]]) -> None:
        self.again.set_busy(False)
        self._checks = [check_of(each) for each in rows]
        self.panel.set_checks(self._checks)

    def _fail(self, error: CyxWizError) -> None:
        self.again.set_busy(False)
        self.frame.toasts.show(" ".join(error.lines()), "danger")


class WalletStep(StepPart):
    """Who is paid."""

    def __init__(self, frame: Frame, home: Home) -> None:
        super().__init__(frame)
        self.panel = WalletPanel(home)
        self.panel.logged_in.connect(lambda words: frame.toasts.show(words))
        self.setLayout(column(self.panel))
        frame.link.status_changed.connect(self.reload)

    def reload(self) -> None:
        self.panel.show_payout(self.frame.link.status.get("payout") or {})


class PriceStep(StepPart):
    """What an hour costs at least."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        what = tr("0 takes every job at its class's rate.")
        self.price = TextField(tr("Lowest price in USD an hour"), what, check=parse_usd)
        self.rates = Label("", wrap=True)
        self.setLayout(column(Form(self.rates, self.price)))

    @property
    def is_ready(self) -> bool:
        return bool(self.rates.text())

    def reload(self) -> None:
        self.frame.link.call(self, "settings").then(self._take)
        asked = self.frame.link.call(self, "rates")
        asked.then(lambda found: self.rates.setText(own_rates(found)), self._no_rates)

    def apply(self, done: Done, failed: Failed) -> None:
        try:
            price = parse_usd(self.price.text() or "0")
        except UserError as error:
            failed(error)
            return
        self.ask(done, failed, "set", min_price_usd_micros_per_hour=price)

    def _no_rates(self, error: CyxWizError) -> None:
        self.rates.setText(tr("What others get is not known just now.") + " " + error.what)

    def _take(self, settings: dict[str, Any]) -> None:
        if not self.price.line.isModified():
            self.price.set_text(price_text(settings["min_price_usd_micros_per_hour"]))


class HoursStep(StepPart):
    """When jobs may come."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.when = Segments(
            tr("When may jobs come?"),
            ((AVAILABLE, tr("At any time")), (_WEEKLY, tr("In weekly hours")), (OFF, tr("Not yet"))),
        )
        self.grid = HoursGrid(tr("Hours of the week in which jobs may come"))
        self.note = Label("", "muted", wrap=True)
        self.grid.set_week(week_of(_FIRST_HOURS))
        self.when.chosen.connect(self._choose)
        self.setLayout(column(row(self.when, None), self.note, self.grid, spacing_px=MARGIN_PX))
        self._choose(AVAILABLE)

    def apply(self, done: Done, failed: Failed) -> None:
        key = self.when.key()
        hours = self.grid.week.text()
        if key == _WEEKLY and not hours:
            failed(UserError("bad_hours", tr("No hour is chosen, so no job would ever come.")))
            return
        weekly = {"scheduled": True, "hours": hours} if key == _WEEKLY else {"scheduled": False}
        to = OFF if key == OFF else AVAILABLE
        self.ask(lambda: self.ask(done, failed, "switch", to=to), failed, "set", **weekly)

    def _choose(self, key: str) -> None:
        self.when.show_key(key)
        self.grid.setVisible(key == _WEEKLY)
        words = {
            AVAILABLE: tr("Jobs come day and night, whenever one fits."),
            _WEEKLY: tr("Click or drag over the hours in which jobs may come."),
            OFF: tr("The machine stays off until you switch it on, on the page Home."),
        }
        self.note.setText(words[key])


class LoginStep(StepPart):
    """Whether the agent starts with the computer."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.on = QCheckBox(tr("Start the node when I log in to this computer"))
        self.on.setChecked(True)
        self.setLayout(column(self.on))

    def apply(self, done: Done, failed: Failed) -> None:
        self.ask(done, failed, "autostart", to=self.on.isChecked())
