"""The provider's side of bulk transfer: serves chunks to the peers that its source authorises."""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol

from p2p.core.errors import Bug, EnvironmentFailure, Refused
from p2p.core.ids import PeerId
from p2p.core.limits import BULK_SESSIONS_PER_PEER_MAX
from p2p.net.bulk_endpoint import BulkEndpoint, Ticket, busy
from p2p.net.bulk_messages import (
    DIAL_BACK_METHOD,
    OPEN_METHOD,
    DialBackRequest,
    OpenReply,
    OpenRequest,
)
from p2p.net.bulk_stream import BULK_PROTOCOL, StreamConnection, provide_over_stream
from p2p.net.bulk_threads import (
    ChunkSource,
    ConnectionLost,
    provide,
    receive_exactly,
    run_in_thread,
    send_all,
)
from p2p.net.chunks import HEADER, ChunkProtocolViolation, RecordKind, parse_header, record
from p2p.net.peer import Call, Peer
from p2p.net.tls import shown
from p2p.net.traffic import CountedSource

logger = logging.getLogger(__name__)


class BulkServer:
    """Serves chunks of ``source`` to the peers that it authorises. One per peer."""

    def __init__(self, peer: Peer, source: ChunkSource) -> None:
        if peer.bulk.on_redeemed is not None:
            raise Bug("this peer has a bulk server already")
        self._peer = peer
        self._source = source
        self._sessions: Counter[PeerId] = Counter()
        peer.bulk.on_redeemed = self._serve_connection
        peer.serve(OPEN_METHOD, self._open)
        peer.serve(DIAL_BACK_METHOD, self._dial_back)
        peer.host.set_stream_handler(TProtocol(BULK_PROTOCOL), self._serve_stream)

    @property
    def _endpoint(self) -> BulkEndpoint:
        return self._peer.bulk

    def _counted(self, peer_id: PeerId, *, relayed: bool) -> ChunkSource:
        return CountedSource(self._source, self._peer.traffic, peer_id, relayed=relayed)

    async def _open(self, call: Call) -> bytes:
        request = OpenRequest.decode(call.payload)
        if self._endpoint.transfers.available_tokens < 1 or not self._may_begin(call.peer_id):
            raise busy()
        await trio.to_thread.run_sync(self._source.authorise, call.peer_id, request.grant)
        tls = await self._endpoint.tls()
        tls.trust(request.certificate)
        token = self._endpoint.tickets.issue(call.peer_id, request.grant, request.certificate)
        return OpenReply(token, await self._endpoint.port(), tls.certificate).encode()

    async def _dial_back(self, call: Call) -> bytes:
        """Only at the address from which the puller is connected: nobody can aim us at a third party."""
        request = DialBackRequest.decode(call.payload)
        ticket = self._endpoint.tickets.find(request.token)
        if ticket is None or ticket.peer_id != call.peer_id:
            raise Refused("bad_ticket", "There is no such transfer ticket.", hint="Open the transfer again.")
        host = self._peer.remote_host(call.peer_id)
        if host is None:
            raise EnvironmentFailure(
                "cannot_dial_back", "The puller is not connected directly.", retryable=False
            )
        try:
            connection = await self._endpoint.dial(host, request.port, ticket.certificate)
        except ConnectionLost as problem:
            raise EnvironmentFailure(
                "cannot_dial_back", f"The puller cannot be reached: {problem}.", retryable=False
            ) from problem
        self._peer.nursery.start_soon(self._serve_dialled, connection, request)
        return b""

    async def _serve_dialled(self, connection: ssl.SSLSocket, request: DialBackRequest) -> None:
        """A connection that we dialled: say which, then the puller begins as if it had dialled."""

        def begin() -> bytes:
            send_all(connection, record(RecordKind.DIALLED, request.name))
            header = _receive(connection, HEADER.size)
            kind, length = parse_header(header)
            if kind is not RecordKind.HELLO:
                raise ChunkProtocolViolation(f"{kind.name} where HELLO was due")
            return _receive(connection, length)

        with connection:
            try:
                token = await run_in_thread(connection, self._endpoint.transfers, begin)
            except (ConnectionLost, ChunkProtocolViolation) as problem:
                logger.info("a dialled-back connection ended: %s", problem)
                return
            ticket = self._endpoint.tickets.redeem(token, shown(connection))
            if ticket is None:
                logger.info("a dialled-back connection without a valid ticket")
                return
            await self._serve_connection(connection, ticket)

    def _may_begin(self, peer_id: PeerId) -> bool:
        return self._sessions[peer_id] < BULK_SESSIONS_PER_PEER_MAX

    @contextmanager
    def _session(self, ticket: Ticket) -> Iterator[None]:
        """Count a session while it lasts: no peer may take all threads from the others.

        :raises ConnectionLost: the peer has too many.
        """
        if not self._may_begin(ticket.peer_id):
            raise ConnectionLost(f"it has {BULK_SESSIONS_PER_PEER_MAX} sessions already")
        self._sessions[ticket.peer_id] += 1
        try:
            yield
        finally:
            self._sessions -= Counter((ticket.peer_id,))  # without entries of zero

    async def _serve_connection(self, connection: ssl.SSLSocket, ticket: Ticket) -> None:
        with connection:
            try:
                with self._session(ticket):
                    source = self._counted(ticket.peer_id, relayed=False)
                    await run_in_thread(
                        connection,
                        self._endpoint.transfers,
                        lambda: provide(connection, source, ticket.grant),
                    )
            except ConnectionLost as problem:
                logger.info("a transfer to %s ended: %s", ticket.peer_id, problem)
            except ChunkProtocolViolation as violation:
                logger.warning("a transfer to %s: %s", ticket.peer_id, violation)

    async def _serve_stream(self, stream: INetStream) -> None:
        peer_id = PeerId(stream.muxed_conn.peer_id.to_base58())
        connection = StreamConnection(stream)
        try:
            kind, length = parse_header(await connection.receive_exactly(HEADER.size))
            if kind is not RecordKind.HELLO:
                raise ChunkProtocolViolation(f"{kind.name} where HELLO was due")
            ticket = self._endpoint.tickets.redeem(await connection.receive_exactly(length), peer_id)
            if ticket is None:
                raise ChunkProtocolViolation("no valid ticket")
            with self._session(ticket):
                source = self._counted(peer_id, relayed=True)
                await provide_over_stream(connection, source, ticket.grant, self._endpoint.transfers)
        except ConnectionLost as problem:
            logger.info("a transfer to %s ended: %s", peer_id, problem)
        except ChunkProtocolViolation as violation:
            logger.warning("a transfer to %s: %s", peer_id, violation)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                await stream.reset()


def _receive(connection: ssl.SSLSocket, count: int) -> bytes:
    body = memoryview(bytearray(count))
    receive_exactly(connection, body)
    return bytes(body)
