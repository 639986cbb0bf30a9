"""One libp2p host, with every default that bites set explicitly (Noise and our muxer over TCP, and nothing
else).

The library is built for open networks with discovery; what it does by itself here is reduced to connecting,
encrypting and multiplexing:

* no plaintext, secio or TLS security, no QUIC, no mDNS, no identify, no ping protocol;
* no automatic dialling or pruning, no circuit breaker (five refusals would close the host for a minute), no
  shared stream semaphore (one peer could take every slot);
* an exception while a stream is handled ends that stream, not the host.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import multiaddr
import trio
from libp2p import new_swarm
from libp2p.abc import INetConn, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.host.basic_host import BasicHost
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.rcmgr.connection_limits import ConnectionLimits
from libp2p.rcmgr.manager import ResourceLimits, ResourceManager
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.transport.tcp.tcp import TCP

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import (
    CONNECTION_UNUSED_S,
    CONNECTIONS_PER_PEER_MAX,
    DIAL_TIMEOUT_S,
    HANDSHAKE_TIMEOUT_S,
    MUX_STREAMS_PER_CONNECTION_MAX,
)
from p2p.net.identity import PeerIdentity
from p2p.net.noise import BufferedNoise
from p2p.net.yamux import MUXER_PROTOCOL, BoundedYamux

logger = logging.getLogger(__name__)
# It warns, with tracebacks, of whatever any stranger does; what matters of that is logged by us.
logging.getLogger("libp2p").setLevel(logging.ERROR)

_MEMORY_LIMIT_MIB = 1 << 20  # the library's own accounting is not used: our limits are per stream and channel


class Host(BasicHost):
    """The library's host without identify, and with a guard around everything that a stream can cause."""

    def __init__(self, swarm: Swarm, resources: ResourceManager) -> None:
        super().__init__(
            network=swarm,
            negotiate_timeout=int(HANDSHAKE_TIMEOUT_S),
            disable_identify_address_discovery=True,
        )
        self.swarm = swarm
        self.multiselect = Multiselect({})
        swarm.set_resource_manager(resources, enable_stream_semaphore=False)
        swarm.set_stream_handler(self._guarded_stream_handler)

    async def _guarded_stream_handler(self, stream: INetStream) -> None:
        try:
            await self._swarm_stream_handler(stream)
        except Exception as error:
            # Whatever happens in one stream, from the library or from us, is that stream's matter.
            logger.info("stream from %s ended: %r", stream.muxed_conn.peer_id, error)
            await self._reset(stream)

    @staticmethod
    async def _reset(stream: INetStream) -> None:
        try:
            await stream.reset()
        except Exception as error:
            logger.debug("resetting a stream: %r", error)

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        """Not used: what a peer serves and where it listens is said over the control channel."""

    async def _push_identify_to_all_peers(self) -> None:
        """Not used, see above."""


class _NoAutoConnector(AutoConnector):
    """The library dials whoever it knows of until it is half full, whatever its lower limits are."""

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        await trio.lowlevel.checkpoint()

    async def maybe_connect(self) -> None:
        await trio.lowlevel.checkpoint()


def build_host(identity: PeerIdentity, connections_max: int) -> Host:
    """A host that is not running yet. Must be called inside ``trio.run``."""
    key_pair = create_new_key_pair(identity.seed)
    swarm = new_swarm(
        key_pair=key_pair,
        sec_opt={NOISE_PROTOCOL: BufferedNoise(key_pair)},
        muxer_opt={MUXER_PROTOCOL: BoundedYamux},
        transports=[TCP()],
        retry_config=RetryConfig(max_retries=0),
        connection_config=ConnectionConfig(
            max_connections=connections_max,
            min_connections=0,  # so that the whole limit is open to inbound connections
            low_watermark=0,
            high_watermark=connections_max,
            max_connections_per_peer=CONNECTIONS_PER_PEER_MAX,
            dial_timeout=DIAL_TIMEOUT_S,
            inbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
            outbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
            inbound_stream_protocol_negotiation_timeout=HANDSHAKE_TIMEOUT_S,
            outbound_stream_protocol_negotiation_timeout=HANDSHAKE_TIMEOUT_S,
            enable_health_monitoring=False,
        ),
    )
    assert isinstance(swarm, Swarm)
    swarm.auto_connector = _NoAutoConnector(swarm)
    return Host(swarm, _resources(connections_max))


def _resources(connections_max: int) -> ResourceManager:
    return ResourceManager(
        limits=ResourceLimits(
            max_connections=2 * connections_max,  # it counts a connection twice while it is being upgraded
            max_memory_mb=_MEMORY_LIMIT_MIB,
            max_streams=2 * connections_max * MUX_STREAMS_PER_CONNECTION_MAX,
        ),
        connection_limits=ConnectionLimits(
            max_pending_inbound=connections_max,
            max_pending_outbound=connections_max,
            max_established_inbound=connections_max,
            max_established_outbound=connections_max,
            max_established_per_peer=CONNECTIONS_PER_PEER_MAX,
            max_established_total=connections_max,
        ),
        enable_metrics=False,
        enable_memory_limits=False,
        enable_connection_pooling=False,
        enable_memory_pooling=False,
        enable_circuit_breaker=False,
        enable_graceful_degradation=False,
        enable_rate_limiting=False,
    )


def parse_address(text: str) -> multiaddr.Multiaddr:
    """:raises UserError: not a multiaddr of the form ``/ip4|ip6|dns…/…/tcp/…``."""
    try:
        address = multiaddr.Multiaddr(text)
        names = [protocol.name for protocol in address.protocols()]
    except Exception as error:  # the library has a dozen exception types for bad text
        raise _bad_address(text) from error
    if len(names) < 2 or names[0] not in ("ip4", "ip6", "dns", "dns4", "dns6") or names[1] != "tcp":
        raise _bad_address(text)
    return address


def _bad_address(text: str) -> UserError:
    return UserError(
        "bad_address",
        f"{text[:120]!r} is not an address that can be used here.",
        hint="Write it like /ip4/192.0.2.7/tcp/4001.",
    )


def host_and_port(address: multiaddr.Multiaddr) -> tuple[str, int]:
    """The host (an IP address or a name) and the TCP port of an address that :func:`parse_address`
    accepted."""
    first = address.protocols()[0]
    return str(address.value_for_protocol(first.code)), int(address.value_for_protocol("tcp"))


@asynccontextmanager
async def running(host: Host, listen_addrs: Sequence[str]) -> AsyncIterator[tuple[str, ...]]:
    """Run ``host``, listening; the addresses that it really has, each with its ``/p2p/`` part.

    :raises UserError: an address is malformed.
    :raises EnvironmentFailure: ``cannot_listen``: an address is taken or not ours.
    """
    wanted = [parse_address(text) for text in listen_addrs]
    for address in wanted:
        _check_free(address)
    async with host.run(wanted):
        listening = tuple(str(address) for address in host.get_transport_addrs())
        if len(listening) < len(wanted):  # the library only logs that it could not listen
            raise _cannot_listen(", ".join(listen_addrs), "the network library did not start listening")
        suffix = f"/p2p/{host.get_id()}"
        try:
            yield tuple(a if a.endswith(suffix) else a + suffix for a in listening)
        finally:
            with trio.CancelScope(shield=True):
                await _close(host)


def _check_free(address: multiaddr.Multiaddr) -> None:
    """The library sets SO_REUSEPORT, so that two hosts would share a port and each get half the
    connections."""
    name, port = host_and_port(address)
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if hasattr(
            socket, "SO_REUSEPORT"
        ):  # POSIX: bind again while old connections linger, not while in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((name, port))
            probe.listen(1)
        except OSError as error:
            raise _cannot_listen(str(address), error.strerror or str(error)) from error


def _cannot_listen(where: str, why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "cannot_listen",
        f"Cannot listen on {where}: {why}.",
        "Other peers could not connect to this one.",
        "Choose another address or port, or stop the program that uses it.",
        retryable=False,
    )


async def _close(host: Host) -> None:
    """Close the listeners, which the library leaves open when it is cancelled, then the connections."""
    for listener in tuple(host.swarm.listeners.values()):
        await listener.close()
    await close_connections(host)


async def close_connections(host: Host) -> None:
    """Close all connections at once; the library does it one after the other, 0.1 s each."""
    async with trio.open_nursery() as nursery:
        for connection in host.swarm.get_connections():
            nursery.start_soon(connection.close)


async def close_unused(host: Host) -> None:
    """Close connections that nobody uses for ``CONNECTION_UNUSED_S``, until cancelled.

    They remain when two peers dialled each other at once, or are there only to fill our table.
    """
    idle: set[INetConn] = set()
    while True:
        await trio.sleep(CONNECTION_UNUSED_S)
        unused = {each for each in host.swarm.get_connections() if not each.get_streams()}
        for connection in unused & idle:
            await connection.close()
        idle = unused
