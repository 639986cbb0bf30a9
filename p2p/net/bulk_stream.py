"""The chunk protocol over a libp2p stream: slower, but it goes wherever the control channel goes."""

from __future__ import annotations

from collections.abc import Callable

import trio
from libp2p.abc import INetStream

from p2p.core.errors import CyxWizError
from p2p.core.limits import BULK_AHEAD_RELAYED_CHUNKS, BULK_IO_TIMEOUT_S, CHUNK_BYTES
from p2p.net.bulk_threads import ChunkSink, ChunkSource, ConnectionLost, read_checked
from p2p.net.chunks import (
    HEADER,
    ProviderSession,
    PullPlan,
    RecordKind,
    error_from_body,
    error_to_body,
    parse_header,
    record,
)
from p2p.net.errors import error_body, raised_error

BULK_PROTOCOL = "/cyxwiz/bulk/1"

_READ_BYTES = 256 * 1024
_WRITE_BYTES = 64 * 1024  # small, so that other streams of the connection get their turn


class StreamConnection:
    """A libp2p stream with timeouts and one kind of failure."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def receive_some(self) -> bytes:
        """What has arrived; empty at the end.

        :raises ConnectionLost: it was lost, or silent for ``BULK_IO_TIMEOUT_S``.
        """
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        return await self._read()

    async def _read(self) -> bytes:
        try:
            with trio.fail_after(BULK_IO_TIMEOUT_S):
                return await self._stream.read(_READ_BYTES)
        except Exception as error:  # end of stream, reset, a lost connection: each layer has its own
            raise ConnectionLost(repr(error)) from error

    async def receive_exactly(self, count: int, arrived: Callable[[int], None] | None = None) -> bytes:
        """:raises ConnectionLost: see :meth:`receive_some`; ``arrived`` hears how much came, as it comes."""
        while len(self._buffer) < count:
            data = await self._read()
            if not data:
                raise ConnectionLost("closed by the other end")
            self._buffer += data
            if arrived is not None:
                arrived(min(len(self._buffer), count))
        result = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return result

    async def send(self, data: bytes | memoryview) -> None:
        """:raises ConnectionLost: it was lost, or the other end did not read for ``BULK_IO_TIMEOUT_S``."""
        view = memoryview(data)
        for position in range(0, len(view), _WRITE_BYTES):
            try:
                with trio.fail_after(BULK_IO_TIMEOUT_S):
                    await self._stream.write(bytes(view[position : position + _WRITE_BYTES]))
            except Exception as error:  # as above
                raise ConnectionLost(repr(error)) from error


async def provide_over_stream(
    connection: StreamConnection, source: ChunkSource, grant: str, limiter: trio.CapacityLimiter
) -> None:
    """Answer ``WANT`` records until the puller is done. Errors as in :func:`p2p.net.bulk_threads.provide`."""
    session = ProviderSession()
    buffer = memoryview(bytearray(HEADER.size + CHUNK_BYTES))
    while True:
        wanted = session.next_wanted()
        if wanted is None:
            data = await connection.receive_some()
            if not data:
                return
            session.receive(data)
            continue
        try:
            size = await trio.to_thread.run_sync(
                read_checked, source, grant, wanted, buffer[HEADER.size :], limiter=limiter
            )
        except CyxWizError as error:
            await connection.send(record(RecordKind.FAILED, error_to_body(error_body(error))))
            return
        HEADER.pack_into(buffer, 0, RecordKind.CHUNK.value, size)
        await connection.send(buffer[: HEADER.size + size])


async def pull_over_stream(
    connection: StreamConnection,
    plan: PullPlan,
    sink: ChunkSink,
    progress: Callable[[int], None],
    limiter: trio.CapacityLimiter,
) -> None:
    """Pull all of ``plan``. Errors as in :func:`p2p.net.bulk_threads.pull`."""
    received = 0

    def arrived(count: int) -> None:
        nonlocal received
        received = count

    try:
        while not plan.finished:
            if asks := plan.asks(BULK_AHEAD_RELAYED_CHUNKS):
                await connection.send(asks)
            header = await connection.receive_exactly(HEADER.size)
            length = plan.chunk_length(header)
            if length is None:
                body = await connection.receive_exactly(parse_header(header)[1])
                raise raised_error(error_from_body(body))
            chunk = await connection.receive_exactly(length, arrived)
            received = 0

            def keep(data: memoryview = memoryview(chunk)) -> bool:
                if not plan.verify(data):
                    return False
                sink.write(plan.due.hash, data)
                return True

            if await trio.to_thread.run_sync(keep, limiter=limiter):
                plan.stored()
                progress(plan.done_bytes)
    finally:
        if not plan.finished:
            plan.lost(received)
