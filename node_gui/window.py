"""The seller's window: its pages, its place in the tray, the first run."""

from __future__ import annotations

from PyQt6.QtGui import QCloseEvent, QShowEvent
from PyQt6.QtWidgets import QApplication

from gui_kit.frame import Frame
from gui_kit.link import AgentLink
from gui_kit.loop import AgentClient
from gui_kit.network import show_network
from gui_kit.preferences import Preferences
from gui_kit.words import tr
from node_gui.checks_page import ChecksPage
from node_gui.earnings_page import EarningsPage
from node_gui.hardware_page import HardwarePage
from node_gui.home_page import HomePage
from node_gui.jobs_page import JobsPage
from node_gui.logs_page import LogsPage
from node_gui.news import News
from node_gui.schedule_page import SchedulePage
from node_gui.settings_page import SettingsPage
from node_gui.setup_page import SetupPage, setup_state
from node_gui.standing import slots_text
from node_gui.tray import Tray
from p2p.core.paths import Home

_SEEN, _TOLD = "first_run_seen", "tray_told"


class NodeWindow(Frame):
    """With a tray, closing it only hides it; the tray's menu ends it. Neither ends the agent or a job."""

    def __init__(self, home: Home, preferences: Preferences, client: AgentClient) -> None:
        super().__init__(tr("CyxWiz Node"), AgentLink(client))
        self._node_home, self._preferences = home, preferences
        show_network(self, home)
        self.home_page = HomePage(self)
        for page in (
            self.home_page,
            JobsPage(self),
            EarningsPage(self, home),
            SchedulePage(self),
            HardwarePage(self),
            ChecksPage(self),
            LogsPage(self),
            SettingsPage(self, home, preferences, self.set_up),
        ):
            self.add_section(page)
        self.tray = Tray(self)
        self.news = News(self, self.tray, preferences)
        self.link.status_changed.connect(lambda: self.set_balance(slots_text(self.link.status)))
        self.home_page.set_up_asked.connect(self.set_up)
        self._show_progress()

    def set_up(self) -> None:
        """Go through the first run, from where it was left."""
        self.open_page(SetupPage(self, self._node_home, self._preferences, self._leave_setup))

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        if not self._preferences.get(_SEEN):
            self._preferences.set(_SEEN, "yes")
            self.set_up()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        if event is not None and self.tray.is_shown and event.spontaneous():
            event.ignore()
            self.hide_in_tray()
            return
        self.tray.icon.hide()
        super().closeEvent(event)
        QApplication.quit()

    def hide_in_tray(self) -> None:
        """Away, but not gone; said once where it is."""
        self.hide()
        if not self._preferences.get(_TOLD):
            self._preferences.set(_TOLD, "yes")
            self.tray.tell(tr("CyxWiz Node is still here"), tr("Open or quit it from this icon."))

    def _leave_setup(self) -> None:
        self._show_progress()
        self.go_to(tr("Home"))

    def _show_progress(self) -> None:
        self.home_page.show_setup(setup_state(self._preferences))
