"""Looking for a word in a log, a little at a time, while the log grows."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from gui_kit.log_store import LogStore
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.limits import LOG_HITS_MAX


class LogSearch:
    """The lines that have the word, whatever its case, in order. :meth:`scan` has to be called until it is
    :attr:`done`, and again after the log has grown."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self.set_word("")

    def set_word(self, word: str) -> None:
        """Look for another word; an empty one is found nowhere."""
        self.word = word.lower()
        self.hits: array[int] = array("Q")
        self._next = 0

    @property
    def done(self) -> bool:
        """Everything that is there has been looked at."""
        return not self.word or self._next >= self._store.end or len(self.hits) >= LOG_HITS_MAX

    def scan(self, budget_s: float) -> None:
        """Go on for at most about so long."""
        until_s = SYSTEM_CLOCK.monotonic_s() + budget_s
        self._next = max(self._next, self._store.first)
        while not self.done and SYSTEM_CLOCK.monotonic_s() < until_s:
            self._scan_piece()

    def after(self, line: int) -> int | None:
        """The next line that has the word, from the beginning again after the last."""
        first = bisect_left(self.hits, self._store.first)
        if first >= len(self.hits):
            return None
        at = bisect_right(self.hits, line)
        return self.hits[at if at < len(self.hits) else first]

    def before(self, line: int) -> int | None:
        """The one before, from the end again before the first."""
        first = bisect_left(self.hits, self._store.first)
        if first >= len(self.hits):
            return None
        at = bisect_left(self.hits, line) - 1
        return self.hits[at if at >= first else -1]

    def number(self, line: int) -> int:
        """Which of the hits a line is, from 1 on; 0: none."""
        at = bisect_left(self.hits, line)
        return at + 1 if at < len(self.hits) and self.hits[at] == line else 0

    def _scan_piece(self) -> None:
        piece = self._store.pieces[self._store.piece_of(self._next)]
        skip = self._next - piece.first
        if piece.is_full and skip == 0 and self.word not in piece.text().lower():
            self._next = piece.first + piece.count
            return
        for at in range(skip, piece.count):
            if self.word in piece.line(at).lower() and len(self.hits) < LOG_HITS_MAX:
                self.hits.append(piece.first + at)
        self._next = piece.first + piece.count


def places(line: str, word: str) -> list[int]:
    """Where in a line the word begins, without overlaps. ``word`` is in lower case."""
    found: list[int] = []
    lower = line.lower()
    if not word or len(lower) != len(line):  # a letter of two in lower case: better no mark than a wrong one
        return found
    at = lower.find(word)
    while at >= 0:
        found.append(at)
        at = lower.find(word, at + len(word))
    return found
