"""The hours of a week as cells that are switched on and off. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from gui_kit.words import tr
from p2p.core.hours import DAY_MINUTES, DAYS, WEEK_MINUTES, Hours, parse_hours

DAY_HOURS = 24
_HOUR_MINUTES = 60
Cell = tuple[int, int]
"""A day, 0 for Monday, and an hour."""


class Fill(Enum):
    """How much of a cell is on."""

    NONE = "none"
    PART = "part"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Week:
    """``minutes``: one character for each minute of the week from Monday 00:00 on, ``1`` if it is on."""

    minutes: str = "0" * WEEK_MINUTES

    def fill(self, cell: Cell) -> Fill:
        """How much of the cell is on."""
        start = _start(cell)
        on = self.minutes.count("1", start, start + _HOUR_MINUTES)
        return Fill.NONE if not on else Fill.WHOLE if on == _HOUR_MINUTES else Fill.PART

    def with_cells(self, cells: Iterable[Cell], on: bool) -> Week:
        """The same with these cells on or off; what is not among them stays to the minute."""
        minutes = list(self.minutes)
        for cell in cells:
            start = _start(cell)
            minutes[start : start + _HOUR_MINUTES] = ("1" if on else "0") * _HOUR_MINUTES
        return Week("".join(minutes))

    @property
    def hours_on(self) -> float:
        """How many hours of the week are on."""
        return self.minutes.count("1") / _HOUR_MINUTES

    def text(self) -> str:
        """As the agent takes it; days that are alike are named together."""
        days = [tuple(_spans_of(self.minutes[at : at + DAY_MINUTES])) for at in _DAY_STARTS]
        parts = []
        numbered = groupby(enumerate(days), key=lambda item: item[1])
        for spans, group in numbered:
            numbers = [number for number, _ in group]
            names = DAYS[numbers[0]] if len(numbers) == 1 else f"{DAYS[numbers[0]]}-{DAYS[numbers[-1]]}"
            parts += [f"{names} {_clock(start)}-{_clock(end)}" for start, end in spans]
        return ", ".join(parts)


def week_of(text: str) -> Week:
    """The week that the agent's text says.

    :raises UserError: ``bad_hours``.
    """
    found: Hours = parse_hours(text)
    minutes = ["0"] * WEEK_MINUTES
    for start, end in found.spans:
        minutes[start:end] = "1" * (end - start)
    return Week("".join(minutes))


def cell_words(cell: Cell, fill: Fill) -> str:
    """A cell for somebody who cannot see it."""
    day, hour = cell
    state = {Fill.NONE: tr("no jobs"), Fill.PART: tr("jobs part of the time"), Fill.WHOLE: tr("jobs")}[fill]
    return tr("{day} {start} to {end}: {state}", day=day_word(day), start=f"{hour:02}:00",
              end=f"{hour + 1:02}:00", state=state)  # fmt: skip


def day_word(day: int) -> str:
    """The short name of a day."""
    names = (tr("Mon"), tr("Tue"), tr("Wed"), tr("Thu"), tr("Fri"), tr("Sat"), tr("Sun"))
    return names[day]


_DAY_STARTS = range(0, WEEK_MINUTES, DAY_MINUTES)


def _start(cell: Cell) -> int:
    return cell[0] * DAY_MINUTES + cell[1] * _HOUR_MINUTES


def _spans_of(day: str) -> list[tuple[int, int]]:
    spans, at = [], 0
    for on, run in groupby(day):
        length = len(list(run))
        if on == "1":
            spans.append((at, at + length))
        at += length
    return spans


def _clock(minute: int) -> str:
    return f"{minute // _HOUR_MINUTES:02}:{minute % _HOUR_MINUTES:02}"
