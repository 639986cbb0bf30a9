"""A stream from the agent, or a question that is asked again and again, that a part of a window follows."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import trio
from PyQt6 import sip
from PyQt6.QtCore import QObject, pyqtSignal

from gui_kit.endings import when_destroyed
from gui_kit.mailbox import Mailbox
from p2p.core.errors import CyxWizError
from p2p.local.protocol import Json

BATCHES_AHEAD_MAX = 4
"""So many items may wait for the window; then the agent waits too."""

_NOTHING = object()


class Feed(QObject):
    """Items come by ``item``. It belongs to its receiver and ends with it.

    With ``every``, each item comes, in order, and the agent is held back while the receiver is busy; else
    only the latest that has not been shown yet. After the agent was away, ``restarted`` comes before the
    first item of the new stream, which begins where such a stream begins.
    """

    item = pyqtSignal(object)
    failed = pyqtSignal(object)
    """With a :class:`~p2p.core.errors.CyxWizError`. A question that is asked again and again is asked
    again."""
    ended = pyqtSignal()
    restarted = pyqtSignal()

    def __init__(
        self,
        receiver: QObject,
        mailbox: Mailbox,
        run_in_trio: Callable[[Callable[[], object]], None],
        *,
        every: bool,
    ) -> None:
        super().__init__(receiver)
        self.scope = trio.CancelScope()
        self.room = trio.Semaphore(BATCHES_AHEAD_MAX) if every else None
        self.asked = trio.Event()
        self.paused = False
        self.holds_room = False
        self._stopped = False
        self._mailbox = mailbox
        self._run_in_trio = run_in_trio
        self._lock = Lock()
        self._latest: Json = _NOTHING
        scope = self.scope
        when_destroyed(self, lambda: run_in_trio(scope.cancel))

    # -- for the window

    def hold_room(self) -> None:
        """Say by :meth:`give_room` when an item has been worked off, instead of when it was delivered."""
        self.holds_room = True

    def give_room(self) -> None:
        """One item has been worked off: there is room for another."""
        if self.room is not None:
            self._run_in_trio(self.room.release)

    def refresh(self) -> None:
        """Ask now, for what is asked again and again."""
        self._run_in_trio(self._ask_now)

    def set_paused(self, paused: bool) -> None:
        """Don't ask while nobody looks; ask at once when somebody does again."""
        if self.paused != paused:
            self.paused = paused
            self.refresh()

    def stop(self) -> None:
        """End it."""
        self._stopped = True
        self._run_in_trio(self.scope.cancel)
        self.deleteLater()

    # -- for the link, in the trio thread

    async def deliver(self, item: Json) -> None:
        """Hand an item over; waits while the window is too far behind."""
        if self.room is not None:
            await self.room.acquire()
            self._mailbox.post(lambda: self._show(item))
            return
        with self._lock:
            waits = self._latest is not _NOTHING
            self._latest = item
        if not waits:
            self._mailbox.post(self._show_latest)

    def tell_ended(self) -> None:
        """The stream has come to its end."""
        self._mailbox.post(lambda: self._emit("ended"))

    def tell_restarted(self) -> None:
        """The next item is the first of a new stream."""
        self._mailbox.post(lambda: self._emit("restarted"))

    async def wait_until_asked(self, seconds: float) -> None:
        """Wait for the next time to ask."""
        with trio.move_on_after(float("inf") if self.paused else seconds):
            await self.asked.wait()
        self.asked = trio.Event()

    # -- in the window's thread

    def fail(self, error: CyxWizError) -> None:
        """Deliver an error."""
        self._emit("failed", error)

    def _ask_now(self) -> None:
        self.asked.set()

    def _show(self, item: Json) -> None:
        self._emit("item", item)
        if not self.holds_room:
            self.give_room()

    def _show_latest(self) -> None:
        with self._lock:
            item, self._latest = self._latest, _NOTHING
        self._emit("item", item)

    def _emit(self, signal: str, *values: object) -> None:
        """By name: a feed that has died has no signals to be named by."""
        if not sip.isdeleted(self) and not self._stopped:
            getattr(self, signal).emit(*values)
