"""Boxes and grids: cards, rows of names and values, scrolling bodies. All distances are the tokens'."""

from __future__ import annotations

from typing import TypeVar

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLayout,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui_kit.labels import Label
from gui_kit.look import set_look
from gui_kit.tokens import FORM_WIDTH_PX, GRID_PX, MARGIN_PX
from gui_kit.words import clean

L = TypeVar("L", bound=QBoxLayout)
_FORM_FIRST = 1000
"""How much more of the room a form takes than what is beside it, until it is wide enough."""


def column(*items: QWidget | QLayout | None, spacing_px: int = GRID_PX, margin_px: int = 0) -> QVBoxLayout:
    """Items one under another; None is a stretch."""
    return _fill(QVBoxLayout(), items, spacing_px, margin_px)


def row(*items: QWidget | QLayout | None, spacing_px: int = GRID_PX, margin_px: int = 0) -> QHBoxLayout:
    """Items beside one another; None is a stretch."""
    return _fill(QHBoxLayout(), items, spacing_px, margin_px)


def _fill(layout: L, items: tuple[QWidget | QLayout | None, ...], spacing_px: int, margin_px: int) -> L:
    layout.setSpacing(spacing_px)
    layout.setContentsMargins(margin_px, margin_px, margin_px, margin_px)
    for item in items:
        if item is None:
            layout.addStretch(1)
        elif isinstance(item, QWidget):
            layout.addWidget(item)
        else:
            layout.addLayout(item)
    return layout


class Beside(QWidget):
    """Items of equal size beside one another, or one under another where one would be narrower than
    ``narrowest_px``."""

    def __init__(self, *items: QWidget, narrowest_px: int) -> None:
        super().__init__()
        self._needed_px = len(items) * (narrowest_px + MARGIN_PX) - MARGIN_PX
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(MARGIN_PX)
        for item in items:
            item.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
            self._box.addWidget(item, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        narrow = self.width() < self._needed_px
        ways = QBoxLayout.Direction
        self._box.setDirection(ways.TopToBottom if narrow else ways.LeftToRight)


class Line(QFrame):
    """A thin line between parts."""

    def __init__(self) -> None:
        super().__init__()
        set_look(self, look="line")


class Card(QFrame):
    """A box of the surface colour with an optional title; ``body`` takes what is in it."""

    def __init__(self, title: str = "", *items: QWidget | QLayout | None) -> None:
        super().__init__()
        set_look(self, look="card")
        self.body = column(margin_px=MARGIN_PX)
        self.setLayout(self.body)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        if title:
            self.setAccessibleName(clean(title))
            self.body.addWidget(Label(title, "title"))
        for item in items:
            if isinstance(item, QLayout):
                self.body.addLayout(item)
            elif item is not None:
                self.body.addWidget(item)


class KeyValues(QWidget):
    """Names on the left, values on the right, each pair on a line."""

    def __init__(self, *pairs: tuple[str, QWidget | str]) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(MARGIN_PX)
        self._grid.setVerticalSpacing(GRID_PX)
        self._grid.setColumnStretch(1, 1)
        self._values: dict[str, QWidget] = {}
        for name, value in pairs:
            self.add(name, value)

    def add(self, name: str, value: QWidget | str) -> None:
        """One more pair; a text becomes a label that can be selected."""
        widget = Label(value, wrap=True, selectable=True) if isinstance(value, str) else value
        key, at = Label(name, "muted"), self._grid.rowCount()
        side = Qt.AlignmentFlag.AlignTop if isinstance(value, str) else Qt.AlignmentFlag.AlignVCenter
        key.setAlignment(side | Qt.AlignmentFlag.AlignLeft)
        key.setBuddy(widget)
        if not widget.accessibleName():
            widget.setAccessibleName(clean(name))
        self._grid.addWidget(key, at, 0)
        self._grid.addWidget(widget, at, 1)
        self._values[name] = widget

    def set(self, name: str, text: str) -> None:
        """Change the text of a pair that was added with a text."""
        label = self._values[name]
        if isinstance(label, Label):
            label.setText(text)

    def show_pair(self, name: str, shown: bool) -> None:
        """Show or hide a pair."""
        at = self._grid.indexOf(self._values[name])
        for widget in (self._grid.itemAt(at - 1), self._grid.itemAt(at)):
            if widget is not None and (found := widget.widget()) is not None:
                found.setVisible(shown)


class Form(QWidget):
    """Fields one under another, no wider than one reads well."""

    def __init__(self, *items: QWidget | QLayout | None) -> None:
        super().__init__()
        inner = QWidget()
        inner.setMaximumWidth(FORM_WIDTH_PX)
        inner.setLayout(column(*items, spacing_px=MARGIN_PX))
        line = row(inner, None)
        line.setStretch(0, _FORM_FIRST)
        self.setLayout(line)


class Scroll(QScrollArea):
    """A body that scrolls up and down where it doesn't fit."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content.setObjectName("content")
        self.setWidget(content)

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), 0)
