"""One choice of a few, all of them to be seen: buttons side by side of which one is down."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QButtonGroup, QWidget

from gui_kit.boxes import row
from gui_kit.buttons import Button
from gui_kit.tokens import HALF_PX


class Segments(QWidget):
    """``chosen`` comes with the key that the person picked; what is down changes only by :meth:`show_key`,
    so that it shows how things are and not what was asked for."""

    chosen = pyqtSignal(str)

    def __init__(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self._key = ""
        self._keys = [key for key, _ in choices]
        self._group = QButtonGroup(self)
        self._group.setExclusive(False)
        self.buttons: dict[str, Button] = {}
        line = row(spacing_px=HALF_PX)
        for number, (key, word) in enumerate(choices):
            button = Button(word)
            button.setCheckable(True)
            button.setAccessibleDescription(name)
            self._group.addButton(button, number)
            self.buttons[key] = button
            line.addWidget(button)
        self.setLayout(line)
        self._group.idClicked.connect(self._on_click)

    def show_key(self, key: str) -> None:
        """Show which one is in force; an unknown one: none."""
        self._key = key
        for each, button in self.buttons.items():
            button.setChecked(each == key)

    def key(self) -> str:
        """The one that is in force."""
        return self._key

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        step = 0 if event is None else steps.get(Qt.Key(event.key()), 0)
        buttons = list(self.buttons.values())
        at = next((n for n, button in enumerate(buttons) if button.hasFocus()), None)
        if not step or at is None:
            super().keyPressEvent(event)
            return
        buttons[(at + step) % len(buttons)].setFocus(Qt.FocusReason.TabFocusReason)

    def _on_click(self, number: int) -> None:
        self.show_key(self._key)
        if self._keys[number] != self._key:
            self.chosen.emit(self._keys[number])
