"""The chunk protocol over a blocking TLS socket, in a worker thread: the fast path of bulk transfer.

Python's blocking ``ssl`` socket moves 2.5 times what trio's does, because it neither schedules nor copies
between. A thread is stopped by shutting its socket down; see :func:`run_in_thread`.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import trio

from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure
from p2p.core.limits import BULK_AHEAD_CHUNKS, CHUNK_BYTES
from p2p.net.chunks import (
    HEADER,
    ChunkProtocolViolation,
    ProviderSession,
    PullPlan,
    RecordKind,
    check_fits,
    error_from_body,
    error_to_body,
    parse_header,
    record,
)
from p2p.net.errors import error_body, raised_error

logger = logging.getLogger(__name__)

T = TypeVar("T")

_REQUEST_BYTES = 4096


class ChunkSource(Protocol):
    """Where a provider's chunks come from. Methods block and are called in worker threads."""

    def authorise(self, peer_id: str, grant: str) -> None:
        """:raises Refused: this peer may not have what the grant names."""

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        """Copy a chunk (at most ``CHUNK_BYTES``) into ``into``; its size. The puller verifies the hash.

        :raises UserError: there is no such chunk, or what it was made of has changed.
        """


class ChunkSink(Protocol):
    """Where pulled chunks go. Called in a worker thread, once per chunk, after its hash was verified."""

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        """Keep the chunk; ``data`` is valid only during the call."""


class ConnectionLost(Exception):
    """The connection ended before the session did."""


async def run_in_thread(connection: socket.socket, limiter: trio.CapacityLimiter, work: Callable[[], T]) -> T:
    """Run ``work``, which blocks on ``connection``, in a worker thread; cancelling shuts the connection down.

    The thread has always ended when this returns or raises.

    :raises ConnectionLost: this process has no file descriptor left.
    """
    problem: Exception | None = None
    try:
        # A handle of its own: wrapping a socket in TLS takes the original's away.
        handle = socket.fromfd(connection.fileno(), connection.family, connection.type)
    except OSError as error:
        raise ConnectionLost(str(error)) from error
    with handle:
        finished = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_shut_down_when_cancelled, handle, finished)
            try:
                result = await trio.to_thread.run_sync(work, limiter=limiter)
            except Exception as error:
                problem = error  # raised below, so that the nursery does not wrap it
            finished.set()
    if problem is not None:
        raise problem
    return result


async def _shut_down_when_cancelled(handle: socket.socket, finished: trio.Event) -> None:
    try:
        await finished.wait()
    finally:
        if not finished.is_set():
            with suppress(OSError):  # the connection may be gone already
                handle.shutdown(socket.SHUT_RDWR)


def receive_exactly(connection: ssl.SSLSocket, into: memoryview) -> None:
    """:raises ConnectionLost: it ended or was silent for too long before ``into`` was full."""
    position = 0
    while position < len(into):
        try:
            count = connection.recv_into(into[position:])
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if not count:
            raise ConnectionLost("closed by the other end")
        position += count


def send_all(connection: ssl.SSLSocket, data: bytes | memoryview) -> None:
    """:raises ConnectionLost: it ended, or the other end did not read for too long."""
    try:
        connection.sendall(data)
    except OSError as error:
        raise ConnectionLost(str(error)) from error


def provide(connection: ssl.SSLSocket, source: ChunkSource, grant: str) -> None:
    """Answer ``WANT`` records until the puller closes the connection.

    :raises ChunkProtocolViolation: the puller broke the protocol.
    :raises ConnectionLost: see there; also how a session ends.
    """
    session = ProviderSession()
    requests = memoryview(bytearray(_REQUEST_BYTES))
    buffer = memoryview(bytearray(HEADER.size + CHUNK_BYTES))
    while True:
        wanted = session.next_wanted()
        if wanted is None:
            try:
                count = connection.recv_into(requests)
            except OSError as error:
                raise ConnectionLost(str(error)) from error
            if not count:
                return
            session.receive(bytes(requests[:count]))
            continue
        try:
            size = read_checked(source, grant, wanted, buffer[HEADER.size :])
        except CyxWizError as error:
            send_all(connection, record(RecordKind.FAILED, error_to_body(error_body(error))))
            return
        HEADER.pack_into(buffer, 0, RecordKind.CHUNK.value, size)
        send_all(connection, buffer[: HEADER.size + size])


def read_checked(source: ChunkSource, grant: str, wanted: bytes, into: memoryview) -> int:
    """Read a chunk; whatever unexpected the source raises is logged and becomes a :class:`Bug`.

    :raises CyxWizError: the chunk cannot be sent.
    """
    try:
        size = source.read_chunk(grant, wanted, into)
        check_fits(size)
    except CyxWizError:
        raise
    except Exception as error:
        logger.exception("reading chunk %s failed", wanted.hex())
        raise Bug("reading a chunk failed") from error
    return size


def pull(connection: ssl.SSLSocket, plan: PullPlan, sink: ChunkSink, progress: Callable[[int], None]) -> None:
    """Pull all of ``plan``; the session's first record has been sent.

    :raises ConnectionLost: the plan knows what is left.
    :raises ChunkProtocolViolation: the provider broke the protocol.
    :raises CyxWizError: what the provider or the sink said.
    """
    header = memoryview(bytearray(HEADER.size))
    buffer = memoryview(bytearray(CHUNK_BYTES))
    received = 0
    try:
        while not plan.finished:
            if asks := plan.asks(BULK_AHEAD_CHUNKS):
                send_all(connection, asks)
            receive_exactly(connection, header)
            length = plan.chunk_length(header)
            if length is None:
                raise _provider_failure(connection, header)
            received = 0
            while received < length:
                try:
                    count = connection.recv_into(buffer[received:length])
                except OSError as error:
                    raise ConnectionLost(str(error)) from error
                if not count:
                    raise ConnectionLost("closed by the other end")
                received += count
            received = 0
            if plan.verify(buffer[:length]):
                sink.write(plan.due.hash, buffer[:length])
                plan.stored()
                progress(plan.done_bytes)
    finally:
        if not plan.finished:
            plan.lost(received)


def _provider_failure(connection: ssl.SSLSocket, header: memoryview) -> CyxWizError:
    _, length = parse_header(header)
    body = memoryview(bytearray(length))
    receive_exactly(connection, body)
    return raised_error(error_from_body(bytes(body)))


def protocol_failure(violation: ChunkProtocolViolation) -> EnvironmentFailure:
    """What a caller is told when the provider broke the protocol."""
    return EnvironmentFailure(
        "protocol_error",
        f"The other side broke the transfer protocol: {violation}.",
        "What arrived before is verified and kept.",
        "It may run another version.",
        retryable=False,
    )
