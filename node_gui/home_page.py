"""Home: the one switch, what runs or why nothing does, and what was earned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QProgressBar, QWidget

from gui_kit.boxes import Card, column, row
from gui_kit.buttons import Button
from gui_kit.dialogs import Confirm, ask
from gui_kit.frame import Frame
from gui_kit.labels import Elided, Label, StateLabel
from gui_kit.page import Page
from gui_kit.segments import Segments
from gui_kit.states import NODE_STATES, look
from gui_kit.tokens import GRID_PX, MARGIN_PX
from gui_kit.words import tr
from node_gui.attempts import AttemptRow, how_far
from node_gui.figures_row import FiguresRow
from node_gui.job_page import JobPage
from node_gui.outlook_card import OutlookCard
from node_gui.standing import AVAILABLE, FINISHING, OFF, Standing, standing
from node_gui.wizard import Wizard
from p2p.core.errors import CyxWizError

_STEPS = 1000
PAUSE_S = 3600


class HomePage(Page):
    """Follows the agent's ``status``, which the link asks for anyway."""

    set_up_asked = pyqtSignal()

    def __init__(self, frame: Frame) -> None:
        super().__init__(tr("Home"), "home-outline", scrolls=True)
        self._frame = frame
        self.standing: Standing | None = None
        self.switch = Segments(
            tr("Does this machine take jobs?"),
            ((AVAILABLE, tr("Available")), (FINISHING, tr("Finish, then stop")), (OFF, tr("Off"))),
        )
        self.state = StateLabel()
        self.headline, self.rest = Label("", "title", wrap=True), Label("", "muted", wrap=True)
        self.pause = Button(tr("Pause for 1 hour"), "plain", "pause-circle-outline")
        self.resume = Button(tr("Go on now"), "plain", "play-circle-outline")
        self.to_checks = Button(tr("Open the setup checks"), "plain", "clipboard-check-outline")
        self.to_wallet = Button(tr("Log in the wallet again"), "plain", "wallet-outline")
        self.setup_words = Label()
        self.set_up = Button(tr("Go on with it"))
        self._jobs = column(spacing_px=GRID_PX)
        self._lines: dict[str, _JobLine] = {}
        self.figures = FiguresRow()
        self.outlook = OutlookCard(frame)
        self._build()
        self.show_loading(tr("Asking the agent how this machine stands"))
        frame.link.status_changed.connect(self._show_status)

    def reload(self) -> None:
        self._frame.link.retry()
        self.outlook.reload()

    def show_setup(self, wizard: Wizard) -> None:
        """Remind of the first run while something of it is left."""
        left = wizard.open_count
        self.setup_words.setText(
            tr("Setting up this node is not finished: {count} steps are left.", count=left)
            if left > 1
            else tr("Setting up this node is not finished: one step is left.")
        )
        self._setup_row.setVisible(left > 0)

    # -- what the person does

    def turn(self, to: str) -> Confirm | None:
        """Turn the switch; ending jobs is asked about first."""
        jobs = self.standing.jobs if self.standing is not None else ()
        if to != OFF or not jobs:
            self._ask("switch", to=to)
            return None
        return ask_to_stop_jobs(self, jobs, then=lambda: self._ask("switch", to=to))

    # -- inside

    def _build(self) -> None:
        self.set_up.clicked.connect(self.set_up_asked)
        self.switch.chosen.connect(self.turn)
        self.pause.clicked.connect(lambda: self._ask("pause", for_s=PAUSE_S))
        self.resume.clicked.connect(lambda: self._ask("switch", to=AVAILABLE))
        self.to_checks.clicked.connect(lambda: self._frame.go_to(tr("Setup checks")))
        self.to_wallet.clicked.connect(lambda: self._frame.go_to(tr("Settings")))
        for button in (self.pause, self.resume, self.to_checks, self.to_wallet):
            button.hide()
        actions = row(self.to_checks, self.to_wallet, self.pause, self.resume, None)
        self._setup_row = Card("", row(self.setup_words, None, self.set_up))
        self._setup_row.hide()
        self.body.addWidget(self._setup_row)
        now = Card("", row(self.switch, None, self.state), self.headline, self.rest, self._jobs, actions)
        now.body.setSpacing(MARGIN_PX)
        now.setAccessibleName(tr("Now"))
        self.rest.hide()
        self.body.addWidget(now)
        self.body.addWidget(Label(tr("Earned, after the fee"), "title"))
        self.body.addWidget(self.figures)
        self.body.addWidget(self.outlook)
        self.body.addStretch(1)

    def _ask(self, name: str, **params: Any) -> None:
        self._set_busy(True)
        self._frame.link.call(self, name, **params).then(self._changed, self._refused)

    def _changed(self, answer: object) -> None:
        self._set_busy(False)
        self._frame.link.retry()

    def _refused(self, error: CyxWizError) -> None:
        self._set_busy(False)
        self._frame.toasts.show(" ".join(error.lines()), "danger")

    def _set_busy(self, busy: bool) -> None:
        self.switch.setEnabled(not busy)
        for button in (self.pause, self.resume):
            button.set_busy(busy)

    def _show_status(self) -> None:
        self.standing = found = standing(self._frame.link.status)
        self.switch.show_key(found.switch)
        self.state.set_look(look(NODE_STATES, found.state))
        self.headline.setText(found.headline)
        self.rest.setText(found.rest)
        self.rest.setVisible(bool(found.rest))
        self.pause.setVisible(found.switch == AVAILABLE and not found.paused_until_s)
        self.resume.setVisible(bool(found.paused_until_s))
        self.to_checks.setVisible(found.wants_checks)
        self.to_wallet.setVisible(found.wants_login)
        self._show_jobs(found.jobs)
        self.figures.show_earned(self._frame.link.status)
        self.show_content()

    def _show_jobs(self, jobs: Sequence[AttemptRow]) -> None:
        keys = {job.key for job in jobs}
        for key in [key for key in self._lines if key not in keys]:
            line = self._lines.pop(key)
            line.hide()
            line.deleteLater()
        for job in jobs:
            if job.key not in self._lines:
                self._lines[job.key] = _JobLine(self._frame)
                self._jobs.addWidget(self._lines[job.key])
            self._lines[job.key].show_job(job)


class _JobLine(QWidget):
    """A job that runs now."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame
        self._job: AttemptRow | None = None
        self._name, self._state, self._far = Elided(""), StateLabel(), Label("", "muted")
        self._open = Button(tr("Open"), "flat")
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._open.clicked.connect(self._open_job)
        line = row(self._state, self._name, self._far, self._open, spacing_px=MARGIN_PX)
        line.setStretch(1, 1)
        self.setLayout(column(line, self._bar))

    def show_job(self, job: AttemptRow) -> None:
        self._job = job
        words, share = how_far(job)
        self._name.setText(job.title)
        self._state.set_look(job.look)
        self._far.setText(words)
        self._open.setAccessibleName(tr("Open {name}", name=self._name.text()))
        self._bar.setAccessibleName(tr("Progress of {name}", name=self._name.text()))
        self._bar.setValue(int(_STEPS * (share or 0)))
        self._bar.setVisible(share is not None)

    def _open_job(self) -> None:
        if self._job is not None:
            self._frame.open_page(JobPage(self._frame, self._job.key, self._job.title))


def ask_to_stop_jobs(parent: QWidget, jobs: Sequence[AttemptRow], *, then: Any) -> Confirm:
    """Ask before jobs are ended that people wait for."""
    names = ", ".join(job.title for job in jobs)
    return ask(
        parent,
        tr("Switch off and end what runs?"),
        tr("Jobs that run are ended here and now and their results are lost. They go back to the "
           "coordinator, which looks for another node. To let them finish, choose “Finish, then stop”."),
        [(tr("Ended"), names), (tr("You earn"), tr("nothing for them"))],
        yes=tr("End them and switch off"),
        danger=True,
        then=then,
    )  # fmt: skip
