"""What session keys are let spend."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.core.errors import UserError
from p2p.core.limits import SESSION_DAYS, SESSION_DAYS_MAX
from p2p.core.money import Asset
from p2p.engine.session_limits import SessionLimits


def test_without_a_choice_it_is_the_balance_for_a_month() -> None:
    limits = SessionLimits()
    assert limits.grant_units(Asset.USDC, 7) == limits.enough_units(Asset.USDC, 7) == 7
    assert limits.lifetime_s == SESSION_DAYS * 86_400 == 30 * 86_400


def test_a_chosen_amount_is_granted_and_a_balance_below_it_is_enough() -> None:
    limits = SessionLimits(allow={Asset.USDC: 5})
    assert (limits.grant_units(Asset.USDC, 7), limits.grant_units(Asset.USDC, 3)) == (5, 5)
    assert (limits.enough_units(Asset.USDC, 7), limits.enough_units(Asset.USDC, 3)) == (5, 3)
    assert limits.grant_units(Asset.SOL, 9) == 9


def test_they_come_back_from_json() -> None:
    for limits in (SessionLimits(), SessionLimits(SESSION_DAYS_MAX, {Asset.SOL: 1})):
        assert SessionLimits.from_json(limits.to_json()) == limits
    assert SessionLimits.from_json({}) == SessionLimits()


@pytest.mark.parametrize(
    "value",
    [
        {"days": 0},
        {"days": SESSION_DAYS_MAX + 1},
        {"days": True},
        {"days": "7"},
        {"allow": {"usdc": 0}},
        {"allow": {"usdc": -1}},
        {"allow": {"usdc": 2**63}},
        {"allow": {"usdc": True}},
        {"allow": {"eth": 1}},
        {"allow": []},
    ],
)
def test_an_impossible_limit_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        SessionLimits.from_json(value)
    assert caught.value.code == "bad_limits"
