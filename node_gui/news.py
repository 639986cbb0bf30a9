"""News of the node for somebody who looks elsewhere: each once, also over restarts of window and agent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PyQt6.QtCore import QObject

from gui_kit.feed import Feed
from gui_kit.frame import Frame
from gui_kit.notify import Notifier
from gui_kit.preferences import Preferences
from gui_kit.words import tr
from node_gui.job_page import JobPage
from node_gui.telling import Telling, number_of, telling
from node_gui.tray import Tray

CURSOR = "news_cursor"


class News(QObject):
    """Follows the agent's ``news`` from where it was left."""

    def __init__(self, frame: Frame, tray: Tray, preferences: Preferences) -> None:
        super().__init__(frame)
        self._frame, self._kept = frame, preferences
        self._notifier = Notifier(frame, tray.icon)
        self._feed: Feed | None = None
        frame.link.status_changed.connect(self._follow)

    def _follow(self) -> None:
        """From the first status on, which says how far the news are: what was before is told to nobody."""
        newest = self._frame.link.status.get("news")
        if self._feed is not None or newest is None:
            return
        if number_of(self._kept.get(CURSOR)) is None:
            self._kept.set(CURSOR, str(newest))
        after = number_of(self._kept.get(CURSOR))
        self._feed = self._frame.link.follow(self, "news", every=True, after=after)
        self._feed.item.connect(self._take)

    def _take(self, item: dict[str, Any]) -> None:
        number = int(item["number"])
        if number <= (number_of(self._kept.get(CURSOR)) or 0):
            return  # a stream that was taken up again begins where it began
        self._kept.set(CURSOR, str(number))
        found = telling(item)
        if found is not None:
            self._notifier.notify(found.title, found.text, found.token, open_=self._opener(found))

    def _opener(self, found: Telling) -> Callable[[], None]:
        if found.job_id:
            return partial(self._open_job, found.job_id)
        return partial(self._frame.go_to, tr("Home") if not found.is_check else tr("Setup checks"))

    def _open_job(self, job_id: str) -> None:
        self._frame.go_to(tr("Jobs"))
        self._frame.open_page(JobPage(self._frame, job_id, tr("A job")))
