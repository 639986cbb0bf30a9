"""The simple tabs of a job's page: its history and its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtWidgets import QWidget

from engine_gui.timeline_model import EventRow, event_rows
from gui_kit.boxes import column
from gui_kit.feed import Feed
from gui_kit.labels import Label
from gui_kit.log_feed import LogFeed
from gui_kit.log_view import LogView
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.words import time_text, tr
from p2p.core.errors import CyxWizError

Json = dict[str, Any]


class TimelineTab(QWidget):
    """What happened, when, and who says so."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Table[EventRow] = Table(
            tr("Timeline"),
            (
                Column(tr("Time"), lambda r: time_text(r.at_s), lambda r: r.number, width_px=168),
                Column(tr("What"), lambda r: r.look.word, look=lambda r: r.look, width_px=216),
                Column(tr("Details"), lambda r: r.detail, stretch=True),
                Column(tr("From"), lambda r: r.by, width_px=128),
            ),
        )
        self.setLayout(column(self.table))

    def show_job(self, job: Json) -> None:
        """The history as it is now; the end is kept in sight if it was."""
        bar = self.table.verticalScrollBar()
        at_end = bar is None or bar.value() == bar.maximum()
        self.table.set_rows(event_rows(job))
        if at_end:
            self.table.scrollToBottom()


class LogTab(QWidget):
    """Everything that the script prints; ``follow`` opens the stream of it."""

    def __init__(self, follow: Callable[[LogView], Feed], tell: Callable[[str, bool], object]) -> None:
        super().__init__()
        self.view = LogView()
        self._note = Label("", "problem", wrap=True)
        self._note.hide()
        self.setLayout(column(self._note, self.view))
        self._feed = LogFeed(self.view, lambda: follow(self.view))
        self._feed.failed.connect(self._show_error)
        self._feed.ended.connect(lambda: self.view.mark(tr("end of the log")))
        self.view.saved.connect(lambda path: tell(tr("Saved: {path}", path=path), True))
        self.view.save_failed.connect(lambda text: tell(text, False))

    def show_job(self, job: Json) -> None:
        """The log comes by its own stream."""

    def _show_error(self, error: CyxWizError) -> None:
        self._note.setText(" ".join(error.lines()))
        self._note.show()
