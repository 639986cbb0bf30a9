from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.metering import run_start_s, used_seconds, used_units
from coordinator.domain.pricing import PriceList, make_terms, rate_terms
from p2p.core.errors import Refused, UserError
from p2p.core.jobspec import JobConfig
from p2p.core.limits import TIMEOUT_MAX_S, TIMEOUT_MIN_S
from p2p.core.messages.jobs import Terms
from p2p.core.money import Asset, cost_units

PRICES = PriceList({"cpu": 40_000, "rtx4090": 400_000, "h100": 2_000_000}, 150_000_000)


def terms(config: JobConfig, asset: Asset = Asset.USDC, prices: PriceList = PRICES) -> Terms:
    return make_terms(
        job_id="0" * 32,
        buyer="buyer",
        asset=asset,
        config=config,
        prices=prices,
        fee_bps=1000,
        spec_hash=b"h",
        coordinator_wallet="c",
        now_s=100.0,
    )


def test_a_named_class_has_one_rate() -> None:
    made = terms(JobConfig("rtx4090", timeout_s=3600))
    assert [(rate.gpu_class, rate.units_per_hour) for rate in made.rates] == [("rtx4090", 400_000)]
    assert made.deposit_units == 400_000


def test_any_has_every_class_up_to_max_price_and_deposits_for_the_dearest() -> None:
    made = terms(JobConfig("any", max_price_usd_micros_per_hour=400_000, timeout_s=1800))
    assert [rate.gpu_class for rate in made.rates] == ["cpu", "rtx4090"]
    assert made.deposit_units == 200_000
    assert [rate.gpu_class for rate in terms(JobConfig("any")).rates] == ["cpu", "rtx4090", "h100"]


def test_sol_follows_its_price_rounded_up() -> None:
    made = terms(JobConfig("rtx4090", timeout_s=3600), Asset.SOL)
    assert made.rates[0].units_per_hour == 2_666_667  # 0.4 / 150 SOL = 2 666 666.67 lamports
    dearer = replace(PRICES, sol_usd_micros=300_000_000)
    assert terms(JobConfig("rtx4090"), Asset.SOL, dearer).rates[0].units_per_hour == 1_333_334


def test_an_unknown_class_names_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        rate_terms(JobConfig("rtx9999"), PRICES, Asset.USDC)
    assert caught.value.code == "unknown_gpu_type"
    for name in ("rtx9999", "any", "cpu", "h100"):
        assert name in caught.value.what + caught.value.hint


@pytest.mark.parametrize(("gpu_type", "cheapest"), [("any", "$0.04"), ("h100", "$2.00")])
def test_a_price_too_low_names_the_cheapest(gpu_type: str, cheapest: str) -> None:
    with pytest.raises(Refused) as caught:
        rate_terms(JobConfig(gpu_type, max_price_usd_micros_per_hour=39_999), PRICES, Asset.USDC)
    assert caught.value.code == "price_too_low"
    assert cheapest in caught.value.what


def test_a_deposit_that_cannot_be_moved_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        terms(JobConfig("cpu", timeout_s=TIMEOUT_MAX_S), Asset.SOL, PriceList({"cpu": 2**60}, 1))
    assert caught.value.code == "deposit_too_large"


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 10**9), min_size=1),
    st.integers(TIMEOUT_MIN_S, TIMEOUT_MAX_S),
    st.sampled_from(Asset),
    st.data(),
)
def test_no_class_and_no_time_can_cost_more_than_the_deposit(
    rates: dict[str, int], timeout_s: int, asset: Asset, data: st.DataObject
) -> None:
    made = terms(JobConfig("any", timeout_s=timeout_s), asset, PriceList(rates, 150_000_000))
    seconds = data.draw(st.integers(0, timeout_s))
    for rate in made.rates:
        assert cost_units(rate.units_per_hour, seconds) <= made.deposit_units
        assert used_units(rate.units_per_hour, seconds, made.deposit_units) == cost_units(
            rate.units_per_hour, seconds
        )


@given(st.floats(0, 1e6), st.floats(-10, 1e6), st.integers(1, 10**5))
def test_used_never_exceeds_node_coordinator_or_timeout(node_s: float, seen_s: float, timeout_s: int) -> None:
    used = used_seconds(node_s, seen_s, timeout_s)
    assert 0 <= used <= timeout_s
    assert used <= math.ceil(node_s)
    assert used <= max(0, math.ceil(seen_s))


def test_metering_by_hand() -> None:
    assert used_seconds(37.2, 37.5, 3600) == 38
    assert used_seconds(100.0, 37.5, 3600) == 38  # the coordinator saw less
    assert used_seconds(20.0, 37.5, 3600) == 20  # the node asks for less
    assert used_seconds(90.0, 90.0, 60) == 60
    assert used_units(400_000, 38, 10**9) == 4223  # 4222.2 rounded up
    assert used_units(400_000, 38, 4000) == 4000


def test_a_late_report_is_believed_back_to_the_assignment_only() -> None:
    assert run_start_s(1000.0, 10.0, 900.0) == 990.0
    assert run_start_s(1000.0, 500.0, 900.0) == 900.0
