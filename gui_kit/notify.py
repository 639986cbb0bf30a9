"""News for somebody who looks elsewhere: the desktop's own notifications, or else the corner of the
window."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtWidgets import QSystemTrayIcon

from gui_kit.frame import Frame
from gui_kit.icons import icon
from gui_kit.tokens import Token
from gui_kit.words import one_line, tr

_SHOWN_MS = 10_000
_TEXT_MAX_CHARS = 200


class Notifier:
    """Tells by ``tray`` while the window is not the one in use, and always in the window."""

    def __init__(self, frame: Frame, tray: QSystemTrayIcon) -> None:
        self._frame = frame
        self._tray = tray
        self._open: Callable[[], object] | None = None
        tray.messageClicked.connect(self._clicked)

    def notify(self, title: str, text: str, token: Token = "success", *, open_: Callable[[], None]) -> None:
        """Tell something; ``open_`` shows what it is about."""
        self._frame.toasts.show(text, token, (tr("Open"), open_))
        if not self._frame.isActiveWindow() and self._tray.isVisible() and QSystemTrayIcon.supportsMessages():
            self._open = open_
            self._tray.showMessage(_harmless(title), _harmless(text), icon("bell-outline", token), _SHOWN_MS)

    def _clicked(self) -> None:
        if self._open is not None:
            self._frame.showNormal()
            self._frame.raise_()
            self._frame.activateWindow()
            self._open()


def _harmless(text: str) -> str:
    """The desktop may read HTML in it."""
    return one_line(text).replace("<", "‹").replace(">", "›")[:_TEXT_MAX_CHARS]
