"""What the operator sets in ``config.toml`` for the coordinator itself.

::

    [coordinator]
    fee_payer = true        # pay the fees of session keys that have no SOL

    [prices]
    sol_feed = "pyth"       # or "admin": `cyxwiz-coordinator rates set sol PRICE`
    pyth_account = "7UVi…"  # of the feed SOL/USD; the sponsored one by default
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from p2p.core.errors import UserError
from p2p.core.ids import Wallet, parse_wallet

LOCALNET = "localnet"


class SolFeed(Enum):
    """Where the price of SOL comes from."""

    ADMIN = "admin"
    PYTH = "pyth"


@dataclass(frozen=True, slots=True)
class Settings:
    """``sol_feed`` and ``pyth_account`` of ``[prices]``; None: what suits the cluster. ``fee_payer``: whether
    the fees of buyers whose session key has no SOL are paid."""

    sol_feed: SolFeed | None = None
    pyth_account: Wallet | None = None
    fee_payer: bool = True

    def feed_on(self, cluster: str) -> SolFeed:
        """By default the operator's own price on a localnet, and Pyth's where Pyth is."""
        return self.sol_feed or (SolFeed.ADMIN if cluster == LOCALNET else SolFeed.PYTH)


def parse_settings(text: str) -> Settings:
    """The coordinator's part of ``config.toml``.

    :raises UserError: ``bad_settings``: not TOML, or a value of the wrong kind.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(f"config.toml cannot be read: {error}") from None
    prices = _table(tables, "prices")
    unknown = sorted(set(prices) - {"sol_feed", "pyth_account"})
    if unknown:
        raise _bad(f"[prices] has no field {unknown[0][:40]!r}")
    return Settings(_feed(prices), _account(prices), _fee_payer(_table(tables, "coordinator")))


def _table(tables: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise _bad(f"{name} is not a table")
    return table


def _feed(prices: Mapping[str, object]) -> SolFeed | None:
    value = prices.get("sol_feed")
    if value is None:
        return None
    known = {feed.value: feed for feed in SolFeed}
    if not isinstance(value, str) or value not in known:
        raise _bad(f"[prices] sol_feed must be one of {', '.join(known)}")
    return known[value]


def _account(prices: Mapping[str, object]) -> Wallet | None:
    value = prices.get("pyth_account")
    if value is None:
        return None
    if not isinstance(value, str):
        raise _bad("[prices] pyth_account is not an address")
    return parse_wallet(value)


def _fee_payer(coordinator: Mapping[str, object]) -> bool:
    value = coordinator.get("fee_payer", True)
    if not isinstance(value, bool):
        raise _bad("[coordinator] fee_payer is neither true nor false")
    return value


def _bad(what: str) -> UserError:
    return UserError("bad_settings", f"{what}.", "Nothing was started.", "docs/cli.md describes config.toml.")
