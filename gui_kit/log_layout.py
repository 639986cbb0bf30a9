"""Which row of the screen is which part of which line of a log, with and without wrapping."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from gui_kit.log_store import LogStore


@dataclass(frozen=True, slots=True)
class Place:
    """A character of the log. Later places are greater."""

    line: int
    column: int

    def __lt__(self, other: Place) -> bool:
        return (self.line, self.column) < (other.line, other.column)


class LogLayout:
    """``columns``: characters in a row when long lines are wrapped; 0: a row for each line."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._tops: list[tuple[int, int]] = []  # of each piece its first line and the row at which it begins
        self.columns = 0
        self.rows = 0

    def set_columns(self, columns: int) -> None:
        """Wrap at another width, or not at all."""
        if columns != self.columns:
            self.columns = columns
            self._tops.clear()
            self.update()

    def reset(self) -> None:
        """The store was emptied."""
        self._tops.clear()
        self.update()

    def update(self) -> int:
        """Take in what was appended to the store and what it let go of; how many rows went at the top."""
        tops = self._tops
        gone_rows = 0
        first = self._store.first
        gone = next((at for at, (line, _) in enumerate(tops) if line >= first), len(tops))
        if gone:
            gone_rows = tops[gone][1] if gone < len(tops) else self.rows
            self._tops = tops = [(line, top - gone_rows) for line, top in tops[gone:]]
        if tops:
            tops.pop()  # the last piece may have grown
        pieces = self._store.pieces
        top = 0
        if tops:
            top = tops[-1][1] + pieces[len(tops) - 1].rows(self.columns)
        for piece in pieces[len(tops) :]:
            tops.append((piece.first, top))
            top += piece.rows(self.columns)
        self.rows = top
        return gone_rows

    def place_of_row(self, row: int) -> Place:
        """The first character of a row."""
        at = max(0, bisect_right(self._tops, row, key=lambda top: top[1]) - 1)
        if at >= len(self._tops):
            return Place(self._store.end, 0)
        piece, rest = self._store.pieces[at], row - self._tops[at][1]
        if not self.columns or piece.longest <= self.columns:
            return Place(piece.first + min(rest, piece.count - 1), 0)
        for number, length in enumerate(piece.lengths().tolist()):
            rows = max(1, -(-length // self.columns))
            if rest < rows:
                return Place(piece.first + number, rest * self.columns)
            rest -= rows
        return Place(piece.first + piece.count - 1, 0)

    def row_of_line(self, line: int) -> int:
        """The first row of a line."""
        at = self._store.piece_of(line)
        if at < 0:
            return 0
        piece, top = self._store.pieces[at], self._tops[at][1]
        before = line - piece.first
        if not self.columns or piece.longest <= self.columns:
            return top + before
        lengths: list[int] = piece.lengths()[:before].tolist()
        return top + sum(max(1, -(-length // self.columns)) for length in lengths)

    def row_of(self, place: Place) -> int:
        """The row that has a character."""
        within = place.column // self.columns if self.columns else 0
        return self.row_of_line(place.line) + within
