"""A log in memory, made for millions of lines: text in large pieces, lines found by their ends.

Lines have absolute numbers that never change; when there is no room for more, the oldest pieces go.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import numpy as np

from p2p.core.limits import LOG_SHOWN_LINE_MAX_CHARS, LOG_SHOWN_MAX_CHARS, LOG_SHOWN_MAX_LINES
from p2p.core.text import clean_line

_PIECE_LINES = 1024
_PIECE_CHARS = 256 * 1024
_LOOK_CHARS = 16 * 1024
"""So much of an overlong line is looked at, so that one line cannot cost more than a millisecond."""


class Piece:
    """Neighbouring lines, from number ``first`` on. The piece that grows is a list; one that is full is a
    text, of which line ``n`` ends before ``ends[n]``."""

    __slots__ = ("_ends", "_lines", "_text", "chars", "count", "first", "longest")

    def __init__(self, first: int) -> None:
        self.first = first
        self.count = 0
        self.chars = 0
        self.longest = 0
        self._lines: list[str] | None = []
        self._text = ""
        self._ends: array[int] = array("I")

    @property
    def is_full(self) -> bool:
        """No line is added any more."""
        return self._lines is None

    def add(self, line: str) -> None:
        """Append a line."""
        if self._lines is not None:
            self._lines.append(line)
            self.count += 1
            self.chars += len(line) + 1
            self.longest = max(self.longest, len(line))
            if self.count >= _PIECE_LINES or self.chars >= _PIECE_CHARS:
                self._seal(self._lines)

    def line(self, at: int) -> str:
        """A line by its place in the piece."""
        if self._lines is not None:
            return self._lines[at]
        return self._text[self._ends[at - 1] + 1 if at else 0 : self._ends[at]]

    def text(self) -> str:
        """All of it, each line with its end."""
        return self._text if self._lines is None else "".join(line + "\n" for line in self._lines)

    def lengths(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """How many characters each line has."""
        if self._lines is not None:
            return np.fromiter((len(line) for line in self._lines), np.int64, self.count)
        ends = np.frombuffer(self._ends, dtype=np.uint32).astype(np.int64)
        starts = np.concatenate(([-1], ends[:-1]))
        return np.asarray(ends - starts - 1, dtype=np.int64)

    def rows(self, columns: int) -> int:
        """How many rows its lines take when none is wider than ``columns``; 0: a row for each."""
        if columns <= 0 or self.longest <= columns:
            return self.count
        return int(np.maximum(1, -(-self.lengths() // columns)).sum())

    def _seal(self, lines: list[str]) -> None:
        self._text = "\n".join(lines) + "\n"
        at = -1
        for line in lines:
            at += len(line) + 1
            self._ends.append(at)
        self._lines = None


class LogStore:
    """The lines ``first`` … ``end`` - 1."""

    def __init__(self, max_chars: int = LOG_SHOWN_MAX_CHARS, max_lines: int = LOG_SHOWN_MAX_LINES) -> None:
        self._max_chars, self._max_lines = max_chars, max_lines
        self.clear()

    def clear(self) -> None:
        """Forget everything, numbers included."""
        self.pieces: list[Piece] = []
        self._firsts: list[int] = []
        self.markers: dict[int, str] = {}
        self.end = 0
        self.chars = 0
        self.longest = 0

    @property
    def first(self) -> int:
        """The oldest line that is held: so many are gone."""
        return self.pieces[0].first if self.pieces else self.end

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def is_full(self) -> bool:
        """One more line would push out the oldest ones."""
        return self.chars >= self._max_chars or len(self) >= self._max_lines

    def add(self, raw: str) -> None:
        """Append a line, made harmless and cut to what a person can read."""
        self._append(shown_line(raw))

    def add_marker(self, text: str) -> None:
        """Append a line of our own, such as that something is missing here."""
        self.markers[self.end] = text
        self._append(text)

    def trim(self) -> int:
        """Let go of the oldest pieces that there is no room for; how many lines went."""
        old = self.first
        while len(self.pieces) > 1 and (self.chars > self._max_chars or len(self) > self._max_lines):
            gone = self.pieces.pop(0)
            del self._firsts[0]
            self.chars -= gone.chars
        if self.first != old:
            self.markers = {at: text for at, text in self.markers.items() if at >= self.first}
        return self.first - old

    def line(self, number: int) -> str:
        """A line that is held."""
        piece = self.pieces[self.piece_of(number)]
        return piece.line(number - piece.first)

    def piece_of(self, number: int) -> int:
        """The place of the piece that has a line."""
        return bisect_right(self._firsts, number) - 1

    def texts(self, start: int, end: int) -> Iterator[str]:
        """The lines from ``start`` to before ``end``."""
        for number in range(max(start, self.first), min(end, self.end)):
            yield self.line(number)

    def _append(self, line: str) -> None:
        if not self.pieces or self.pieces[-1].is_full:
            self.pieces.append(Piece(self.end))
            self._firsts.append(self.end)
        self.pieces[-1].add(line)
        self.longest = max(self.longest, len(line))
        self.chars += len(line) + 1
        self.end += 1


def shown_line(raw: str) -> str:
    """A line as it is shown: nothing in it acts, and of an overlong one there is the beginning and its
    size."""
    length = len(raw)
    if length > _LOOK_CHARS:
        raw = raw[-_LOOK_CHARS:] if "\r" in raw[:-1] else raw[:_LOOK_CHARS]
    line = clean_line(raw, _LOOK_CHARS).replace("\t", "    ")
    if len(line) <= LOG_SHOWN_LINE_MAX_CHARS:
        return line
    return f"{line[:LOG_SHOWN_LINE_MAX_CHARS]} … ({length:,} characters; the whole line is in the saved log)"
