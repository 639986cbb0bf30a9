"""A job's log from its agent into a :class:`~gui_kit.log_view.LogView`, every line once, whatever happens
between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from gui_kit.feed import Feed
from gui_kit.log_view import LogView
from gui_kit.words import tr


class LogFeed(QObject):
    """``follow`` opens the stream, such as
    ``lambda: link.follow(view, "logs", every=True, job=key, follow=True)``.

    Items are ``{"epoch", "lines"}``. A stream that was cut begins anew; the lines that are here already
    are left out. ``failed`` comes with a :class:`~p2p.core.errors.CyxWizError`, ``ended`` when the log is
    complete.
    """

    failed = pyqtSignal(object)
    ended = pyqtSignal()

    def __init__(self, view: LogView, follow: Callable[[], Feed]) -> None:
        super().__init__(view)
        self._view = view
        self._follow = follow
        self._feed: Feed | None = None
        self._epoch = 0
        self._seen = 0
        self._skip = 0
        view.reread.connect(self._read_again)
        self._open()

    def _open(self) -> None:
        self._feed = feed = self._follow()
        feed.hold_room()
        feed.item.connect(self._take)
        feed.restarted.connect(self._on_restart)
        feed.failed.connect(self.failed)
        feed.ended.connect(self.ended)

    def _read_again(self, from_start: bool) -> None:
        if self._feed is not None:
            self._feed.stop()
        self._epoch = self._seen = self._skip = 0
        self._view.clear(keep_start=from_start)
        self._open()

    def _on_restart(self) -> None:
        self._skip, self._seen = self._seen, 0

    def _take(self, item: dict[str, Any]) -> None:
        epoch, lines = int(item["epoch"]), item["lines"]
        if epoch != self._epoch:
            if self._epoch:
                self._view.mark(tr("attempt {number} begins", number=epoch))
            self._epoch, self._seen, self._skip = epoch, 0, 0
        self._seen += len(lines)
        skipped = min(self._skip, len(lines))
        self._skip -= skipped
        feed = self._feed
        self._view.append(lines[skipped:], None if feed is None else feed.give_room)
