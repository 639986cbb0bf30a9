"""Short news in the corner of a window, which go away by themselves and never take the focus."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QEvent, QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QFrame, QWidget

from gui_kit.boxes import row
from gui_kit.buttons import Button, IconButton
from gui_kit.labels import IconLabel, Label
from gui_kit.look import set_look
from gui_kit.states import Look
from gui_kit.tokens import GRID_PX, MARGIN_PX, Token
from gui_kit.words import tr

SHOWN_MS = 6000
Action = tuple[str, Callable[[], None]]
"""A word, and what it does."""
_TOASTS_MAX = 4
_WIDTH_MAX_PX = 420
_ICONS: dict[Token, str] = {
    "success": "check-circle-outline",
    "warning": "alert-outline",
    "danger": "alert-circle-outline",
}


class Toast(QFrame):
    """One piece of news. An error stays until it is closed."""

    closed = pyqtSignal()

    def __init__(self, parent: QWidget, text: str, look: Look, action: Action | None) -> None:
        super().__init__(parent)
        set_look(self, look="toast")
        self.label = Label(text, wrap=True)
        self.setAccessibleName(self.label.text())
        close = IconButton("close", tr("Close"))
        close.clicked.connect(self.dismiss)
        line = row(IconLabel(look.icon, look.token), self.label, margin_px=GRID_PX)
        line.setStretch(1, 1)
        if action is not None:
            button = Button(action[0], "flat")
            button.clicked.connect(action[1])
            button.clicked.connect(self.dismiss)
            line.addWidget(button)
        line.addWidget(close)
        self.setLayout(line)
        if look.token != "danger":
            QTimer.singleShot(SHOWN_MS, self.dismiss)

    def dismiss(self) -> None:
        """Take it away."""
        self.hide()
        self.closed.emit()
        self.deleteLater()


class Toasts(QObject):
    """The news of one window, the newest at the bottom."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._bottom_px = 0
        self._shown: list[Toast] = []
        window.installEventFilter(self)

    def show(self, text: str, token: Token = "success", action: Action | None = None) -> Toast:
        """Tell something, and offer to do something about it."""
        look = Look("", _ICONS.get(token, "information-outline"), token)
        toast = Toast(self._window, text, look, action)
        toast.closed.connect(lambda: self._forget(toast))
        self._shown.append(toast)
        for old in self._shown[:-_TOASTS_MAX]:
            old.dismiss()
        toast.show()
        self._place()
        return toast

    def set_bottom(self, height_px: int) -> None:
        """Keep clear of so much at the bottom: the status bar."""
        self._bottom_px = height_px

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() is QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _forget(self, gone: Toast) -> None:
        self._shown.remove(gone)
        self._place()

    def _place(self) -> None:
        bottom = self._window.height() - self._bottom_px - MARGIN_PX
        width = min(_WIDTH_MAX_PX, self._window.width() - 2 * MARGIN_PX)
        for toast in reversed(self._shown):
            toast.setFixedWidth(width)
            toast.adjustSize()
            toast.move(self._window.width() - width - MARGIN_PX, bottom - toast.height())
            bottom -= toast.height() + GRID_PX
            toast.raise_()
