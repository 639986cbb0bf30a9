"""Reaching a peer: try its addresses, a little apart, until one answers with the right key."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey

from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import PeerId
from p2p.core.limits import ADDRESSES_PER_PEER_MAX, DIAL_STAGGER_S, DIAL_TIMEOUT_S
from p2p.net.errors import unreachable
from p2p.net.host import Host, parse_address

logger = logging.getLogger(__name__)


async def open_stream(host: Host, peer_id: PeerId, protocol: str, addrs: Iterable[str]) -> INetStream:
    """A stream of ``protocol`` to the peer, over a connection that exists or a new one, within
    ``DIAL_TIMEOUT_S``.

    :raises EnvironmentFailure: ``peer_unreachable``, or ``wrong_peer``: another peer answers at its
    addresses.
    :raises UserError: an address is malformed.
    """
    target = ID.from_base58(peer_id)
    known = tuple(dict.fromkeys(addrs))[:ADDRESSES_PER_PEER_MAX]
    for text in known:
        parse_address(text)
    try:
        with trio.fail_after(DIAL_TIMEOUT_S):
            if any(not connection.is_closed for connection in host.swarm.get_connections(target)):
                try:
                    return await host.new_stream(target, [TProtocol(protocol)])
                except Exception as error:
                    # Each layer of the library has its own exceptions; a stale connection is replaced.
                    logger.info("no stream over the connection to %s: %r", peer_id, error)
            await _connect(host, target, peer_id, known)
            try:
                return await host.new_stream(target, [TProtocol(protocol)])
            except Exception as error:
                raise unreachable(peer_id, "it closed the connection") from error
    except trio.TooSlowError:
        raise unreachable(peer_id, f"no answer within {DIAL_TIMEOUT_S:.0f} s") from None


async def _connect(host: Host, target: ID, peer_id: PeerId, addrs: tuple[str, ...]) -> None:
    """Dial every address, ``DIAL_STAGGER_S`` after the one before or as soon as that has failed."""
    if not addrs:
        raise unreachable(peer_id, "no address of it is known")
    failures: list[Exception] = []
    connected = False

    async def dial(text: str, failed: trio.Event) -> None:
        nonlocal connected
        try:
            await host.swarm.dial_addr(parse_address(text), target)
        except Exception as error:  # as above
            failures.append(error)
            failed.set()
            return
        connected = True
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for text in addrs:
            failed = trio.Event()
            nursery.start_soon(dial, text, failed)
            with trio.move_on_after(DIAL_STAGGER_S):
                await failed.wait()
    if connected:
        return
    if any(_is_wrong_peer(failure) for failure in failures):
        raise EnvironmentFailure(
            "wrong_peer",
            f"Another peer than {peer_id} answers at its addresses.",
            "Nothing was sent to it.",
            "The address may be out of date, or somebody pretends to be that peer.",
            retryable=False,
        )
    raise unreachable(peer_id, f"none of its {len(addrs)} addresses could be dialled")


def _is_wrong_peer(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, PeerIDMismatchesPubkey):
            return True
        error = error.__cause__ or error.__context__
    return False
