"""News that find somebody who looks elsewhere: each once, also over restarts of window and agent."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtWidgets import QSystemTrayIcon

from engine_gui.account import Account
from engine_gui.choices import notifies
from engine_gui.news_model import Telling, cursor_of, telling, together
from gui_kit.feed import Feed
from gui_kit.icons import icon
from gui_kit.notify import Notifier

CURSOR = "news_cursor"
_GATHER_MS = 400
"""What comes within so much time is told together."""


class News(QObject):
    """Follows the agent's ``news`` from where it was left, and tells them."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.frame)
        self._account, self._kept = account, account.preferences
        self._waiting: list[Telling] = []
        tray = QSystemTrayIcon(icon("chip", "accent"), account.frame)
        if QSystemTrayIcon.isSystemTrayAvailable():
            tray.show()
        self._notifier = Notifier(account.frame, tray)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_GATHER_MS)
        self._timer.timeout.connect(self._tell)
        self._feed = self._follow()

    def _follow(self) -> Feed:
        after = cursor_of(self._kept.get(CURSOR))
        known: dict[str, Any] = {} if after is None else {"after": after}
        feed = self._account.frame.link.follow(self, "news", every=True, follow=True, **known)
        feed.item.connect(lambda item: self._take(item, after))
        return feed

    def _take(self, item: dict[str, Any], after: int | None) -> None:
        cursor, news = int(item["cursor"]), item["news"]
        if after is None or (news is None and cursor < after):
            # The first start, or an agent that has begun anew: from here on by number, so that one that is
            # restarted leaves nothing out.
            self._keep(cursor)
            self._feed.stop()
            self._feed = self._follow()
            return
        told = cursor_of(self._kept.get(CURSOR)) or 0
        if news is not None and cursor > told:  # after a restart it begins at ``after`` again
            self._keep(cursor)
            found = telling(news)
            if found is not None and notifies(self._kept):
                self._waiting.append(found)
                self._timer.start()

    def _keep(self, cursor: int) -> None:
        self._kept.set(CURSOR, str(cursor))

    def _tell(self) -> None:
        found, self._waiting = together(self._waiting), []
        for each in found:
            self._notifier.notify(each.title, each.text, each.token, open_=self._opener(each))

    def _opener(self, each: Telling) -> Any:
        if each.job_id:
            return lambda: self._account.open_job(each.job_id)
        return lambda: self._account.frame.go_to("Wallet")
