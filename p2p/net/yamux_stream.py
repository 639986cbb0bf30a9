"""One stream of a multiplexed connection; :mod:`p2p.net.yamux` is the connection."""

from __future__ import annotations

import struct
from types import TracebackType
from typing import Protocol

import trio
from libp2p.abc import IMuxedConn, IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamReset

from p2p.core.limits import MUX_STALL_TIMEOUT_S, MUX_WINDOW_MAX_BYTES

HEADER = struct.Struct("!BBHII")  # version, type, flags, stream id, length
DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
# One Noise message carries 65,519 bytes of plaintext; header and payload of a frame fill exactly one.
PAYLOAD_MAX_BYTES = 65_519 - HEADER.size
_WINDOW_START_BYTES = 256 * 1024  # yamux' initial window, in both directions


class MuxViolation(Exception):
    """The remote side broke the rules of yamux or of our limits."""


class Connection(Protocol):
    """What a stream needs of its connection."""

    def queue_control(self, kind: int, flags: int, stream_id: int, value: int) -> None: ...

    async def send_data(self, stream_id: int, payload: memoryview) -> None: ...

    def forget_if_closed(self, stream: BoundedStream) -> None: ...

    def get_remote_address(self) -> tuple[str, int] | None: ...


class BoundedStream(IMuxedStream):
    """One stream of a :class:`~p2p.net.yamux.BoundedYamux` connection."""

    def __init__(self, stream_id: int, conn: Connection, muxed_conn: IMuxedConn) -> None:
        self.stream_id = stream_id
        self.muxed_conn = muxed_conn
        self._conn = conn
        self._received = bytearray()
        self._readable = trio.Event()
        self._send_window = _WINDOW_START_BYTES
        self._writable = trio.Event()
        self._receive_window = _WINDOW_START_BYTES  # what the remote side may still send
        self._target_window = _WINDOW_START_BYTES
        self._read_closed = False
        self._write_closed = False
        self._reset = False

    @property
    def is_closed(self) -> bool:
        return self._reset or (self._read_closed and self._write_closed)

    async def read(self, n: int | None = None) -> bytes:
        """Up to ``n`` bytes (all that is there if ``None`` or negative); waits while there is nothing.

        :raises MuxedStreamEOF: the remote side has finished.
        :raises MuxedStreamReset: the stream was reset or the connection lost.
        """
        while not self._received:
            if self._reset:
                raise MuxedStreamReset("stream was reset")
            if self._read_closed:
                raise MuxedStreamEOF("stream has ended")
            await self._readable.wait()
        await trio.lowlevel.checkpoint()
        if n is None or n < 0 or n >= len(self._received):
            data = bytes(self._received)
            self._received.clear()
        else:
            data = bytes(memoryview(self._received)[:n])
            del self._received[:n]
        self._grant_window()
        if not self._received and not self._reset and not self._read_closed:
            self._readable = trio.Event()
        return data

    def _grant_window(self) -> None:
        """Give back what was read once it is half a window; the window doubles for a stream that is read."""
        if self._read_closed or self._reset:
            return
        missing = self._target_window - self._receive_window - len(self._received)
        if missing < self._target_window // 2:
            return
        grown = min(self._target_window * 2, MUX_WINDOW_MAX_BYTES)
        increment = missing + grown - self._target_window
        self._target_window = grown
        self._receive_window += increment
        self._conn.queue_control(WINDOW_UPDATE, 0, self.stream_id, increment)

    async def write(self, data: bytes) -> None:
        """Send all of ``data``.

        :raises MuxedStreamError: the stream is closed, reset, or the remote side stopped reading.
        """
        view = memoryview(data)
        while view:
            if self._reset or self._write_closed:
                raise MuxedStreamReset("stream is closed for writing")
            if self._send_window <= 0:
                await self._await_window()
                continue
            count = min(self._send_window, PAYLOAD_MAX_BYTES, len(view))
            self._send_window -= count
            await self._conn.send_data(self.stream_id, view[:count])
            view = view[count:]

    async def _await_window(self) -> None:
        self._writable = trio.Event()
        with trio.move_on_after(MUX_STALL_TIMEOUT_S) as scope:
            await self._writable.wait()
        if scope.cancelled_caught:
            await self.reset()
            raise MuxedStreamReset(f"the remote side has not read for {MUX_STALL_TIMEOUT_S:.0f} s")

    async def close(self) -> None:
        """Finish writing; reading goes on until the remote side finishes too."""
        if not self._write_closed and not self._reset:
            self._write_closed = True
            self._conn.queue_control(WINDOW_UPDATE, FIN, self.stream_id, 0)
            self._conn.forget_if_closed(self)
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """End both directions at once."""
        if not self.is_closed:
            self._conn.queue_control(WINDOW_UPDATE, RST, self.stream_id, 0)
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """The stream is gone: wake whoever waits for it. Bytes already received are dropped."""
        self._reset = True
        self._received.clear()
        self._readable.set()
        self._writable.set()
        self._conn.forget_if_closed(self)

    # -- called by the connection's reader

    def on_data(self, data: memoryview) -> None:
        if self._reset or self._read_closed:
            return
        if len(data) > self._receive_window:
            raise MuxViolation(f"stream {self.stream_id}: more data than window")
        self._receive_window -= len(data)
        self._received += data
        self._readable.set()

    def on_window_update(self, increment: int) -> None:
        self._send_window += increment
        if self._send_window > 0:
            self._writable.set()

    def on_finished(self) -> None:
        self._read_closed = True
        self._readable.set()
        self._conn.forget_if_closed(self)

    def set_deadline(self, ttl: int) -> None:
        raise NotImplementedError("use trio's timeouts")

    def get_remote_address(self) -> tuple[str, int] | None:
        return self._conn.get_remote_address()

    async def __aenter__(self) -> BoundedStream:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()
