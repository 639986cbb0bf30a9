"""``config.toml``: which network this installation belongs to.

::

    [coordinator]
    address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3Koo…"

    [chain]        # see docs/escrow.md
    cluster = "localnet"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from p2p.core.errors import UserError

_HINT = "`cyxwiz local up` writes one for a network on this machine."


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The parsed file. ``chain`` is the raw ``[chain]`` table, which :mod:`p2p.chain` reads."""

    coordinator_address: str
    chain: Mapping[str, Any] = field(default_factory=dict)

    @property
    def coordinator_peer_id(self) -> str:
        return self.coordinator_address.rpartition("/p2p/")[2]


def parse_network_config(text: str) -> NetworkConfig:
    """Read ``config.toml``.

    :raises UserError: not TOML, or no coordinator address that ends with ``/p2p/<peer id>``.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError("bad_network_config", f"config.toml cannot be read: {error}.", hint=_HINT) from None
    coordinator, chain = tables.get("coordinator", {}), tables.get("chain", {})
    address = coordinator.get("address") if isinstance(coordinator, dict) else None
    if not isinstance(address, str) or not isinstance(chain, dict):
        raise UserError("bad_network_config", "config.toml has no [coordinator] address.", hint=_HINT)
    if "/p2p/" not in address:
        raise UserError(
            "bad_network_config",
            f"The coordinator's address {address[:120]!r} names no peer id.",
            "Without it nobody could tell that it is the right coordinator.",
            "It ends with /p2p/ and the peer id, as `cyxwiz-coordinator serve` prints it.",
        )
    return NetworkConfig(address, chain)
