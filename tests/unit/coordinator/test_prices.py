"""By which prices of SOL a job is quoted, and where the feed is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.domain.prices import SolPrice
from coordinator.domain.settings import Settings, SolFeed, parse_settings
from p2p.chain.pyth import SOL_USD_ACCOUNT
from p2p.core.errors import UserError
from p2p.core.limits import SOL_PRICE_AGE_MAX_S, SOL_PRICE_AHEAD_MAX_S

GOOD = SolPrice(SolFeed.PYTH, 100_000_000, 30.0, SOL_PRICE_AGE_MAX_S, 1_000_000, 100_000_000)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({"age_s": SOL_PRICE_AGE_MAX_S - 1}, True),
        ({"age_s": SOL_PRICE_AGE_MAX_S}, True),
        ({"age_s": SOL_PRICE_AGE_MAX_S + 1}, False),
        ({"age_s": -SOL_PRICE_AHEAD_MAX_S + 1}, True),
        ({"age_s": -SOL_PRICE_AHEAD_MAX_S}, True),
        ({"age_s": -SOL_PRICE_AHEAD_MAX_S - 1}, False),
        ({"confidence_usd_micros": 999_999}, True),
        ({"confidence_usd_micros": 1_000_000}, True),
        ({"confidence_usd_micros": 1_000_001}, False),
        ({"confidence_usd_micros": 2**80}, False),
        ({"usd_micros": 109_999_999}, True),
        ({"usd_micros": 110_000_000}, True),
        ({"usd_micros": 110_000_001}, False),
        ({"usd_micros": 90_000_000, "confidence_usd_micros": 0}, True),
        ({"usd_micros": 89_999_999, "confidence_usd_micros": 0}, False),
        ({"age_s": 1e9, "age_max_s": None}, True),
        ({"age_s": -1e9, "age_max_s": None}, True),
    ],
)
def test_each_bound(change: dict[str, float], good: bool) -> None:
    assert (replace(GOOD, **change).fault() == "") is good  # type: ignore[arg-type]


def test_a_fault_says_its_numbers() -> None:
    assert replace(GOOD, age_s=200.4).fault() == "is 200 s old, more than 180 s"
    assert (
        replace(GOOD, confidence_usd_micros=2_000_000).fault() == "is known only to ± $2.00, more than 1.00 %"
    )


def test_the_feed_is_named_or_follows_from_the_cluster() -> None:
    assert parse_settings("[chain]\nx = 1\n") == Settings()
    assert parse_settings("[coordinator]\nfee_payer = false\n") == Settings(fee_payer=False)
    assert Settings().feed_on("localnet") is SolFeed.ADMIN
    assert Settings().feed_on("devnet") is Settings().feed_on("mainnet") is SolFeed.PYTH
    named = parse_settings(f'[prices]\nsol_feed = "pyth"\npyth_account = "{SOL_USD_ACCOUNT}"\n')
    assert named == Settings(SolFeed.PYTH, SOL_USD_ACCOUNT)
    assert named.feed_on("localnet") is SolFeed.PYTH


@pytest.mark.parametrize(
    "text",
    [
        "[prices",
        "prices = 1",
        '[prices]\nsol_feed = "guess"',
        "[prices]\nsol_feed = 1",
        "[prices]\npyth_account = 1",
        '[prices]\npyth_account = "0"',
        '[prices]\nsol_fed = "pyth"',
        '[coordinator]\nfee_payer = "yes"',
    ],
)
def test_settings_that_are_wrong_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_settings(text)
