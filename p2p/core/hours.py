"""Weekly hours on the wall clock: ``mon-fri 18:00-08:00, sat,sun 00:00-24:00``. Pure.

The hours are those of a clock on the wall, so that a change to summer time moves nothing that a person reads:
which minute of the week a moment is, is asked of the time zone for each moment anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from p2p.core.errors import UserError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
SPANS_MAX = 64

_BLOCK_MINUTES = 15
"""All time zones change their offset on a quarter of an hour (the tz database, since 1972)."""
_ITEM = re.compile(r"(?:([a-z]{3})(?:\s*-\s*([a-z]{3}))?)?\s*(?:(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d))?\Z")


@dataclass(frozen=True, slots=True)
class Hours:
    """A set of minutes of the week, as spans from Monday 00:00 on; none: never."""

    spans: tuple[tuple[int, int], ...] = ()

    def contains(self, at_s: float, zone: tzinfo | None = None) -> bool:
        """Whether ``at_s`` lies in them; ``zone``: whose wall clock; none: this machine's."""
        minute = int(at_s // 60 + _offset_minutes(at_s, zone) + _EPOCH_MINUTE) % WEEK_MINUTES
        return self._has(minute)

    def next_change_s(self, at_s: float, zone: tzinfo | None = None) -> float | None:
        """The next moment at which :meth:`contains` is different; None: never within a week and a day."""
        return _next_change_s(self, int(at_s // 60), zone)

    def _has(self, minute: int) -> bool:
        return any(start <= minute < end for start, end in self.spans)


_EPOCH_MINUTE = 3 * DAY_MINUTES
"""The Unix epoch was a Thursday."""


@lru_cache(maxsize=16)
def _next_change_s(hours: Hours, minute: int, zone: tzinfo | None) -> float | None:
    inside = hours.contains(minute * 60.0, zone)
    start, end = minute + 1, minute + WEEK_MINUTES + DAY_MINUTES
    block, offset = -1, 0
    for now in range(start, end):
        if now // _BLOCK_MINUTES != block:
            block = now // _BLOCK_MINUTES
            offset = _offset_minutes(now * 60.0, zone) + _EPOCH_MINUTE
        if hours._has((now + offset) % WEEK_MINUTES) is not inside:
            return now * 60.0
    return None


def _offset_minutes(at_s: float, zone: tzinfo | None) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


@lru_cache(maxsize=64)
def parse_hours(text: str) -> Hours:
    """Days with times, separated by commas; days without a time share the next time that comes.

    A span that ends before it begins goes on into the next day.

    :raises UserError: ``bad_hours``.
    """
    spans: list[tuple[int, int]] = []
    days: list[int] = []
    for part in text.lower().split(","):
        if not part.strip():
            continue
        found = _ITEM.match(part.strip())
        if found is None or not (found[1] or days):
            raise _bad(part)
        days += _days(part, found[1], found[2]) if found[1] else []
        if found[3] is None:
            continue
        spans += [span for day in days for span in _on_day(day, *_times(part, found))]
        days = []
    if days or len(spans) > SPANS_MAX:
        raise _bad(text)
    return Hours(_joined(spans))


def _days(part: str, first: str, last: str | None) -> list[int]:
    if first not in DAYS or (last is not None and last not in DAYS):
        raise _bad(part)
    start = DAYS.index(first)
    count = 1 if last is None else (DAYS.index(last) - start) % 7 + 1
    return [(start + ahead) % 7 for ahead in range(count)]


def _times(part: str, found: re.Match[str]) -> tuple[int, int]:
    start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
    minutes = (int(found[4]), int(found[6]))
    if max(minutes) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES or start == end:
        raise _bad(part)
    return start, end


def _on_day(day: int, start: int, end: int) -> list[tuple[int, int]]:
    begins = day * DAY_MINUTES + start
    ends = day * DAY_MINUTES + (end if end > start else end + DAY_MINUTES)
    if ends <= WEEK_MINUTES:
        return [(begins, ends)]
    return [(begins, WEEK_MINUTES), (0, ends - WEEK_MINUTES)]


def _joined(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _bad(text: str) -> UserError:
    return UserError(
        "bad_hours",
        f"{text.strip()[:60]!r} is not a time of the week.",
        "Nothing was changed.",
        "Write it like: mon-fri 18:00-08:00, sat,sun 00:00-24:00",
    )


def next_text(at_s: float, now_s: float, zone: tzinfo | None = None) -> str:
    """A moment that comes, short: ``18:00`` today, ``Mon 18:00`` within six days, else with its date."""
    local = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
    today = datetime.fromtimestamp(now_s, UTC).astimezone(zone).date()
    if (local.date() - today).days > 6:
        return f"{local:%Y-%m-%d %H:%M}"
    return f"{local:%H:%M}" if local.date() == today else f"{DAYS[local.weekday()].title()} {local:%H:%M}"
