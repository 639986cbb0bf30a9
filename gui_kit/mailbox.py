"""From the trio thread into the window's thread, without letting a flood freeze the window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from p2p.core.clock import SYSTEM_CLOCK

_BUDGET_S = 0.006
"""How long deliveries may take before the window gets its turn to paint and to listen."""
_REST_MS = 1


class Mailbox(QObject):
    """Work that any thread may post, done in the thread that the mailbox lives in, in order."""

    _posted = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue: deque[Callable[[], None]] = deque()
        self._lock = Lock()
        self._awake = False
        self._closed = False
        self._posted.connect(self._deliver, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]

    def post(self, work: Callable[[], None]) -> None:
        """Have ``work`` done soon. Thread-safe; nothing is done once the mailbox is closed."""
        with self._lock:
            if self._closed:
                return
            self._queue.append(work)
            if self._awake:
                return
            self._awake = True
        self._posted.emit()

    def close(self) -> None:
        """Take nothing more and forget what waits."""
        with self._lock:
            self._closed = True
            self._queue.clear()

    def _deliver(self) -> None:
        until_s = SYSTEM_CLOCK.monotonic_s() + _BUDGET_S
        while True:
            with self._lock:
                if not self._queue:
                    self._awake = False
                    return
                work = self._queue.popleft()
            try:
                work()
            except BaseException:
                self._go_on()  # what comes after it must not be stuck
                raise
            if SYSTEM_CLOCK.monotonic_s() > until_s:
                self._go_on()
                return

    def _go_on(self) -> None:
        QTimer.singleShot(_REST_MS, self._deliver)
