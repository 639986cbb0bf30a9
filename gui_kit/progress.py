"""How far something long is: after two seconds with bytes, rate, time left, and a way to stop it."""

from __future__ import annotations

from collections import deque

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QProgressBar, QWidget

from gui_kit.boxes import column, row
from gui_kit.buttons import Button
from gui_kit.labels import Elided, Label
from gui_kit.words import bytes_text, clean, duration_text, tr
from p2p.core.clock import SYSTEM_CLOCK, Clock

SHOWN_AFTER_S = 2.0
_RATE_OVER_S = 5.0
_STEPS = 1000


class Progress(QWidget):
    """``cancelled``: the person wants it stopped. Hidden until it has taken :data:`SHOWN_AFTER_S`, and
    again once it is at its end."""

    cancelled = pyqtSignal()

    def __init__(self, what: str, clock: Clock = SYSTEM_CLOCK, *, can_cancel: bool = True) -> None:
        super().__init__()
        self._clock = clock
        self._began_s: float | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, _STEPS)
        self._bar.setAccessibleName(clean(what))
        self.details = Label("", "small")
        cancel = Button(tr("Cancel"), "flat")
        cancel.setAccessibleName(tr("Cancel: {what}", what=what))
        cancel.setVisible(can_cancel)
        cancel.clicked.connect(self.cancelled)
        self.setLayout(column(row(Elided(what), self.details, cancel), self._bar))
        self.hide()

    def set_bytes(self, done_bytes: int, total_bytes: int) -> None:
        """Show so many of so many."""
        now_s = self._clock.monotonic_s()
        if self._began_s is None or (self._seen and done_bytes < self._seen[-1][1]):
            self._began_s = now_s
            self._seen.clear()
        self._seen.append((now_s, done_bytes))
        while now_s - self._seen[0][0] > _RATE_OVER_S:
            self._seen.popleft()
        self._bar.setValue(_STEPS * done_bytes // total_bytes if total_bytes else 0)
        self.details.setText(" · ".join(self._parts(done_bytes, total_bytes)))
        self.setVisible(done_bytes < total_bytes and now_s - self._began_s >= SHOWN_AFTER_S)

    def end(self) -> None:
        """It is over, one way or the other."""
        self._began_s = None
        self._seen.clear()
        self.hide()

    def _parts(self, done_bytes: int, total_bytes: int) -> list[str]:
        parts = [tr("{done} of {total}", done=bytes_text(done_bytes), total=bytes_text(total_bytes))]
        (first_s, first_bytes), (last_s, last_bytes) = self._seen[0], self._seen[-1]
        if last_s > first_s:
            rate = (last_bytes - first_bytes) / (last_s - first_s)
            parts.append(tr("{size}/s", size=bytes_text(rate)))
            if rate > 0:
                left_s = (total_bytes - done_bytes) / rate
                parts.append(tr("{time} left", time=duration_text(left_s)))
        return parts
