"""More time for a job: how much, what that locks and costs, and the yes."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QLineEdit, QWidget

from engine_gui.job_form import limit_text
from engine_gui.topup_model import CHOICES_S, figure_names, figures, require_balance, seconds_of
from gui_kit.boxes import KeyValues
from gui_kit.buttons import Button
from gui_kit.call import Call
from gui_kit.dialogs import Confirm
from gui_kit.fields import Field
from gui_kit.link import AgentLink
from gui_kit.segments import Segments
from gui_kit.words import clean, tr
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError

Json = dict[str, Any]

_TYPING_MS = 400
_UNKNOWN = "–"


class TopUpDialog(Confirm):
    """The yes is possible while the agent's figures for just what is typed are shown. ``job``: as ``show``
    has it now."""

    def __init__(self, parent: QWidget, link: AgentLink, job: Json) -> None:
        super().__init__(
            parent,
            tr("Add time to {name}?", name=clean(job["name"])),
            tr("It is paid for at the rates agreed first. What the job does not use comes back to you."),
            yes=tr("Add time"),
        )
        self.seconds = 0
        """Those of the figures that are shown; 0: none are."""
        self._link, self._job = link, job
        self._call: Call | None = None
        self.choices = Segments(
            tr("Time to add"), [(limit_text(each), limit_text(each)) for each in CHOICES_S]
        )
        self.line = QLineEdit()
        self.field = Field(tr("Time to add"), self.line, tr("Such as 45min or 3h."))
        self._figures = KeyValues(*((name, _UNKNOWN) for name in figure_names()))
        for part in (self.choices, self.field, self._figures):
            self.body.addWidget(part)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_TYPING_MS)
        self._pause.timeout.connect(self._ask)
        self.choices.chosen.connect(self._choose)
        self.line.textEdited.connect(self._edited)
        self._choose(limit_text(CHOICES_S[0]))
        self.line.setFocus()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Enter does what has the focus: one that was meant for something else locks no money."""
        if event is None or event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif isinstance(focused := self.focusWidget(), Button):
            focused.click()
        elif self.seconds:
            self.yes.setFocus()
        elif self._call is None:
            self._ask()

    def _choose(self, text: str) -> None:
        self.line.setText(text)
        self._edited(text)
        self._ask()

    def _edited(self, text: str) -> None:
        """Nothing is known of what is typed now."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.choices.show_key(text)
        self.field.set_problem("")
        self._say(0, (_UNKNOWN,) * len(figure_names()))
        self._pause.start()

    def _ask(self) -> None:
        self._pause.stop()
        try:
            seconds = seconds_of(self.line.text())
        except CyxWizError as error:
            self._refuse(error)
            return
        call = self._link.call(self, "topup_terms", job=self._job["job_id"], seconds=seconds)
        self._call = call.then(self._show, self._refuse)

    def _show(self, terms: Json) -> None:
        self._call = None
        self._say(terms["seconds"], figures(terms, self._job, SYSTEM_CLOCK.now_s()))
        try:
            require_balance(terms)
        except CyxWizError as error:
            self._refuse(error)

    def _refuse(self, error: CyxWizError) -> None:
        self._call = None
        self.seconds = 0
        self.yes.setEnabled(False)
        self.field.set_problem("\n".join(error.lines()))

    def _say(self, seconds: int, values: tuple[str, ...]) -> None:
        self.seconds = seconds
        self.yes.setEnabled(seconds > 0)
        for name, value in zip(figure_names(), values, strict=True):
            self._figures.set(name, value)
