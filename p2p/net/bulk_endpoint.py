"""A peer's end of direct connections: one listening socket, one certificate, tickets, worker threads."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

import trio

from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import PeerId
from p2p.core.limits import (
    BULK_CONNECT_TIMEOUT_S,
    BULK_CONNECTIONS_MAX,
    BULK_HANDSHAKES_MAX,
    BULK_IO_TIMEOUT_S,
    BULK_TICKET_LIFETIME_S,
    BULK_TICKETS_PER_PEER_MAX,
)
from p2p.net.bulk_threads import ConnectionLost, receive_exactly, run_in_thread
from p2p.net.chunks import (
    HEADER,
    NAME_BYTES,
    TOKEN_BYTES,
    ChunkProtocolViolation,
    RecordKind,
    parse_header,
)
from p2p.net.tls import TlsEnd, shown

logger = logging.getLogger(__name__)

T = TypeVar("T")

_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a provider promised to a puller: one session, soon."""

    peer_id: PeerId
    grant: str
    certificate: bytes
    expires_s: float


class Tickets:
    """Outstanding tickets by the hash of their token. Each can be redeemed once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets: OrderedDict[bytes, Ticket] = OrderedDict()

    def issue(self, peer_id: PeerId, grant: str, certificate: bytes) -> bytes:
        """A fresh token. The oldest of a peer that has too many is dropped."""
        now_s = self._clock.monotonic_s()
        for key in [key for key, ticket in self._tickets.items() if ticket.expires_s < now_s]:
            del self._tickets[key]
        theirs = [key for key, ticket in self._tickets.items() if ticket.peer_id == peer_id]
        if len(theirs) >= BULK_TICKETS_PER_PEER_MAX:
            del self._tickets[theirs[0]]
        token = os.urandom(TOKEN_BYTES)
        ticket = Ticket(peer_id, grant, certificate, now_s + BULK_TICKET_LIFETIME_S)
        self._tickets[sha256(token).digest()] = ticket
        return token

    def find(self, token: bytes) -> Ticket | None:
        """The ticket of a token, if it has not expired; it stays redeemable."""
        ticket = self._tickets.get(sha256(token).digest())
        return ticket if ticket and ticket.expires_s >= self._clock.monotonic_s() else None

    def redeem(self, token: bytes, holder: bytes | PeerId) -> Ticket | None:
        """Use a token up. ``holder`` is the certificate shown, or the peer id on an authenticated stream.

        A token in the wrong hands is used up too: it has leaked.
        """
        ticket = self.find(token)
        self._tickets.pop(sha256(token).digest(), None)
        if ticket is None or holder not in (ticket.certificate, ticket.peer_id):
            return None
        return ticket


Redeemed = Callable[[ssl.SSLSocket, Ticket], Awaitable[None]]


class BulkEndpoint:
    """Direct connections of one peer, in both directions."""

    def __init__(self, nursery: trio.Nursery, clock: Clock, listen_host: str | None) -> None:
        self.tickets = Tickets(clock)
        self.transfers = trio.CapacityLimiter(BULK_CONNECTIONS_MAX)
        self.on_redeemed: Redeemed | None = None
        """Serves a session whose ticket was redeemed; set by the :class:`~p2p.net.bulk.BulkServer`."""
        self._nursery = nursery
        self._listen_host = listen_host
        # Apart, so that strangers who dial us and say nothing don't keep us from dialling others.
        self.handshakes_in = trio.CapacityLimiter(BULK_HANDSHAKES_MAX)
        self._handshakes_out = trio.CapacityLimiter(BULK_HANDSHAKES_MAX)
        self._tls: TlsEnd | None = None
        self._port = 0
        self._starting = trio.Lock()
        self._expected: dict[bytes, tuple[bytes, trio.MemorySendChannel[ssl.SSLSocket]]] = {}

    async def tls(self) -> TlsEnd:
        """Our certificate and contexts, made at first use."""
        async with self._starting:
            if self._tls is None:
                self._tls = await trio.to_thread.run_sync(TlsEnd)
            return self._tls

    async def port(self) -> int:
        """Where we listen for direct connections, from the first call on; 0 if this peer does not listen."""
        await self.tls()
        async with self._starting:
            if not self._port and self._listen_host is not None:
                family = socket.AF_INET6 if ":" in self._listen_host else socket.AF_INET
                listening = trio.socket.socket(family, socket.SOCK_STREAM)
                try:
                    await listening.bind((self._listen_host, 0))
                    listening.listen(_BACKLOG)
                except OSError as error:
                    listening.close()
                    logger.warning("no direct connections: %s", error)
                    return 0
                self._port = int(listening.getsockname()[1])
                self._nursery.start_soon(self._accept, listening)
            return self._port

    # -- connecting

    async def dial(self, host: str, port: int, certificate: bytes) -> ssl.SSLSocket:
        """A TLS connection to the end that holds ``certificate``.

        :raises ConnectionLost: it cannot be reached, or somebody else answers.
        """
        tls = await self.tls()
        tls.trust(certificate)
        try:
            with trio.fail_after(BULK_CONNECT_TIMEOUT_S):
                stream = await trio.open_tcp_stream(host, port)
        except (OSError, trio.TooSlowError) as error:
            raise ConnectionLost(f"no direct connection to {host} port {port}: {error}") from error
        raw = _blocking(stream.socket)
        return await _in_time(raw, self._handshakes_out, lambda: _secure_client(raw, tls.client, certificate))

    # -- accepting

    @contextmanager
    def expecting(
        self, certificate: bytes
    ) -> Iterator[tuple[bytes, trio.MemoryReceiveChannel[ssl.SSLSocket]]]:
        """Be ready for the holder of ``certificate`` to dial us: a name for it to give, and where it
        arrives."""
        name = os.urandom(NAME_BYTES)
        send, receive = trio.open_memory_channel[ssl.SSLSocket](1)
        self._expected[name] = (certificate, send)
        try:
            yield name, receive
        finally:
            del self._expected[name]
            with suppress(trio.WouldBlock):  # it came just as we gave up
                receive.receive_nowait().close()

    async def _accept(self, listening: trio.socket.SocketType) -> None:
        waiting = trio.Semaphore(_BACKLOG)
        with listening:
            while True:
                await waiting.acquire()
                try:
                    accepted, _ = await listening.accept()
                except OSError as error:  # out of file descriptors, or reset before we took it
                    logger.warning("a direct connection could not be accepted: %s", error)
                    await trio.sleep(1)
                    waiting.release()
                    continue
                self._nursery.start_soon(self._on_accepted, _blocking(accepted), waiting)

    async def _on_accepted(self, raw: socket.socket, waiting: trio.Semaphore) -> None:
        tls = await self.tls()
        try:
            connection, kind, body = await self._welcome(raw, tls)
        except (ConnectionLost, ChunkProtocolViolation) as problem:
            logger.info("a direct connection was refused: %s", problem)
            return
        finally:
            waiting.release()
        certificate = shown(connection)
        if kind is RecordKind.HELLO:
            ticket = self.tickets.redeem(body, certificate)
            if ticket is not None and self.on_redeemed is not None:
                await self.on_redeemed(connection, ticket)
                return
        elif kind is RecordKind.DIALLED and body in self._expected:
            expected, arrived = self._expected[body]
            if certificate == expected:
                try:
                    arrived.send_nowait(connection)
                except (trio.WouldBlock, trio.BrokenResourceError):
                    logger.info("a direct connection came too late")
                else:
                    return
        logger.info("a direct connection without a valid ticket was refused")
        connection.close()

    async def _welcome(self, raw: socket.socket, tls: TlsEnd) -> tuple[ssl.SSLSocket, RecordKind, bytes]:
        """Handshake and the first record. Errors as :func:`_in_time`."""

        def work() -> tuple[ssl.SSLSocket, RecordKind, bytes]:
            connection = _secure_server(raw, tls.server)
            try:
                kind, body = _first_record(connection)
            except BaseException:
                connection.close()
                raise
            return connection, kind, body

        return await _in_time(raw, self.handshakes_in, work)


async def _in_time(raw: socket.socket, limiter: trio.CapacityLimiter, work: Callable[[], T]) -> T:
    """Run ``work`` on ``raw`` in a thread; the waiting for a thread counts.

    :raises ConnectionLost: what ``work`` raises, or it took longer than twice ``BULK_CONNECT_TIMEOUT_S``.
    """
    try:
        with trio.move_on_after(2 * BULK_CONNECT_TIMEOUT_S):
            return await run_in_thread(raw, limiter, work)
        raise ConnectionLost("no handshake in time")
    except BaseException:
        raw.close()
        raise


def _blocking(trio_socket: trio.socket.SocketType) -> socket.socket:
    """The same connection as a blocking socket with timeouts, no longer trio's."""
    raw = socket.socket(trio_socket.family, trio_socket.type, trio_socket.proto, trio_socket.detach())
    raw.settimeout(BULK_CONNECT_TIMEOUT_S)
    with suppress(OSError):  # it may be reset already, which the first read tells
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def _secure_server(raw: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(raw, server_side=True)
    except (OSError, ValueError) as error:
        raise ConnectionLost(f"TLS handshake: {error}") from error


def _secure_client(raw: socket.socket, context: ssl.SSLContext, certificate: bytes) -> ssl.SSLSocket:
    try:
        connection = context.wrap_socket(raw)
    except (OSError, ValueError) as error:
        raise ConnectionLost(f"TLS handshake: {error}") from error
    if shown(connection) != certificate:
        connection.close()
        raise ConnectionLost("the other end shows another certificate than its peer announced")
    connection.settimeout(BULK_IO_TIMEOUT_S)
    return connection


def _first_record(connection: ssl.SSLSocket) -> tuple[RecordKind, bytes]:
    header = memoryview(bytearray(HEADER.size))
    receive_exactly(connection, header)
    kind, length = parse_header(header)
    if kind not in (RecordKind.HELLO, RecordKind.DIALLED):
        raise ChunkProtocolViolation(f"{kind.name} as the first record")
    body = memoryview(bytearray(length))
    receive_exactly(connection, body)
    connection.settimeout(BULK_IO_TIMEOUT_S)
    return kind, bytes(body)


def busy() -> EnvironmentFailure:
    """All transfer threads are taken."""
    return EnvironmentFailure(
        "bulk_busy",
        "The other side has too many transfers in hand.",
        "Nothing was transferred.",
        "Try again in a moment.",
    )
