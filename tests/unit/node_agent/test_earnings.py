"""How far each job's pay is, and sums by day and month."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.earnings import By, Pay, Pays, by_period, in_all, pay_of
from p2p.core.money import Asset
from p2p.core.states import JobState
from p2p.local.earnings_csv import periods_csv
from p2p.node.cli_earnings import pay_words, period_json, total_lines

NOW_S = 1_780_000_000.0
ZONES = st.sampled_from(
    [UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12)), ZoneInfo("Europe/Berlin")]
)
pays = st.builds(
    Pays,
    at_s=st.floats(1.6e9, 1.9e9),
    asset=st.sampled_from(Asset),
    net_units=st.integers(0, 10**15),
    fee_units=st.integers(0, 10**14),
    pay=st.sampled_from(Pay),
)


@given(st.lists(pays, max_size=40), st.sampled_from(By), ZONES)
def test_no_unit_is_lost_or_counted_twice(earned: list[Pays], by: By, zone: timezone) -> None:
    periods = by_period(earned, by, zone)
    for asset in Asset:
        for pay in Pay:
            mine = [one for one in earned if (one.asset, one.pay) == (asset, pay)]
            sums = [period.total(pay) for period in periods if period.asset is asset]
            assert sum(each.jobs for each in sums) == len(mine)
            assert sum(each.net_units for each in sums) == sum(one.net_units for one in mine)
            assert sum(each.fee_units for each in sums) == sum(one.fee_units for one in mine)
            if mine:
                assert in_all(earned)[asset][pay].net_units == sum(one.net_units for one in mine)
    for period in periods:
        assert period.total() == period.total(*Pay)
        assert period.total().jobs > 0
    keys = [(period.period, period.asset) for period in periods]
    assert len(set(keys)) == len(keys)
    assert [key[0] for key in keys] == sorted((key[0] for key in keys), reverse=True)


@given(st.lists(pays, min_size=1, max_size=20), ZONES)
def test_days_make_up_their_month(earned: list[Pays], zone: timezone) -> None:
    days, months = by_period(earned, By.DAY, zone), by_period(earned, By.MONTH, zone)
    for month in months:
        inside = [day for day in days if day.period[:7] == month.period and day.asset is month.asset]
        assert sum(day.total().net_units for day in inside) == month.total().net_units


@given(pays, ZONES)
def test_a_day_is_that_of_the_zone(one: Pays, zone: timezone) -> None:
    (found,) = by_period([one], By.DAY, zone)
    day = date.fromisoformat(found.period)
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    assert begin.timestamp() <= one.at_s < (begin + timedelta(days=1)).timestamp() + 3600


def test_midnight_belongs_to_the_day_that_begins() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 11, 26, tzinfo=berlin).timestamp()
    earned = [Pays(at_s, Asset.USDC, 1, 0, Pay.PAID) for at_s in (midnight - 1, midnight)]
    assert [period.period for period in by_period(earned, By.DAY, berlin)] == ["2026-11-26", "2026-11-25"]
    assert [period.period for period in by_period(earned, By.DAY, UTC)] == ["2026-11-25"]


@pytest.mark.parametrize(
    ("state", "review_ends_at_s", "pay"),
    [
        (JobState.SETTLED, None, Pay.PAID),
        (JobState.SETTLED, NOW_S, Pay.PAID),
        (JobState.COMPLETED, NOW_S, Pay.IN_REVIEW),
        (JobState.DELIVERING, NOW_S, Pay.IN_REVIEW),
        (JobState.DELIVERING, None, Pay.WAITING),
        (JobState.COMPLETED, None, Pay.WAITING),
        (JobState.CANCELLED, None, Pay.WAITING),
        (JobState.RUNNING, None, Pay.RUNNING),
    ],
)
def test_how_far_the_pay_is(state: JobState, review_ends_at_s: float | None, pay: Pay) -> None:
    assert pay_of(state, review_ends_at_s) is pay
    disputed = Pay.PAID if pay is Pay.PAID else Pay.DISPUTED
    assert pay_of(state, review_ends_at_s, disputed=True) is disputed


def test_words() -> None:
    assert pay_words(Pay.PAID, NOW_S, NOW_S) == "paid"
    assert pay_words(Pay.IN_REVIEW, NOW_S + 1e6, NOW_S).startswith("claimed and in review until 20")
    assert pay_words(Pay.IN_REVIEW, NOW_S - 1, NOW_S) == "claimed, its review is over: being paid"
    assert pay_words(Pay.DISPUTED, NOW_S, NOW_S) == "disputed: the arbiter decides"
    assert pay_words(Pay.RUNNING, None, NOW_S) == "running now (estimate)"


def test_totals_in_words() -> None:
    earned = [
        Pays(NOW_S, Asset.USDC, 900_000, 100_000, Pay.PAID),
        Pays(NOW_S, Asset.USDC, 90_000, 10_000, Pay.PAID),
        Pays(NOW_S, Asset.SOL, 9, 1, Pay.WAITING),
    ]
    assert total_lines(earned) == [
        "waiting for the buyer's signature: 0.000000009 SOL (fee 0.000000001 SOL)",
        "paid: 0.990000 USDC (fee 0.110000 USDC)",
    ]
    assert total_lines([]) == []


def test_a_period_as_json_and_csv() -> None:
    earned = [Pays(NOW_S, Asset.USDC, 900_000, 100_000, Pay.PAID), Pays(NOW_S, Asset.USDC, 9, 1, Pay.RUNNING)]
    periods = by_period(earned, By.MONTH, UTC)
    found = period_json(periods[0])
    assert (found["period"], found["jobs"], found["net_units"], found["fee_units"]) == (
        "2026-05",
        2,
        900_009,
        100_001,
    )
    assert found["pay"]["paid"] == {"jobs": 1, "net_units": 900_000, "fee_units": 100_000}
    assert found["pay"]["in_review"] == {"jobs": 0, "net_units": 0, "fee_units": 0}
    (row,) = csv.DictReader(io.StringIO(periods_csv(By.MONTH, periods)))
    assert (row["month"], row["asset"], row["jobs"]) == ("2026-05", "USDC", "2")
    assert (row["paid_units"], row["paid"], row["running_units"], row["fee"]) == (
        "900000",
        "0.900000",
        "9",
        "0.100001",
    )
