"""The rail at the left of a window: one button for each of its pages, with icon and word."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import QButtonGroup, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from gui_kit.boxes import Scroll, column
from gui_kit.icons import icon
from gui_kit.labels import Label
from gui_kit.tokens import GRID_PX, ICON_PX, MARGIN_PX, RAIL_WIDTH_PX

_KEYS_MAX = 9


class Rail(QWidget):
    """``chosen`` comes with the number of a page. Arrow keys go up and down; Ctrl+1 … Ctrl+9 from
    anywhere."""

    chosen = pyqtSignal(int)

    def __init__(self, product: str) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(RAIL_WIDTH_PX)
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self.chosen)
        name = Label(product, "title")
        name.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        inner = QWidget()
        self._box = QVBoxLayout(inner)
        self._box.setContentsMargins(0, 0, 0, GRID_PX)
        self._box.setSpacing(0)
        self._box.addWidget(name)
        self._box.addStretch(1)
        self.setLayout(column(Scroll(inner)))  # a low window with a high banner has no room for all

    def add(self, title: str, icon_name: str) -> int:
        """One more page; returns its number."""
        number = len(self._group.buttons())
        button = _RailButton()
        button.setText(title)
        button.setAccessibleName(title)
        button.setIcon(icon(icon_name, "muted", on="accent"))
        self._group.addButton(button, number)
        self._box.insertWidget(self._box.count() - 1, button)
        if number < _KEYS_MAX:
            keys = QKeySequence(f"Ctrl+{number + 1}")
            QShortcut(keys, self, context=Qt.ShortcutContext.WindowShortcut).activated.connect(button.click)
            button.setToolTip(f"{title} ({keys.toString(QKeySequence.SequenceFormat.NativeText)})")
        return number

    def select(self, number: int) -> None:
        """Show which page is open."""
        button = self._group.button(number)
        if button is not None:
            button.setChecked(True)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        step = 0 if event is None else {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()), 0)
        buttons = self._group.buttons()
        at = next((n for n, button in enumerate(buttons) if button.hasFocus()), None)
        if not step or at is None:
            super().keyPressEvent(event)
            return
        buttons[(at + step) % len(buttons)].setFocus(Qt.FocusReason.TabFocusReason)


class _RailButton(QToolButton):
    def __init__(self) -> None:
        super().__init__()
        self.setCheckable(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QSize(ICON_PX + GRID_PX, ICON_PX))  # room between it and the word
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        """As high as the style says, which is enough for icon and word."""
        return QSize(super().sizeHint().width(), self.minimumHeight())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Up and down are the rail's; Enter presses, as Space does."""
        if event is not None and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            event.ignore()
        elif event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)
