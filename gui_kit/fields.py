"""Form fields: the name above, help and problem right below the field that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QSignalBlocker, Qt
from PyQt6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from gui_kit.boxes import row
from gui_kit.icons import icon
from gui_kit.labels import Label
from gui_kit.look import set_look
from gui_kit.tokens import HALF_PX
from gui_kit.words import clean
from p2p.core.errors import CyxWizError


def search_field(placeholder: str) -> QLineEdit:
    """A field in which one types what is looked for."""
    field = QLineEdit()
    field.setPlaceholderText(placeholder)
    field.setAccessibleName(placeholder)
    field.setClearButtonEnabled(True)
    field.addAction(icon("magnify", "muted"), QLineEdit.ActionPosition.LeadingPosition)
    return field


class Field(QWidget):
    """An editor with its name, and one line of help whose place a problem takes; ``beside``: buttons that
    fill it in."""

    def __init__(
        self, name: str, editor: QWidget, help_text: str = "", *, beside: Sequence[QWidget] = ()
    ) -> None:
        super().__init__()
        self.editor = editor
        self.problem = ""
        self._help = help_text
        self._note = Label(help_text, "small", wrap=True)
        self._note.setVisible(bool(help_text))
        title = Label(name)
        title.setBuddy(editor)
        editor.setAccessibleName(clean(name))
        editor.setAccessibleDescription(clean(help_text))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(HALF_PX)
        line = row(editor, *beside)
        line.setStretch(0, 1)
        box.addWidget(title)
        box.addLayout(line)
        box.addWidget(self._note)
        self.setFocusProxy(editor)

    def set_problem(self, problem: str) -> None:
        """Say what is wrong with this field; an empty text says that nothing is."""
        self.problem = clean(problem)
        set_look(self.editor, bad="true" if problem else "false")
        set_look(self._note, look="problem" if problem else "small")
        self._note.setText(problem or self._help)
        self._note.setVisible(bool(problem or self._help))
        self.editor.setAccessibleDescription(clean(problem or self._help))


class TextField(Field):
    """A line of text. ``check`` says what it means, or raises what is wrong with it, which is shown as
    soon as the person has left the field, and no longer than it is wrong."""

    def __init__(
        self,
        name: str,
        help_text: str = "",
        *,
        placeholder: str = "",
        secret: bool = False,
        check: Callable[[str], object] | None = None,
    ) -> None:
        self.line = QLineEdit()
        super().__init__(name, self.line, help_text)
        self._check = check
        self.line.setPlaceholderText(placeholder)
        if secret:
            self.line.setEchoMode(QLineEdit.EchoMode.Password)
        self.line.editingFinished.connect(self.validate)
        self.line.textEdited.connect(self._on_edit)

    def text(self) -> str:
        """What was typed, without blanks around it."""
        return self.line.text().strip()

    def on_return(self, do: Callable[[], object]) -> None:
        """Have something done when Return is pressed in it: after it was checked, so that what that finds
        wrong is not taken back."""
        self.line.returnPressed.connect(do, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]

    def set_text(self, text: str) -> None:
        """Fill in."""
        with QSignalBlocker(self.line):
            self.line.setText(text)
        if self.problem:
            self.validate()

    def validate(self) -> bool:
        """Check now; shows the problem or clears it."""
        try:
            if self._check is not None and self.text():
                self._check(self.text())
        except CyxWizError as error:
            self.set_problem(" ".join(part for part in (error.what, error.hint) if part))
            return False
        self.set_problem("")
        return True

    def _on_edit(self) -> None:
        if self.problem:
            self.validate()
