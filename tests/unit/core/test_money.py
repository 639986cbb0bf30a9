"""Money is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.limits import FEE_BPS_MAX
from p2p.core.money import (
    Asset,
    cost_units,
    format_amount,
    format_usd,
    parse_amount,
    parse_usd,
    split,
    usd_to_units,
)

UNITS = st.integers(1, 2**63 - 1)


@given(UNITS, st.data(), st.integers(0, FEE_BPS_MAX))
def test_a_split_neither_makes_nor_loses_a_unit(deposit: int, data: st.DataObject, bps: int) -> None:
    used = data.draw(st.integers(0, deposit))
    parts = split(deposit, used, bps)
    assert parts.node_units + parts.fee_units + parts.refund_units == deposit
    assert min(parts.node_units, parts.fee_units, parts.refund_units) >= 0
    assert parts.fee_units * 10_000 <= used * bps < (parts.fee_units + 1) * 10_000


def test_ten_per_cent_is_floored_for_the_platform() -> None:
    parts = split(1000, 999, 1000)
    assert (parts.node_units, parts.fee_units, parts.refund_units) == (900, 99, 1)


@pytest.mark.parametrize("used", [-1, 1001])
def test_more_than_the_deposit_cannot_be_used(used: int) -> None:
    with pytest.raises(ValueError, match="not within the deposit"):
        split(1000, used, 1000)


@given(UNITS, st.sampled_from(Asset))
def test_amounts_are_read_as_they_are_written(units: int, asset: Asset) -> None:
    assert parse_amount(format_amount(units, asset, symbol=False), asset) == units


@pytest.mark.parametrize("text", ["", "-1", "1e3", "0", "0.0", "1.0000001", "nan", "1,5", "9" * 30, "٣"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_amount(text, Asset.USDC)


@given(st.integers(0, 10**9), st.integers(0, 86_400))
def test_cost_rounds_up_by_less_than_a_unit(rate: int, seconds: int) -> None:
    cost = cost_units(rate, seconds)
    assert 0 <= cost * 3600 - rate * seconds < 3600


def test_dollars_into_assets() -> None:
    assert usd_to_units(400_000, Asset.USDC) == 400_000
    assert usd_to_units(150_000_000, Asset.SOL, 150_000_000) == 10**9
    assert usd_to_units(1, Asset.SOL, 3_000_000) == 334  # rounded up


def test_dollars_as_people_write_them() -> None:
    assert parse_usd(0.1) == 100_000
    assert parse_usd("$0.80") == 800_000
    assert format_usd(800_000) == "$0.80"
    assert format_usd(500) == "$0.0005"
    for bad in ("x", "-1", "nan", "inf", 10**7):
        with pytest.raises(UserError):
            parse_usd(bad)
