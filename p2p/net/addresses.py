"""Where others can dial a peer that listens on "every interface"."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from p2p.core.limits import ADDRESSES_PER_PEER_MAX

_ANY = {"ip4": "0.0.0.0", "ip6": "::"}
_LOOPBACK = {"ip4": "127.0.0.1", "ip6": "::1"}
_FAMILIES = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}
# Addresses for documentation (RFC 5737, RFC 3849), which are nobody's: the way to them is the way to anybody.
_ANYBODY = {"ip4": "192.0.2.1", "ip6": "2001:db8::1"}
_DISCARD_PORT = 9  # a datagram socket is only bound towards it; nothing is sent


def dialable(listening: Iterable[str], towards: Iterable[str] = ()) -> tuple[str, ...]:
    """``listening`` with "any" addresses replaced: by those of the interfaces that lead to ``towards`` and to
    the internet, and by loopback.

    All are multiaddrs; names in ``towards`` are not looked up. The loopback address serves networks on one
    machine; elsewhere whoever dials it finds another peer or nobody there, which the peer id in the address
    tells.
    """
    known = tuple(towards)
    found: list[str] = []
    for address in listening:
        parts = address.split("/")
        version = parts[1] if len(parts) > 2 else ""
        if parts[2:3] != [_ANY.get(version)]:
            found.append(address)
            continue
        for host in _hosts(version, known):
            found.append("/".join((*parts[:2], host, *parts[3:])))
    return tuple(dict.fromkeys(found))[:ADDRESSES_PER_PEER_MAX]


def _hosts(version: str, towards: tuple[str, ...]) -> tuple[str, ...]:
    parts = (address.split("/") for address in towards)
    targets = [part[2] for part in parts if part[1:2] == [version] and len(part) > 2]
    sources = (_source_address(version, target) for target in (*targets, _ANYBODY[version]))
    return (*(source for source in sources if source is not None), _LOOPBACK[version])


def _source_address(version: str, target: str) -> str | None:
    """The address of the interface by which ``target`` is reached; None if there is no such way."""
    try:
        with socket.socket(_FAMILIES[version], socket.SOCK_DGRAM) as probe:
            probe.connect((target, _DISCARD_PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return None
