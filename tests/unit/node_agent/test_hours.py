"""Weekly hours on the wall clock, also where the clock is put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.hours import DAYS, WEEK_MINUTES, Hours, next_text, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # whose summer time is half an hour
ZONES = [UTC, BERLIN, LORD_HOWE, ZoneInfo("America/St_Johns")]
NIGHTS = "mon-fri 18:00-08:00, sat,sun 00:00-24:00"


def at(text: str, zone: ZoneInfo = BERLIN, *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-02T17:59", False),  # a Monday
        ("2026-11-02T18:00", True),
        ("2026-11-03T07:59", True),
        ("2026-11-03T08:00", False),
        ("2026-11-07T07:00", True),  # of Friday night
        ("2026-11-08T23:59", True),
        ("2026-11-09T00:00", False),  # Sunday has no night of its own
    ],
)
def test_nights_and_weekends(moment: str, inside: bool) -> None:
    assert parse_hours(NIGHTS).contains(at(moment), BERLIN) is inside


def test_the_clock_on_the_wall_counts_when_it_is_put_forward() -> None:
    hours = parse_hours("sun 01:00-04:00")
    # On 2026-03-29 the clock goes from 02:00 to 03:00: these three hours last two.
    start = at("2026-03-29T01:00")
    end = hours.next_change_s(start, BERLIN)
    assert end == at("2026-03-29T04:00")
    assert end - start == 2 * 3600


def test_the_clock_on_the_wall_counts_when_it_is_put_back() -> None:
    hours = parse_hours("sun 02:00-03:00")
    start = at("2026-10-25T02:00")
    assert hours.contains(at("2026-10-25T02:30", fold=1), BERLIN)  # the hour comes twice
    end = hours.next_change_s(start, BERLIN)
    assert end is not None
    assert end - start == 2 * 3600


def test_hours_that_the_clock_skips_do_not_come() -> None:
    hours = parse_hours("sun 02:00-03:00")
    assert hours.next_change_s(at("2026-03-28T12:00"), BERLIN) == at("2026-04-05T02:00")


def test_never_and_always_do_not_change() -> None:
    now_s = at("2026-11-02T12:00")
    assert parse_hours("") == Hours()
    assert not parse_hours("").contains(now_s)
    always = parse_hours("mon-sun 00:00-24:00")
    assert always.spans == ((0, WEEK_MINUTES),)
    assert always.contains(now_s)
    assert always.next_change_s(now_s) is None
    assert parse_hours("fri-mon 10:00-11:00") == parse_hours("fri, sat,sun,MON 10:00 - 11:00")


@pytest.mark.parametrize(
    "wrong", ["18:00-08:00", "mon", "mon 18:00-18:00", "mon 24:00-25:00", "mon 10:60-11:00", "day 1:00-2:00",
              "mon 10:00", "mon-xyz 1:00-2:00", "mon 1:00-2:00, tue", "mon 1:00-24:01"]
)  # fmt: skip
def test_what_is_no_time_of_the_week_is_refused(wrong: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_hours(wrong)
    assert caught.value.code == "bad_hours"


def test_a_moment_is_named_as_short_as_it_is_clear() -> None:
    now_s = at("2026-11-26T12:00")
    moments = {
        "2026-11-26T18:00": "18:00",
        "2026-12-02T08:00": "Wed 08:00",
        "2026-12-03T08:00": "2026-12-03 08:00",
    }
    for moment, words in moments.items():
        assert next_text(at(moment), now_s, BERLIN) == words


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        start, end = draw(st.lists(st.integers(0, 1439), min_size=2, max_size=2, unique=True))
        day = draw(st.sampled_from(DAYS))
        parts.append(f"{day} {start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}")
    return ", ".join(parts)


@given(texts(), st.integers(0, 400 * 24 * 60), st.sampled_from(ZONES))
def test_until_the_next_change_nothing_changes(text: str, ahead: int, zone: ZoneInfo) -> None:
    hours = parse_hours(text)
    now_s = 1_767_225_600.0 + 60 * ahead  # somewhere in 2026
    change_s = hours.next_change_s(now_s, zone)
    assert change_s is not None
    inside = hours.contains(now_s, zone)
    assert hours.contains(change_s, zone) is not inside
    for part in range(100):
        between_s = now_s + (change_s - now_s) * part / 100
        assert hours.contains(between_s, zone) is inside


@given(texts(), st.integers(0, WEEK_MINUTES - 1))
def test_contains_is_what_was_typed(text: str, minute: int) -> None:
    day, of_day = divmod(minute, 1440)
    wanted = False
    for part in text.split(", "):
        name, times = part.split(" ")
        start, end = (int(t.split(":")[0]) * 60 + int(t.split(":")[1]) for t in times.split("-"))
        on = DAYS.index(name)
        if start < end:
            wanted |= day == on and start <= of_day < end
        else:
            wanted |= (day == on and of_day >= start) or (day == (on + 1) % 7 and of_day < end)
    monday_s = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    assert parse_hours(text).contains(monday_s + 60 * minute, UTC) is wanted
