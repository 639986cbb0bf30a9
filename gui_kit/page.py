"""What every page is made of: its title, its one action, and the five ways in which it can stand.

``content`` · ``loading`` (not seen before 300 ms) · ``empty`` (a sentence and an action) · ``error``
(three parts and a retry). Data that may be old stays: it is dimmed and dated (:meth:`Page.set_stale`).
"""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtWidgets import QProgressBar, QStackedLayout, QVBoxLayout, QWidget

from gui_kit.boxes import Scroll, column, row
from gui_kit.buttons import Button
from gui_kit.labels import IconLabel, Label
from gui_kit.look import set_look
from gui_kit.tokens import GRID_PX, MARGIN_PX, Token
from gui_kit.words import clean, time_text, tr
from p2p.core.errors import CyxWizError

LOADING_SHOWN_AFTER_MS = 300
_NOTICE_ICON_PX = 40
_NOTICE_WIDTH_PX = 440


class Page(QWidget):
    """``action``: the page's one primary button, which the frame puts into its header.

    ``body`` takes the content. ``scrolls``: the content is as high as it needs to be and scrolls; else it
    has the height that there is, as a table wants. Subclasses override :meth:`reload` to ask for their
    data; the frame calls it whenever the page is opened and after the agent was away.
    """

    title_changed = pyqtSignal()

    def __init__(
        self, title: str, icon_name: str, *, action: Button | None = None, scrolls: bool = False
    ) -> None:
        super().__init__()
        self.setObjectName("page")
        self.title = title
        self.icon_name = icon_name
        self.action = action
        self.setAccessibleName(clean(title))
        self._content = QWidget()
        self._content.setObjectName("content")
        self.body = column(spacing_px=MARGIN_PX)
        self.body.setContentsMargins(MARGIN_PX, 0, MARGIN_PX, MARGIN_PX)
        self._content.setLayout(self.body)
        self._stale = _StaleNote()
        self._notice = _Notice()
        shown = QWidget()
        shown.setLayout(
            column(self._stale, Scroll(self._content) if scrolls else self._content, spacing_px=0)
        )
        self._stack = QStackedLayout(self)
        self._stack.addWidget(shown)
        self._stack.addWidget(self._notice)
        self._loading_timer = QTimer(self)
        self._loading_timer.setSingleShot(True)
        self._loading_timer.setInterval(LOADING_SHOWN_AFTER_MS)
        self._loading_timer.timeout.connect(lambda: self._stack.setCurrentWidget(self._notice))

    def reload(self) -> None:
        """Ask for the data that the page shows."""

    def set_title(self, title: str) -> None:
        """Another title, such as the name of what is shown."""
        self.title = title
        self.setAccessibleName(clean(title))
        self.title_changed.emit()

    # -- how it stands

    def show_content(self) -> None:
        """There is something to see."""
        self._loading_timer.stop()
        self._stack.setCurrentIndex(0)

    def show_loading(self, what: str) -> None:
        """Something is on its way; said only if it takes longer than an eye notices. What is shown stays
        until then."""
        self._notice.show_loading(what)
        self._loading_timer.start()

    def show_empty(
        self, sentence: str, action: str = "", do: Callable[[], object] | None = None, *, icon_name: str = ""
    ) -> None:
        """There is nothing yet: why, and the one thing to do about it."""
        self._loading_timer.stop()
        self._notice.show_message(icon_name or self.icon_name, "muted", sentence, (), action, do)
        self._stack.setCurrentWidget(self._notice)

    def show_error(self, error: CyxWizError, retry: Callable[[], object] | None = None) -> None:
        """What happened, what it means, what to do; and a way to try again."""
        self._loading_timer.stop()
        what, *rest = error.lines() or (tr("Something went wrong."),)
        word = tr("Try again") if retry is not None else ""
        self._notice.show_message("alert-circle-outline", "danger", what, rest, word, retry)
        self._stack.setCurrentWidget(self._notice)

    def set_stale(self, since_s: float | None) -> None:
        """What is shown was true at ``since_s``, and may not be any more; None: it is."""
        self._stale.show_since(since_s)
        value = "false" if since_s is None else "true"
        if self._content.property("stale") != value:
            set_look(self._content, stale=value)
            style = self.style()
            for widget in self._content.findChildren(QWidget):
                if style is not None:
                    style.unpolish(widget)
                    style.polish(widget)
            self._content.update()

    @property
    def is_ready(self) -> bool:
        """Whether it shows what it is for, and not that something is on its way or went wrong."""
        return self._stack.currentIndex() == 0 and not self._loading_timer.isActive()

    @property
    def is_stale(self) -> bool:
        """Whether the data shown may be old."""
        return bool(self._content.property("stale") == "true")


class _StaleNote(QWidget):
    """Since when nothing new has come."""

    def __init__(self) -> None:
        super().__init__()
        self._label = Label("", "muted")
        line = row(IconLabel("clock-alert-outline", "warning"), self._label, None)
        line.setContentsMargins(MARGIN_PX, 0, MARGIN_PX, GRID_PX)
        self.setLayout(line)
        self.hide()

    def show_since(self, since_s: float | None) -> None:
        if since_s is not None:
            self._label.setText(tr("As of {time}. Nothing newer has come yet.", time=time_text(since_s)))
        self.setVisible(since_s is not None)


class _Notice(QWidget):
    """In the place of content: loading, empty, or an error."""

    def __init__(self) -> None:
        super().__init__()
        self._icon = IconLabel("timer-sand", "muted", _NOTICE_ICON_PX)
        self._what = Label("", "title", wrap=True)
        self._rest = Label("", "muted", wrap=True)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(tr("Loading"))
        self._button = Button("", "plain")
        self._do: Callable[[], object] | None = None
        self._button.clicked.connect(self._press)
        inner = QWidget()
        inner.setFixedWidth(_NOTICE_WIDTH_PX)
        inner.setLayout(
            column(
                self._icon, self._what, self._rest, self._bar, row(self._button, None), spacing_px=MARGIN_PX
            )
        )
        box = QVBoxLayout(self)
        box.addStretch(2)
        box.addLayout(row(None, inner, None))
        box.addStretch(3)

    def show_loading(self, what: str) -> None:
        self.show_message("timer-sand", "muted", what, (), "", None)
        self._bar.show()

    def show_message(
        self, icon_name: str, token: Token, what: str, rest: tuple[str, ...] | list[str], word: str,
        do: Callable[[], object] | None,
    ) -> None:  # fmt: skip
        self._bar.hide()
        self._icon.set_icon(icon_name, token)
        self._what.setText(what)
        self._rest.setText("\n".join(rest))
        self._rest.setVisible(bool(rest))
        self._do = do
        self._button.setText(clean(word).replace("&", "&&"))
        self._button.setAccessibleName(clean(word))
        self._button.setVisible(bool(word))

    def _press(self) -> None:
        if self._do is not None:
            self._do()
