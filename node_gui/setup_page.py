"""The first run: what a machine needs before its first job, step by step. Each can be skipped and resumed."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtWidgets import QWidget

from gui_kit.boxes import Card, column, row
from gui_kit.buttons import Button
from gui_kit.frame import Frame
from gui_kit.labels import Label, StateLabel
from gui_kit.page import Page
from gui_kit.preferences import Preferences
from gui_kit.states import STEPS, Look, look
from gui_kit.tokens import GRID_PX, MARGIN_PX
from gui_kit.words import tr
from node_gui.setup_steps import ChecksStep, HoursStep, LoginStep, PriceStep, StepPart, WalletStep
from node_gui.wizard import Wizard, resumed, steps
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home

MEMORY = "setup"
_STEPS_WIDTH_PX = 232


class SetupPage(Page):
    """``on_end`` is called when the last step was done or skipped, or the person leaves."""

    def __init__(
        self, frame: Frame, home: Home, preferences: Preferences, on_end: Callable[[], None]
    ) -> None:
        super().__init__(tr("Set up this node"), "rocket-launch-outline", scrolls=True)
        self._frame, self._preferences, self._on_end = frame, preferences, on_end
        self.wizard: Wizard = resumed(preferences.get(MEMORY))
        if self.wizard.is_over:
            self.wizard = Wizard()
        self.parts: dict[str, StepPart] = {
            "checks": ChecksStep(frame),
            "wallet": WalletStep(frame, home),
            "price": PriceStep(frame),
            "hours": HoursStep(frame),
            "login": LoginStep(frame),
        }
        self.title_label, self.what = Label("", "heading", wrap=True), Label("", "muted", wrap=True)
        self.problem = Label("", "problem", wrap=True)
        self.go_on = Button(tr("Continue"), "primary")
        self.skip = Button(tr("Skip for now"))
        self.go_back = Button(tr("Back"))
        self.leave = Button(tr("Finish later"), "flat")
        self._states: dict[str, StateLabel] = {}
        self._build()
        self._show_step()

    def reload(self) -> None:
        self.parts[self.wizard.at].reload()

    # -- what the person does

    def finish_step(self) -> None:
        """Have the agent take up what was chosen, then go on."""
        self.problem.hide()
        self._set_busy(True)
        self.parts[self.wizard.at].apply(self._finished, self._failed)

    def skip_step(self) -> None:
        """On, without it."""
        self._move(self.wizard.skip())

    def go_to_step(self, key: str) -> None:
        """To any step."""
        self._move(self.wizard.go(key))

    def step_back(self) -> None:
        """To the step before."""
        self._move(self.wizard.back())

    # -- inside

    def _build(self) -> None:
        found = column(spacing_px=GRID_PX)
        for step in steps():
            label = StateLabel()
            self._states[step.key] = label
            found.addWidget(label)
        found.addStretch(1)
        aside = QWidget()
        aside.setFixedWidth(_STEPS_WIDTH_PX)
        aside.setLayout(found)
        buttons = row(self.go_back, None, self.leave, self.skip, self.go_on)
        main = Card("", self.title_label, self.what, *self.parts.values(), self.problem, buttons)
        main.body.setSpacing(MARGIN_PX)
        self.problem.hide()
        both = row(aside, main, spacing_px=MARGIN_PX)
        both.setStretch(1, 1)
        self.body.addLayout(both)
        self.body.addStretch(1)
        self.go_on.clicked.connect(self.finish_step)
        self.skip.clicked.connect(self.skip_step)
        self.go_back.clicked.connect(self.step_back)
        self.leave.clicked.connect(self._on_end)

    def _finished(self) -> None:
        self._set_busy(False)
        self._move(self.wizard.finish())

    def _failed(self, error: CyxWizError) -> None:
        self._set_busy(False)
        self.problem.setText("\n".join(error.lines()))
        self.problem.show()

    def _move(self, wizard: Wizard) -> None:
        self.wizard = wizard
        self._preferences.set(MEMORY, wizard.save())
        if wizard.is_over:
            self._on_end()
        else:
            self._show_step()
            self.parts[wizard.at].reload()

    def _show_step(self) -> None:
        step = self.wizard.step
        self.title_label.setText(step.title)
        self.what.setText(step.what)
        self.problem.hide()
        self.go_back.setVisible(not self.wizard.is_first)
        for at, each in enumerate(steps()):
            found = look(STEPS, self.wizard.state(each.key))
            words = f"{at + 1}. {each.title}"
            self._states[each.key].set_look(Look(words, found.icon, found.token))
            self._states[each.key].setAccessibleName(f"{words}: {found.word}")
        for key, part in self.parts.items():
            part.setVisible(key == step.key)

    def _set_busy(self, busy: bool) -> None:
        for button in (self.go_on, self.skip, self.go_back):
            button.set_busy(busy)


def setup_state(preferences: Preferences) -> Wizard:
    """How far the first run is."""
    return resumed(preferences.get(MEMORY))
