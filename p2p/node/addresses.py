"""Where others can dial this node, when it listens on "every interface"."""

from __future__ import annotations

import socket

from p2p.core.limits import ADDRESSES_PER_PEER_MAX

_ANY = {"ip4": "0.0.0.0", "ip6": "::"}
_LOOPBACK = {"ip4": "127.0.0.1", "ip6": "::1"}
_FAMILIES = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}
_DISCARD_PORT = 9  # a datagram socket is only bound towards it; nothing is sent


def dialable(listening: tuple[str, ...], coordinator_address: str) -> tuple[str, ...]:
    """``listening`` with "any" addresses replaced: by the interface towards the coordinator, and by loopback.

    All are multiaddrs. The loopback address serves networks on one machine; elsewhere whoever dials it
    finds another peer or nobody there, which the peer id in the address tells.
    """
    found: list[str] = []
    for address in listening:
        parts = address.split("/")
        version = parts[1] if len(parts) > 2 else ""
        if parts[2:3] != [_ANY.get(version)]:
            found.append(address)
            continue
        for host in (_source_address(version, coordinator_address), _LOOPBACK[version]):
            if host is not None:
                found.append("/".join((*parts[:2], host, *parts[3:])))
    return tuple(dict.fromkeys(found))[:ADDRESSES_PER_PEER_MAX]


def _source_address(version: str, coordinator_address: str) -> str | None:
    """The address of the interface by which the coordinator is reached; None if there is no such way."""
    target = coordinator_address.split("/")
    if target[1:2] != [version] or len(target) < 3:
        return None
    with socket.socket(_FAMILIES[version], socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target[2], _DISCARD_PORT))
        except OSError:
            return None
        return str(probe.getsockname()[0])
