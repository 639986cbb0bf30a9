"""Questions before money, destruction and unlocking: they say what will happen, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QDialog, QLayout, QWidget

from gui_kit.boxes import KeyValues, column, row
from gui_kit.buttons import Button
from gui_kit.labels import Label, Money
from gui_kit.tokens import MARGIN_PX, SECTION_PX
from gui_kit.words import one_line, tr

_WIDTH_PX = 480


class Confirm(QDialog):
    """A question. ``consequences``: what the yes does, as names and values such as exact amounts; ``yes``:
    the verb that does it, never *OK*. ``danger``: it cannot be undone, and Enter alone does not say yes."""

    def __init__(
        self,
        parent: QWidget,
        question: str,
        explanation: str,
        consequences: Sequence[tuple[str, str | Money]] = (),
        *,
        yes: str,
        no: str = "",
        danger: bool = False,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(one_line(question))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.yes = Button(yes, "danger" if danger else "primary")
        self.no = Button(no or tr("Cancel"))
        self.yes.clicked.connect(self.accept)
        self.no.clicked.connect(self.reject)
        self.body = column(
            Label(question, "title", wrap=True), Label(explanation, wrap=True), spacing_px=MARGIN_PX
        )
        if consequences:
            self.body.addWidget(KeyValues(*consequences))
        whole = column(self.body, row(None, self.no, self.yes), spacing_px=SECTION_PX, margin_px=SECTION_PX)
        whole.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # else as high as if it were narrower
        self.setLayout(whole)
        self.setFixedWidth(_WIDTH_PX)
        default = self.no if danger else self.yes
        default.setDefault(True)
        default.setFocus()

    def showEvent(self, event: QShowEvent | None) -> None:
        self._fit()
        super().showEvent(event)

    def event(self, event: QEvent | None) -> bool:
        done = super().event(event)
        if event is not None and event.type() is QEvent.Type.LayoutRequest:
            self._fit()
        return done

    def _fit(self) -> None:
        """As high as its text needs to be at this width; also when it becomes another text."""
        layout = self.layout()
        if layout is not None:
            self.resize(_WIDTH_PX, layout.totalHeightForWidth(_WIDTH_PX))


def ask(
    parent: QWidget,
    question: str,
    explanation: str,
    consequences: Sequence[tuple[str, str | Money]] = (),
    *,
    yes: str,
    no: str = "",
    danger: bool = False,
    then: Callable[[], None],
) -> Confirm:
    """Ask; ``then`` is done after a yes."""
    dialog = Confirm(parent, question, explanation, consequences, yes=yes, no=no, danger=danger)
    dialog.accepted.connect(then)
    dialog.open()
    return dialog
