"""A peer on the network: its host, one channel per other peer, calls in both directions, gossip."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import UserError
from p2p.core.ids import PeerId, parse_peer_id
from p2p.core.limits import (
    ADDRESSES_PER_PEER_MAX,
    ADDRESSES_REMEMBERED_MAX_PEERS,
    CALL_TIMEOUT_S,
    CHANNEL_DRAIN_S,
    CONNECTIONS_MAX,
    HANDLER_TIMEOUT_S,
)
from p2p.net.addresses import dialable
from p2p.net.bulk_endpoint import BulkEndpoint
from p2p.net.calls import Call, Handler, Methods, StreamHandler
from p2p.net.channel import Channel
from p2p.net.dialler import open_stream
from p2p.net.errors import single_errors_unwrapped, timed_out, unreachable
from p2p.net.gossip import Gossip
from p2p.net.host import Host, build_host, close_unused, host_and_port, parse_address, running
from p2p.net.identity import PeerIdentity, public_key_of
from p2p.net.links import Links
from p2p.net.traffic import Traffic

__all__ = ["CONTROL_PROTOCOL", "Call", "Peer"]

logger = logging.getLogger(__name__)

CONTROL_PROTOCOL = "/cyxwiz/control/1"

DisconnectCallback = Callable[[PeerId], None]


class Peer:
    """One libp2p host, wrapped. Make it with :meth:`open`."""

    def __init__(
        self,
        identity: PeerIdentity,
        clock: Clock,
        host: Host,
        nursery: trio.Nursery,
        listening: tuple[str, ...],
        towards: tuple[str, ...],
    ) -> None:
        self.identity = identity
        self.peer_id = identity.peer_id
        self.clock = clock
        self.host = host
        self.nursery = nursery
        self.opened_at_s = clock.now_s()
        self.traffic = Traffic(clock)
        listen_host = host_and_port(parse_address(listening[0]))[0] if listening else None
        self.bulk = BulkEndpoint(nursery, clock, listen_host)
        self._listening = listening
        self._towards = towards
        self._methods = Methods()
        self._links = Links(self.peer_id)
        self._dialling: dict[PeerId, trio.Lock] = {}
        self._remembered: OrderedDict[PeerId, tuple[str, ...]] = OrderedDict()
        self._on_disconnect: list[DisconnectCallback] = []
        self._gossip: Gossip | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        identity: PeerIdentity,
        listen_addrs: Sequence[str],
        *,
        clock: Clock = SYSTEM_CLOCK,
        topics: Iterable[str] = (),
        connections_max: int = CONNECTIONS_MAX,
        towards: Iterable[str] = (),
    ) -> AsyncIterator[Peer]:
        """Run a peer for the length of the block.

        ``listen_addrs`` are multiaddrs (``/ip4/0.0.0.0/tcp/4001``; port 0 takes a free one); with none the
        peer can only dial. ``topics`` are all the gossip topics it will ever hear or publish; with none,
        gossip is off. ``towards`` are addresses of peers that are sure to be in the same network, such as the
        coordinator's: they tell which of several interfaces to name to others (see :attr:`addresses`).

        :raises UserError: ``bad_address``.
        :raises EnvironmentFailure: ``cannot_listen``.
        """
        host = build_host(identity, connections_max)
        async with AsyncExitStack() as stack:
            stack.enter_context(single_errors_unwrapped())
            addresses = await stack.enter_async_context(running(host, listen_addrs))
            nursery = await stack.enter_async_context(trio.open_nursery())
            stack.callback(nursery.cancel_scope.cancel)
            peer = cls(identity, clock, host, nursery, addresses, tuple(towards))
            host.set_stream_handler(TProtocol(CONTROL_PROTOCOL), peer._on_control_stream)
            nursery.start_soon(close_unused, host)
            if wanted := frozenset(topics):
                peer._gossip = await stack.enter_async_context(Gossip.running(host, wanted, clock))
            yield peer

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where this peer can be dialled now: multiaddrs, each with its ``/p2p/`` part.

        A machine that changes networks changes them.
        """
        return dialable(self._listening, self._towards)

    # -- serving

    def serve(self, method: str, handler: Handler, *, timeout_s: float = HANDLER_TIMEOUT_S) -> None:
        """Answer calls of ``method``. The handler is cancelled when the caller gives up or after
        ``timeout_s``."""
        self._methods.add(method, handler, timeout_s)

    def serve_stream(self, method: str, handler: StreamHandler) -> None:
        """Answer streams of ``method``; the generator waits in its ``yield`` while the caller has no credit
        left."""
        self._methods.add_stream(method, handler)

    # -- asking

    async def call(
        self,
        peer_id: str,
        method: str,
        payload: bytes,
        *,
        addrs: Iterable[str] = (),
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> bytes:
        """Ask a peer and wait for its reply; dials it (at ``addrs`` and where it was last reached) if need
        be.

        :raises CyxWizError: what the other side's handler raised.
        :raises EnvironmentFailure: ``peer_unreachable``, ``peer_timeout``, ``wrong_peer``, ``peer_internal``,
        ...
        """
        try:
            with trio.fail_after(timeout_s):
                channel = await self._channel(peer_id, addrs)
                return await channel.call(method, payload)
        except trio.TooSlowError:
            raise timed_out(peer_id, method, timeout_s) from None

    @asynccontextmanager
    async def stream(
        self, peer_id: str, method: str, payload: bytes, *, addrs: Iterable[str] = ()
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Ask a peer for a stream of items. Leaving the block tells it to stop; errors as in :meth:`call`.

        Items are credited as they are taken, so a slow consumer slows the producer and nothing else.
        """
        channel = await self._channel(peer_id, addrs)
        async with channel.stream(method, payload) as items:
            yield items

    async def connect(self, peer_id: str, addrs: Iterable[str] = ()) -> None:
        """Make sure that there is a channel to a peer. Errors as in :meth:`call`."""
        await self._channel(peer_id, addrs)

    async def disconnect(self, peer_id: str) -> None:
        """Close the channels and connections to a peer, if there are any."""
        known = parse_peer_id(peer_id)
        while (channel := self._links.pick(known)) is not None:
            channel.close()
            await channel.closed.wait()
        for connection in tuple(self.host.swarm.get_connections(ID.from_base58(known))):
            await connection.close()

    def connected_peers(self) -> frozenset[PeerId]:
        """Peers with a live channel."""
        return self._links.peers()

    def on_disconnect(self, callback: DisconnectCallback) -> None:
        """Have ``callback(peer_id)`` called when the last channel to a peer has ended. It must not block or
        raise."""
        self._on_disconnect.append(callback)

    def remote_host(self, peer_id: str) -> str | None:
        """The IP address from or at which a peer is connected directly; none if it is not, or only
        relayed."""
        for connection in self.host.swarm.get_connections(ID.from_base58(parse_peer_id(peer_id))):
            address = connection.muxed_conn.get_remote_address()  # type: ignore[attr-defined]
            if address is not None and not connection.is_closed:
                return str(address[0])
        return None

    # -- gossip

    async def publish(self, topic: str, data: bytes) -> None:
        """Tell everybody who listens to ``topic``, signed by this peer; at most ``GOSSIP_MESSAGE_MAX_BYTES``.

        :raises UserError: ``message_too_large`` or ``unknown_topic``.
        """
        await self._require_gossip(topic).publish(topic, data)

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[tuple[PeerId, bytes]]]:
        """Hear ``topic``: ``(signer's peer id, data)``, each once. A slow listener loses the oldest messages.

        :raises UserError: ``unknown_topic``.
        """
        return self._require_gossip(topic).subscribe(topic)

    def _require_gossip(self, topic: str) -> Gossip:
        if self._gossip is None:
            raise UserError("unknown_topic", f"This peer takes no part in the topic {topic!r}.")
        return self._gossip

    # -- channels

    async def _channel(self, peer_id: str, addrs: Iterable[str]) -> Channel:
        """The channel to a peer, made if there is none."""
        public_key_of(peer_id)  # only Ed25519 peers, whose ids prove themselves
        target = parse_peer_id(peer_id)
        if target == self.peer_id:
            raise UserError("own_peer_id", "A peer cannot call itself.")
        if (channel := self._links.pick(target)) is not None:
            return channel
        lock = self._dialling.setdefault(target, trio.Lock())
        try:
            async with lock:
                if (channel := self._links.pick(target)) is not None:
                    return channel
                candidates = (*addrs, *self._remembered.get(target, ()))
                stream = await open_stream(self.host, target, CONTROL_PROTOCOL, candidates)
                self._remember(target, candidates)
                return self._adopt(stream, target, dialler=True)
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._dialling.pop(target, None)

    def _remember(self, peer_id: PeerId, addrs: Iterable[str]) -> None:
        """Keep the addresses under which a peer was found, so that later calls need not name them."""
        self._remembered[peer_id] = tuple(dict.fromkeys(addrs))[:ADDRESSES_PER_PEER_MAX]
        self._remembered.move_to_end(peer_id)
        while len(self._remembered) > ADDRESSES_REMEMBERED_MAX_PEERS:
            self._remembered.popitem(last=False)

    async def _on_control_stream(self, stream: INetStream) -> None:
        """Another peer has opened a channel to us."""
        peer_id = PeerId(stream.muxed_conn.peer_id.to_base58())
        public_key_of(peer_id)
        await self._adopt(stream, peer_id, dialler=False).closed.wait()

    def _adopt(self, stream: INetStream, peer_id: PeerId, *, dialler: bool) -> Channel:
        if self.nursery.cancel_scope.cancel_called:
            raise unreachable(peer_id, "this side is closing")
        channel = Channel(stream, peer_id, self._methods, dialler=dialler)
        for superseded in self._links.add(channel):
            superseded.close()
        self.nursery.start_soon(self._run_channel, channel)
        preferred = self._links.pick(peer_id)
        if preferred is not None and preferred is not channel and channel.dialler:
            self.nursery.start_soon(self._drain, channel, preferred)
        elif preferred is channel:
            for other in self._links.others(channel):
                if other.dialler:
                    self.nursery.start_soon(self._drain, other, channel)
        return channel

    async def _run_channel(self, channel: Channel) -> None:
        try:
            await channel.run()
        finally:
            if self._links.remove(channel):
                for callback in self._on_disconnect:
                    try:
                        callback(channel.peer_id)
                    except Exception:
                        logger.exception("a disconnect callback failed for peer %s", channel.peer_id)

    async def _drain(self, surplus: Channel, preferred: Channel) -> None:
        """Close a channel of ours that both sides stop using, once the other side knows the preferred one."""
        await preferred.ping()
        while not preferred.closed.is_set() and not surplus.closed.is_set():
            await trio.sleep(CHANNEL_DRAIN_S)
            if surplus.idle and not preferred.closed.is_set():
                surplus.close()
                return
