"""The icon in the system's tray: how the machine stands, and what one most often wants of it.

Where there is no tray, the window is all there is, and closing it ends it; jobs go on either way.
"""

from __future__ import annotations

from PyQt6.QtCore import QObject
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QApplication, QMenu, QSystemTrayIcon

from gui_kit.frame import Frame
from gui_kit.icons import icon
from gui_kit.states import NODE_STATES, LinkState, look
from gui_kit.words import tr
from node_gui.home_page import PAUSE_S
from node_gui.quitting import QuitQuestion
from node_gui.standing import AVAILABLE, FINISHING, Standing, standing
from p2p.core.errors import CyxWizError


class Tray(QObject):
    """Its menu is there even where no tray is; :attr:`is_shown` says whether anybody can reach it."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self._frame = frame
        self.icon = QSystemTrayIcon(icon("server-off", "muted"), self)
        self.menu = QMenu(frame)
        self.state = self._act("", lambda: None)
        self.state.setEnabled(False)
        self.menu.addSeparator()
        self.show_window = self._act(tr("Open the window"), self.open_window)
        self.resume = self._act(tr("Take jobs"), lambda: self._ask("switch", to=AVAILABLE))
        self.pause = self._act(tr("Pause for 1 hour"), lambda: self._ask("pause", for_s=PAUSE_S))
        self.finish = self._act(tr("Finish, then stop"), lambda: self._ask("switch", to=FINISHING))
        self.menu.addSeparator()
        self.quit = self._act(tr("Quit"), self.ask_to_quit)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._on_click)
        frame.link.status_changed.connect(self._show)
        frame.link.state_changed.connect(self._show)
        self._show()
        if QSystemTrayIcon.isSystemTrayAvailable():
            QApplication.setQuitOnLastWindowClosed(False)  # what hides the window does not end it
            self.icon.show()

    @property
    def is_shown(self) -> bool:
        """Whether the window can be closed and found again."""
        return self.icon.isVisible()

    def open_window(self) -> None:
        """Bring the window to the front."""
        self._frame.showNormal()
        self._frame.raise_()
        self._frame.activateWindow()

    def tell(self, title: str, text: str) -> None:
        """Say something beside the icon."""
        if QSystemTrayIcon.supportsMessages():
            self.icon.showMessage(title, text, self.icon.icon())

    def ask_to_quit(self) -> QuitQuestion | None:
        """End the window; with a job that runs, ask first what shall become of it."""
        jobs = standing(self._frame.link.status).jobs
        if not jobs or self._frame.link.state is not LinkState.CONNECTED:
            QApplication.quit()
            return None
        self.open_window()
        question = QuitQuestion(self._frame, jobs)
        question.open()
        return question

    # -- inside

    def _act(self, text: str, do: object) -> QAction:
        action = QAction(text, self)
        action.triggered.connect(lambda: do())  # type: ignore[operator]
        self.menu.addAction(action)
        return action

    def _show(self) -> None:
        link = self._frame.link
        found: Standing = standing(link.status)
        there = link.state is LinkState.CONNECTED
        shown = look(NODE_STATES, found.state)
        words = shown.word if there else tr("Not connected to the agent")
        self.icon.setIcon(icon(shown.icon if there else "server-off", shown.token if there else "muted"))
        self.icon.setToolTip(tr("CyxWiz Node: {state}", state=words))
        self.state.setText(words)
        self.resume.setVisible(found.switch != AVAILABLE or bool(found.paused_until_s))
        self.pause.setVisible(found.switch == AVAILABLE and not found.paused_until_s)
        self.finish.setVisible(found.switch == AVAILABLE)
        for action in (self.resume, self.pause, self.finish):
            action.setEnabled(there)

    def _ask(self, name: str, **params: object) -> None:
        self._frame.link.call(self, name, **params).then(self._changed, self._failed)

    def _changed(self, answer: object) -> None:
        self._frame.link.retry()

    def _failed(self, error: CyxWizError) -> None:
        self._frame.toasts.show(" ".join(error.lines()), "danger")

    def _on_click(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason is QSystemTrayIcon.ActivationReason.Trigger:
            self.open_window()
