"""The self-test on a page of its own."""

from __future__ import annotations

from typing import Any

from gui_kit.buttons import Button
from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.words import tr
from node_gui.checks import check_of
from node_gui.checks_panel import ChecksPanel
from p2p.core.errors import CyxWizError


class ChecksPage(Page):
    """Looks when it is opened, and again when one asks for it."""

    def __init__(self, frame: Frame) -> None:
        again = Button(tr("Check again"), "plain", "refresh")
        super().__init__(tr("Setup checks"), "clipboard-check-outline", action=again, scrolls=True)
        self._link = frame.link
        self._again = again
        self.panel = ChecksPanel(frame)
        self.panel.mended.connect(self.reload)
        self.body.addWidget(self.panel)
        self.body.addStretch(1)
        again.clicked.connect(self.reload)
        self.show_loading(tr("Looking at this machine"))

    def reload(self) -> None:
        self._again.set_busy(True)
        self._link.call(self, "check").then(self._show_checks, self._show_problem)

    def _show_checks(self, rows: list[dict[str, Any]]) -> None:
        self._again.set_busy(False)
        self.panel.set_checks([check_of(row) for row in rows])
        self.show_content()

    def _show_problem(self, error: CyxWizError) -> None:
        self._again.set_busy(False)
        self.show_error(error, self.reload)
