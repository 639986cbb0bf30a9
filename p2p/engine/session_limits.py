"""How much, and for how long, this computer's session keys may spend: the buyer's choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from p2p.core.errors import UserError
from p2p.core.limits import AMOUNT_MAX_UNITS, SESSION_DAYS, SESSION_DAYS_MAX
from p2p.core.money import Asset
from p2p.store.engine import EngineTables

_SETTING = "session_limits"
_DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``allow``: the most that a key gets; of an asset that is not in it, the whole balance."""

    days: int = SESSION_DAYS
    allow: Mapping[Asset, int] = field(default_factory=dict)

    @property
    def lifetime_s(self) -> int:
        return self.days * _DAY_S

    def grant_units(self, asset: Asset, balance_units: int) -> int:
        """What a key is let spend when it is renewed."""
        return self.allow.get(asset, balance_units)

    def enough_units(self, asset: Asset, balance_units: int) -> int:
        """What a key that needs no renewal can still spend."""
        return min(balance_units, self.grant_units(asset, balance_units))

    def to_json(self) -> dict[str, Any]:
        return {"days": self.days, "allow": {asset.value: self.allow.get(asset) for asset in Asset}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SessionLimits:
        """:raises UserError: an impossible limit."""
        days, allow = value.get("days", SESSION_DAYS), value.get("allow", {})
        if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= SESSION_DAYS_MAX:
            raise _bad(f"days must be a whole number from 1 to {SESSION_DAYS_MAX}")
        if not isinstance(allow, dict) or not set(allow) <= {asset.value for asset in Asset}:
            raise _bad("allow must name amounts by asset")
        found = {Asset(name): units for name, units in allow.items() if units is not None}
        for units in found.values():
            if not isinstance(units, int) or isinstance(units, bool) or not 0 < units <= AMOUNT_MAX_UNITS:
                raise _bad("an amount must be more than zero")
        return cls(days, found)


async def session_limits(tables: EngineTables) -> SessionLimits:
    """Those of this home."""
    text = await tables.setting(_SETTING)
    return SessionLimits() if text is None else SessionLimits.from_json(json.loads(text))


async def change_session_limits(tables: EngineTables, changes: Mapping[str, Any]) -> SessionLimits:
    """Keep ``days`` and amounts of ``allow`` for the renewals to come; an amount of None: the whole balance.

    :raises UserError: an impossible limit.
    """
    old = (await session_limits(tables)).to_json()
    allow = changes.get("allow", {})
    if not isinstance(allow, dict):
        raise _bad("allow must name amounts by asset")
    limits = SessionLimits.from_json({**old, **changes, "allow": {**old["allow"], **allow}})
    await tables.set_setting(_SETTING, json.dumps(limits.to_json()))
    return limits


def _bad(problem: str) -> UserError:
    return UserError(
        "bad_limits", f"These limits of session keys cannot be: {problem}.", "Nothing was changed."
    )
