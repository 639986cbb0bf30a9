"""Buttons."""

from __future__ import annotations

from typing import Literal

from PyQt6.QtCore import QSize, Qt, QTimer
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QWidget

from gui_kit.icons import icon
from gui_kit.labels import COPIED_MS, Hash, copy_text
from gui_kit.look import set_look
from gui_kit.tokens import HALF_PX, ICON_PX, Token
from gui_kit.words import clean, tooltip, tr

ButtonLook = Literal["plain", "primary", "danger", "flat"]


class Button(QPushButton):
    """A button with a word. ``primary``: the one thing that its page is for; ``danger``: it cannot be
    undone."""

    def __init__(self, text: str, look: ButtonLook = "plain", icon_name: str = "") -> None:
        super().__init__(clean(text).replace("&", "&&"))
        set_look(self, look=look)
        self.setAccessibleName(clean(text))
        self.setAutoDefault(False)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        if icon_name:
            token: Token = {"primary": "on_fill", "danger": "on_fill", "flat": "accent"}.get(look, "text")  # type: ignore[assignment]
            self.setIcon(icon(icon_name, token))
            self.setIconSize(QSize(ICON_PX, ICON_PX))

    def set_busy(self, busy: bool) -> None:
        """While what it started is under way it can't be pressed again."""
        self.setEnabled(not busy)


class IconButton(QToolButton):
    """A button with an icon only; ``name`` says what it does, in its tooltip and to a screen reader."""

    def __init__(self, icon_name: str, name: str, *, checkable: bool = False) -> None:
        super().__init__()
        self.setIcon(icon(icon_name, "text", on="accent"))
        self.setIconSize(QSize(ICON_PX, ICON_PX))
        self.setToolTip(tooltip(name))
        self.setAccessibleName(clean(name))
        self.setCheckable(checkable)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class CopyLabel(QWidget):
    """A long text of which one sees beginning and end, and a button that copies all of it."""

    def __init__(self, text: str = "", what: str = "") -> None:
        super().__init__()
        self._text = ""
        self._label = Hash()
        self._button = IconButton("content-copy", tr("Copy {what}", what=what) if what else tr("Copy"))
        self._button.clicked.connect(self._copy)
        self._name = self._button.toolTip()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(HALF_PX)
        row.addWidget(self._label, 1)
        row.addWidget(self._button)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Another text; without one there is nothing to copy."""
        self._text = text
        self._label.setText(text or "–")
        self._button.setEnabled(bool(text))

    def text(self) -> str:
        """The whole text."""
        return self._text

    def _copy(self) -> None:
        self._button.setToolTip(copy_text(self._text))
        self._button.setIcon(icon("check", "success"))
        QTimer.singleShot(COPIED_MS, self._rest)

    def _rest(self) -> None:
        self._button.setToolTip(self._name)
        self._button.setIcon(icon("content-copy", "text"))
