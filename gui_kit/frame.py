"""The frame of a window: rail, header, page, status bar, and what must never be overlooked above them."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import QHBoxLayout, QMainWindow, QSizePolicy, QStackedWidget, QWidget

from gui_kit.bars import Banner, StatusBar, Strip
from gui_kit.boxes import column
from gui_kit.buttons import IconButton
from gui_kit.labels import Elided
from gui_kit.link import AgentLink
from gui_kit.page import Page
from gui_kit.rail import Rail
from gui_kit.states import LinkState
from gui_kit.toast import Toasts
from gui_kit.tokens import CONTROL_HEIGHT_PX, GRID_PX, MARGIN_PX
from gui_kit.words import tr
from p2p.core.clock import SYSTEM_CLOCK

FIRST_SIZE = (1120, 720)
SMALLEST_SIZE = (800, 520)
"""Fits a screen of 1920 × 1080 at 200 %."""


class Frame(QMainWindow):
    """``link`` is started and closed with the window."""

    def __init__(self, product: str, link: AgentLink) -> None:
        super().__init__()
        self.link = link
        link.start()
        self.setWindowTitle(product)
        self.setMinimumSize(*SMALLEST_SIZE)
        self.resize(*FIRST_SIZE)
        self.toasts = Toasts(self)
        self.strip, self.banner, self.status_bar = Strip(), Banner(), StatusBar()
        self._rail = Rail(product)
        self._pages = QStackedWidget()
        self._trail: list[Page] = []
        self._header = _Header(self.back)
        main = QWidget()
        main.setLayout(column(self._header, self._pages, spacing_px=0))
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self._rail)
        middle.addWidget(main, 1)
        whole = QWidget()
        rows = column(self.strip, self.banner, middle, self.status_bar, spacing_px=0)
        rows.setStretchFactor(middle, 1)
        whole.setLayout(rows)
        self.setCentralWidget(whole)
        self.toasts.set_bottom(self.status_bar.sizeHint().height())
        self._rail.chosen.connect(self._choose)
        self.banner.pressed.connect(self._bring_back)
        link.state_changed.connect(self._on_link)
        self._sections: list[Page] = []
        self._seen_s: float | None = None
        self._on_link()
        QShortcut(QKeySequence(QKeySequence.StandardKey.Back), self, self.back)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Refresh), self, self.reload)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Quit), self, self.close)

    # -- pages

    def add_section(self, page: Page) -> Page:
        """A page with a place of its own in the rail; the first one is opened."""
        self._rail.add(page.title, page.icon_name)
        self._sections.append(page)
        self._take(page)
        if len(self._sections) == 1:
            self.open_section(page)
        return page

    def open_section(self, page: Page) -> None:
        """Go to a page of the rail."""
        self._choose(self._sections.index(page))

    def go_to(self, title: str) -> None:
        """Go to the page of the rail with this title."""
        self.open_section(next(page for page in self._sections if page.title == title))

    def open_page(self, page: Page) -> None:
        """Go deeper, such as from a list to one of its rows; the way back is in the header. The page ends
        when it is left."""
        self._take(page)
        self._trail.append(page)
        self._show(page)

    def back(self) -> None:
        """Leave a page that was opened by :meth:`open_page`."""
        if len(self._trail) > 1:
            left = self._trail.pop()
            self._show(self._trail[-1])
            self._drop(left)

    def page(self) -> Page:
        """The page that is open."""
        return self._trail[-1]

    def reload(self) -> None:
        """Ask anew for what the open page shows."""
        self.page().reload()

    # -- always to be seen

    def set_network(self, name: str, *, is_main: bool) -> None:
        """Which network this is; all but the main network have the strip that says that money is play
        money."""
        self.status_bar.set_network(name)
        self.strip.set_network("" if is_main else name)

    def set_balance(self, text: str) -> None:
        """The balance in the status bar."""
        self.status_bar.set_balance(text)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Only the window ends; the agent and its jobs go on."""
        self.link.close()
        super().closeEvent(event)

    # -- inside

    def _bring_back(self) -> None:
        if self.link.state is LinkState.STOPPED:
            self.link.set_auto_start(True)
        else:
            self.link.retry()

    def _choose(self, number: int) -> None:
        for page in self._trail[1:]:
            self._drop(page)
        self._trail = [self._sections[number]]
        self._rail.select(number)
        self._show(self._sections[number])

    def _take(self, page: Page) -> None:
        self._pages.addWidget(page)
        page.title_changed.connect(self._show_title)
        self._header.take(page)

    def _drop(self, page: Page) -> None:
        self._header.drop(page)
        self._pages.removeWidget(page)
        page.deleteLater()

    def _show(self, page: Page) -> None:
        self._pages.setCurrentWidget(page)
        self._show_title()
        self._mark_stale(page)
        page.setFocus(Qt.FocusReason.OtherFocusReason)
        page.reload()

    def _show_title(self) -> None:
        self._header.show_page(self.page(), can_go_back=len(self._trail) > 1)

    def _on_link(self) -> None:
        state = self.link.state
        self.status_bar.set_link(state)
        self.banner.show_link(state, self.link.error)
        if state is LinkState.CONNECTED:
            came_back, self._seen_s = self._seen_s is not None, None
        else:
            came_back = False
            if self._seen_s is None and state is not LinkState.STARTING:
                self._seen_s = SYSTEM_CLOCK.now_s()
        if self._trail:
            self._mark_stale(self.page())
            if came_back:
                self.toasts.show(tr("Connected again. Nothing was lost."))
                self.reload()

    def _mark_stale(self, page: Page) -> None:
        page.set_stale(self._seen_s)


class _Header(QWidget):
    """The title of the page and its one action."""

    def __init__(self, back: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._back = IconButton("arrow-left", tr("Back"))
        self._back.clicked.connect(back)
        self._title = Elided("", "heading")
        self._line = QHBoxLayout(self)
        self._line.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        self._line.setSpacing(GRID_PX)
        self._line.addWidget(self._back)
        self._line.addWidget(self._title, 1)
        self.setMinimumHeight(CONTROL_HEIGHT_PX + 2 * MARGIN_PX)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def take(self, page: Page) -> None:
        if page.action is not None:
            page.action.hide()
            self._line.addWidget(page.action)

    def drop(self, page: Page) -> None:
        if page.action is not None:
            page.action.hide()
            self._line.removeWidget(page.action)
            page.action.deleteLater()

    def show_page(self, page: Page, *, can_go_back: bool) -> None:
        self._title.setText(page.title)
        self._back.setVisible(can_go_back)
        for at in range(2, self._line.count()):
            item = self._line.itemAt(at)
            if item is not None and (button := item.widget()) is not None:
                button.setVisible(button is page.action)
