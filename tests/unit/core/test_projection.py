"""What a node has earned, and what it may earn."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from p2p.core.earnings import Pay, Pays
from p2p.core.money import Asset
from p2p.core.projection import (
    DAY_S,
    MONTH_DAYS,
    Projection,
    Standing,
    electricity_usd_micros,
    project,
    standings,
)

NOW_S = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()


def pays(days_ago: float, units: int, pay: Pay = Pay.PAID, asset: Asset = Asset.USDC) -> Pays:
    return Pays(NOW_S - days_ago * DAY_S, asset, units, units // 9, pay)


many = st.lists(
    st.builds(
        pays,
        st.floats(0, 100, allow_nan=False),
        st.integers(0, 10**12),
        st.sampled_from(list(Pay)),
        st.sampled_from(list(Asset)),
    ),
    max_size=30,
)


def test_a_window_is_set_against_the_one_before() -> None:
    earned = [pays(1, 700), pays(6.9, 70), pays(8, 300), pays(13, 40), pays(40, 9)]
    assert project(earned, NOW_S, 7) == [Projection(Asset.USDC, 7, 770, 110, 3300, 340)]


def test_a_new_node_is_judged_by_the_days_that_it_has() -> None:
    assert project([pays(1.5, 100), pays(0.5, 100)], NOW_S, 7) == [
        Projection(Asset.USDC, 2, 200, 100, 3000, None)
    ]
    assert project([pays(0, 5)], NOW_S, 7) == [Projection(Asset.USDC, 1, 5, 5, 150, None)]
    assert project([], NOW_S, 7) == []
    assert project([pays(1, 5, Pay.RUNNING)], NOW_S, 7) == []
    (short,) = project([pays(8.5, 40), pays(3, 70)], NOW_S, 7)
    assert short.projected_units == 140  # two days before brought 40


@given(many, st.integers(1, 60))
def test_a_projection_is_what_it_comes_from(earned: list[Pays], days: int) -> None:
    certain = [one for one in earned if one.pay is not Pay.RUNNING]
    for each in project(earned, NOW_S, days):
        assert 1 <= each.days <= days
        start_s = NOW_S - each.days * DAY_S
        window = sum(one.net_units for one in certain if one.asset is each.asset and one.at_s > start_s)
        assert each.window_units == window
        assert each.per_day_units * each.days <= window < (each.per_day_units + 1) * each.days
        assert each.per_month_units * each.days <= window * MONTH_DAYS
        assert each.projected_units is None or each.projected_units >= 0
    assert {each.asset for each in project(earned, NOW_S, days)} == {one.asset for one in certain}


@given(many)
def test_standings_lose_nothing(earned: list[Pays]) -> None:
    for each in standings(earned, NOW_S, UTC):
        mine = [one for one in earned if one.asset is each.asset]
        parts = each.lifetime_units + each.in_review_units + each.unpaid_units + each.running_units
        assert parts == sum(one.net_units for one in mine)
        assert each.today_units <= each.week_units <= parts - each.running_units


def test_today_is_the_day_on_the_wall() -> None:
    earned = [
        pays(0.4, 1),
        pays(0.6, 10),
        pays(8, 100),
        pays(0.1, 1000, Pay.RUNNING),
        pays(1, 7, Pay.WAITING),
    ]
    assert standings(earned, NOW_S, UTC) == [
        Standing(
            Asset.USDC, today_units=1, week_units=18, unpaid_units=7, running_units=1000, lifetime_units=111
        )
    ]


@given(st.integers(0, 10**9), st.integers(0, 10**5), st.integers(0, 10**8))
def test_electricity_is_rounded_up_once(seconds: int, watts: int, price: int) -> None:
    cost = electricity_usd_micros(seconds, watts, price)
    assert (cost - 1) * 3_600_000 < seconds * watts * price <= cost * 3_600_000


def test_a_kilowatt_hour_costs_what_it_costs() -> None:
    assert electricity_usd_micros(3600, 1000, 300_000) == 300_000
    assert electricity_usd_micros(1, 1, 1) == 1
