"""Stream multiplexing: yamux frames, with event-driven windows and hard limits.

The frames are those of yamux (https://github.com/hashicorp/yamux/blob/master/spec.md); the protocol id is our
own, because py-libp2p builds its own muxer for ``/yamux/1.0.0`` whatever class is registered. Different from
it:

* a writer without window waits on an event and for up to ``MUX_STALL_TIMEOUT_S``, not 5 s in steps of 10 ms;
* windows start at yamux' 256 KiB and grow only for a stream that is being read, so that an idle stream can
  hold no more than that;
* control frames never block the reader: they wait in a small buffer for whoever writes next;
* a write is never abandoned half-way, which would garble the encrypted connection;
* at most ``MUX_STREAMS_PER_CONNECTION_MAX`` streams from the remote side; one more is reset at once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import (
    MuxedConnUnavailable,
    MuxedStreamError,
    MuxedStreamReset,
)
from multiaddr import Multiaddr

from p2p.core.limits import (
    MUX_CONTROL_BUFFER_MAX_BYTES,
    MUX_SILENCE_S,
    MUX_STALL_TIMEOUT_S,
    MUX_STREAMS_PER_CONNECTION_MAX,
    MUX_WINDOW_MAX_BYTES,
)
from p2p.net.yamux_stream import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    BoundedStream,
    MuxViolation,
)

logger = logging.getLogger(__name__)

MUXER_PROTOCOL = TProtocol("/cyxwiz/yamux/1")
_CLOSE_TIMEOUT_S = 1.0


class BoundedYamux(IMuxedConn):
    """A multiplexed connection; see the module for how it differs from the library's."""

    def __init__(self, conn: ISecureConn, peer_id: ID) -> None:
        self.secured_conn = conn
        self.peer_id = peer_id
        self.event_started = trio.Event()
        self.on_close: Callable[[], Awaitable[None]] | None = None  # set by the swarm
        self._initiator = conn.is_initiator
        self._next_id = 1 if self._initiator else 2
        self._streams: dict[int, BoundedStream] = {}
        self._control = bytearray()
        self._control_waiting = trio.Event()
        self._write_lock = trio.Lock()
        self._accept_send, self._accept_receive = trio.open_memory_channel[BoundedStream](
            MUX_STREAMS_PER_CONNECTION_MAX
        )
        self._heard = False
        self._shut = False
        self._closed = False

    @property
    def is_initiator(self) -> bool:
        return self._initiator

    @property
    def is_established(self) -> bool:
        return self.event_started.is_set() and not self._shut

    @property
    def is_closed(self) -> bool:
        return self._closed

    def get_transport_addresses(self) -> list[Multiaddr]:
        return self.secured_conn.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        return self.secured_conn.get_connection_type()

    def get_remote_address(self) -> tuple[str, int] | None:
        return self.secured_conn.get_remote_address()

    @property
    def streams_open(self) -> int:
        """Streams of both sides that have not ended."""
        return len(self._streams)

    # -- lifetime

    async def start(self) -> None:
        """Run the connection until it ends. Never raises but when cancelled: the library would take the host
        down."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush_control)
                nursery.start_soon(self._watch_silence)
                self.event_started.set()
                try:
                    await self._read_frames()
                except MuxViolation as violation:
                    logger.warning("connection to %s: %s", self.peer_id, violation)
                except Exception as error:
                    # Whatever the library's layers raise on a broken connection or a bad ciphertext.
                    logger.info("connection to %s ended: %r", self.peer_id, error)
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self._tear_down()

    async def close(self) -> None:
        if not self._shut:
            self.queue_control(GO_AWAY, 0, 0, 0)
            with trio.move_on_after(_CLOSE_TIMEOUT_S), suppress(MuxedStreamError):
                await self._send(b"", timeout_s=_CLOSE_TIMEOUT_S)
        with trio.CancelScope(shield=True):
            await self._tear_down()

    async def _tear_down(self) -> None:
        """End every stream, close the connection below, tell the swarm. Idempotent."""
        self._shut = True
        for stream in tuple(self._streams.values()):
            stream.abort()
        self._accept_send.close()
        if self._closed:
            return
        self._closed = True
        try:
            with trio.move_on_after(_CLOSE_TIMEOUT_S):
                await self.secured_conn.close()
        except Exception as error:
            logger.debug("closing the connection to %s: %r", self.peer_id, error)
        if self.on_close is not None:
            await self.on_close()

    async def _watch_silence(self) -> None:
        """Ping a connection that is silent, and end one that stays silent."""
        while True:
            self._heard = False
            await trio.sleep(MUX_SILENCE_S)
            if self._heard:
                continue
            self.queue_control(PING, SYN, 0, 0)
            await trio.sleep(MUX_SILENCE_S)
            if not self._heard:
                logger.info("connection to %s: silent for %.0f s", self.peer_id, 2 * MUX_SILENCE_S)
                await self.secured_conn.close()
                self._fail()
                return

    def _fail(self) -> None:
        self._shut = True
        for stream in tuple(self._streams.values()):
            stream.abort()

    # -- streams

    async def open_stream(self) -> BoundedStream:
        """:raises MuxedStreamError: the connection is closing, or has too many streams already."""
        await trio.lowlevel.checkpoint()
        if self._shut:
            raise MuxedStreamError("the connection is closing")
        mine = self._next_id % 2
        if sum(1 for stream_id in self._streams if stream_id % 2 == mine) >= MUX_STREAMS_PER_CONNECTION_MAX:
            raise MuxedStreamError(f"{MUX_STREAMS_PER_CONNECTION_MAX} streams are open already")
        stream = BoundedStream(self._next_id, self, self)
        self._next_id += 2
        self._streams[stream.stream_id] = stream
        self.queue_control(WINDOW_UPDATE, SYN, stream.stream_id, 0)
        return stream

    async def accept_stream(self) -> BoundedStream:
        """:raises MuxedConnUnavailable: the connection has ended."""
        try:
            return await self._accept_receive.receive()
        except trio.EndOfChannel:
            raise MuxedConnUnavailable("connection closed") from None

    def forget_if_closed(self, stream: BoundedStream) -> None:
        if stream.is_closed:
            self._streams.pop(stream.stream_id, None)

    # -- writing

    def queue_control(self, kind: int, flags: int, stream_id: int, value: int) -> None:
        """Have a control frame written soon; order against later data is kept."""
        if self._shut:
            return
        self._control += HEADER.pack(0, kind, flags, stream_id, value)
        self._control_waiting.set()

    async def _flush_control(self) -> None:
        while True:
            await self._control_waiting.wait()
            self._control_waiting = trio.Event()
            try:
                await self._send(b"")
            except MuxedStreamError:
                return

    async def send_data(self, stream_id: int, payload: memoryview) -> None:
        await self._send(b"".join((HEADER.pack(0, DATA, 0, stream_id, len(payload)), payload)))

    async def _send(self, frame: bytes, timeout_s: float = MUX_STALL_TIMEOUT_S) -> None:
        """Write pending control frames and ``frame``; shielded, because half a frame would garble all that
        follows."""
        async with self._write_lock:
            if self._shut and not frame and not self._control:
                return
            if self._shut and frame:
                raise MuxedStreamReset("the connection is closed")
            data = bytes(self._control) + frame
            self._control.clear()
            if not data:
                return
            failure: Exception | None = None
            with trio.CancelScope(shield=True), trio.move_on_after(timeout_s) as scope:
                try:
                    await self.secured_conn.write(data)
                except Exception as error:
                    failure = error  # whatever the library's layers raise on a broken connection
            if failure is not None or scope.cancelled_caught:
                self._fail()
                with trio.CancelScope(shield=True):
                    await self.secured_conn.close()
                raise MuxedStreamReset("the connection was lost") from failure

    # -- reading

    async def _read_frames(self) -> None:
        buffer = bytearray()
        while not self._shut:
            buffer += await self.secured_conn.read(None)
            self._heard = True
            used = self._take_frames(buffer)
            del buffer[:used]
            if len(self._control) > MUX_CONTROL_BUFFER_MAX_BYTES:
                raise MuxViolation("it does not read what it makes us send")

    def _take_frames(self, buffer: bytearray) -> int:
        """Handle every whole frame in ``buffer``; the number of bytes used."""
        position = 0
        with memoryview(buffer) as view:
            while len(view) - position >= HEADER.size:
                version, kind, flags, stream_id, length = HEADER.unpack_from(view, position)
                if version != 0:
                    raise MuxViolation(f"yamux version {version}")
                payload = length if kind == DATA else 0
                if payload > MUX_WINDOW_MAX_BYTES:
                    raise MuxViolation(f"a data frame of {payload} bytes")
                end = position + HEADER.size + payload
                if end > len(view):
                    break
                with view[position + HEADER.size : end] as data:
                    self._on_frame(kind, flags, stream_id, length, data)
                position = end
        return position

    def _on_frame(self, kind: int, flags: int, stream_id: int, length: int, data: memoryview) -> None:
        if kind == PING:
            if flags & SYN:
                self.queue_control(PING, ACK, 0, length)
            return
        if kind == GO_AWAY:
            self._fail()
            return
        if kind not in (DATA, WINDOW_UPDATE):
            raise MuxViolation(f"frame type {kind}")
        stream = self._on_syn(stream_id) if flags & SYN else self._streams.get(stream_id)
        if stream is None:
            return  # a stream that we have reset or refused: what was on its way is dropped
        if kind == DATA:
            stream.on_data(data)
        elif length:
            stream.on_window_update(length)
        if flags & RST:
            stream.abort()
        elif flags & FIN:
            stream.on_finished()

    def _on_syn(self, stream_id: int) -> BoundedStream | None:
        remote = 0 if self._initiator else 1
        if stream_id == 0 or stream_id % 2 != remote or stream_id in self._streams:
            raise MuxViolation(f"stream id {stream_id} is not free")
        if sum(1 for known in self._streams if known % 2 == remote) >= MUX_STREAMS_PER_CONNECTION_MAX:
            self.queue_control(WINDOW_UPDATE, RST, stream_id, 0)
            return None
        stream = BoundedStream(stream_id, self, self)
        try:
            self._accept_send.send_nowait(stream)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self.queue_control(WINDOW_UPDATE, RST, stream_id, 0)
            return None
        self._streams[stream_id] = stream
        self.queue_control(WINDOW_UPDATE, ACK, stream_id, 0)
        return stream
