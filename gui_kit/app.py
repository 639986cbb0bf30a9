"""The process of a window: application, theme, Ctrl-C, mistakes of our own, closing."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import TracebackType

from PyQt6 import sip
from PyQt6.QtCore import QMessageLogContext, QSocketNotifier, QTimer, QtMsgType, qInstallMessageHandler
from PyQt6.QtWidgets import QApplication

from gui_kit.frame import Frame
from gui_kit.icons import icon
from gui_kit.preferences import Preferences
from gui_kit.theme import theme
from gui_kit.words import tr
from p2p.core.paths import AgentPaths
from p2p.local.home import make_private

_LOG = logging.getLogger("gui")
_ICON = "chip"
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
}


def run_window(name: str, paths: AgentPaths, make: Callable[[Preferences], Frame]) -> int:
    """Show the window that ``make`` makes until it is closed; returns the exit code.

    :raises EnvironmentFailure: the home can't be used.
    """
    folder = make_private(paths.folder)
    logging.basicConfig(filename=folder / "window.log", level=logging.INFO, force=True)
    qInstallMessageHandler(_log_qt)
    app = QApplication([name])
    app.setApplicationName(name)
    app.setDesktopFileName(name)
    preferences = Preferences(folder / "window.ini")
    theme().install(app, preferences.mode)
    app.setWindowIcon(icon(_ICON, "accent"))
    window = make(preferences)
    sys.excepthook = lambda kind, error, trace: _mistake(window, kind, error, trace)
    preferences.restore_window(window)
    app.aboutToQuit.connect(lambda: preferences.save_window(window))
    app.aboutToQuit.connect(window.link.close)
    stopper = _Stopper(app)
    window.show()
    code = app.exec()
    stopper.close()
    sip.delete(window)  # before the application, which Python would let go first
    return code


def _mistake(
    window: Frame, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A mistake of our own in one place must not take the window down."""
    if issubclass(kind, KeyboardInterrupt):
        QApplication.quit()
        return
    _LOG.error("a mistake in the window", exc_info=(kind, error, trace))
    text = tr("A mistake in the window itself ({kind}). Jobs and money are not touched.", kind=kind.__name__)
    window.toasts.show(text, "danger")


def _log_qt(kind: QtMsgType, context: QMessageLogContext, message: str | None) -> None:
    _LOG.log(_LEVELS.get(kind, logging.ERROR), "Qt: %s", message)


class _Stopper:
    """Ctrl-C and SIGTERM close the window as its button does, though Qt's loop runs no Python by itself."""

    def __init__(self, app: QApplication) -> None:
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._notifier = QSocketNotifier(self._reads.fileno(), QSocketNotifier.Type.Read)  # type: ignore[call-overload]
        self._notifier.activated.connect(self._wake)
        self._old = signal.set_wakeup_fd(self._writes.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: QTimer.singleShot(0, app.quit))  # also before the loop runs

    def close(self) -> None:
        signal.set_wakeup_fd(self._old)
        self._notifier.setEnabled(False)
        self._reads.close()
        self._writes.close()

    def _wake(self) -> None:
        self._reads.recv(64)
