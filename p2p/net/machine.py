"""The control channel's protocol, without any I/O: bytes in, events and bytes out.

A channel carries frames, each with a 4-byte big-endian length before it. Both sides may ask; the dialler
draws odd ids and the listener even ones, always rising. ``REQUEST``, ``STREAM``, ``CREDIT`` and ``CANCEL`` go
from asker to answerer, ``REPLY``, ``ERROR``, ``ITEM`` and ``END`` the other way. See ``docs/control.md``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from p2p.core.errors import UserError
from p2p.core.frames import ErrorBody, ErrorFamily, Frame, FrameKind
from p2p.core.limits import (
    FRAME_MAX_BYTES,
    LOG_CREDIT_BYTES,
    REQUEST_BYTES_IN_FLIGHT_MAX,
    REQUESTS_IN_FLIGHT_MAX,
    STREAM_ITEM_MAX_BYTES,
    STREAM_ITEM_OVERHEAD_BYTES,
    STREAMS_IN_FLIGHT_MAX,
)
from p2p.wire.frames import decode_frame, encode_frame

_LENGTH = struct.Struct("!I")
_CREDIT_MAX_BYTES = 2 * LOG_CREDIT_BYTES


class ProtocolViolation(Exception):
    """The remote side broke the protocol; the channel cannot go on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The remote side asks; ``streaming`` says whether it wants one reply or a stream of items."""

    id: int
    method: str
    payload: bytes
    streaming: bool


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply to a request of ours."""

    id: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """A request or stream of ours has failed."""

    id: int
    error: ErrorBody


@dataclass(frozen=True, slots=True)
class ItemArrived:
    """One item of a stream that we asked for."""

    id: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream that we asked for is complete."""

    id: int


@dataclass(frozen=True, slots=True)
class CreditArrived:
    """We may send more items of a stream that we answer."""

    id: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The remote side no longer wants what it asked for."""

    id: int


@dataclass(frozen=True, slots=True)
class PongArrived:
    """The remote side is alive."""


Event = Asked | Replied | Failed | ItemArrived | StreamEnded | CreditArrived | Cancelled | PongArrived

_BUSY = ErrorBody(
    ErrorFamily.ENVIRONMENT,
    "peer_busy",
    "The other side has too many requests of ours in hand.",
    "Nothing was done.",
    "Try again in a moment.",
    retryable=True,
)


@dataclass(slots=True)
class _Mine:
    """Something that we asked for and that has not ended."""

    streaming: bool
    credit_bytes: int  # what the remote side may still send


@dataclass(slots=True)
class _Theirs:
    """Something that the remote side asked for and that has not ended."""

    streaming: bool
    credit_bytes: int  # what we may still send
    payload_bytes: int


def item_cost_bytes(payload: bytes) -> int:
    """What one item takes from a stream's credit; empty items are not free."""
    return len(payload) + STREAM_ITEM_OVERHEAD_BYTES


class ChannelMachine:
    """State of one channel. Methods that send return the bytes to write, in order."""

    def __init__(self, *, dialler: bool) -> None:
        self._buffer = bytearray()
        self._next_id = 1 if dialler else 2
        self._last_remote_id = 0
        self._remote_parity = 0 if dialler else 1
        self._mine: dict[int, _Mine] = {}
        self._theirs: dict[int, _Theirs] = {}
        self._their_payload_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is asked in either direction."""
        return not self._mine and not self._theirs

    @property
    def asked(self) -> tuple[int, ...]:
        """Ids of what we asked for and that has not ended."""
        return tuple(self._mine)

    # -- asking

    def request(self, method: str, payload: bytes) -> tuple[int, bytes]:
        """:raises UserError: ``message_too_large``."""
        return self._ask(FrameKind.REQUEST, method, payload, 0)

    def open_stream(self, method: str, payload: bytes, credit_bytes: int) -> tuple[int, bytes]:
        """Ask for items worth ``credit_bytes`` to begin with.

        :raises UserError: ``message_too_large``.
        """
        return self._ask(FrameKind.STREAM, method, payload, credit_bytes)

    def _ask(self, kind: FrameKind, method: str, payload: bytes, credit_bytes: int) -> tuple[int, bytes]:
        new_id = self._next_id
        data = _encode(Frame(new_id, kind, method, payload, credit_bytes))
        self._next_id += 2
        self._mine[new_id] = _Mine(kind is FrameKind.STREAM, credit_bytes)
        return new_id, data

    def grant(self, stream_id: int, credit_bytes: int) -> bytes:
        """Let the remote side send more; nothing if the stream has ended already."""
        mine = self._mine.get(stream_id)
        if mine is None:
            return b""
        mine.credit_bytes += credit_bytes
        return _encode(Frame(stream_id, FrameKind.CREDIT, credit_bytes=credit_bytes))

    def cancel(self, asked_id: int) -> bytes:
        """Give up what we asked for; what still arrives for it is dropped."""
        if self._mine.pop(asked_id, None) is None:
            return b""
        return _encode(Frame(asked_id, FrameKind.CANCEL))

    # -- answering

    def reply(self, asked_id: int, payload: bytes) -> bytes:
        """:raises UserError: ``message_too_large``; the request is still to be answered."""
        if asked_id not in self._theirs:
            return b""
        data = _encode(Frame(asked_id, FrameKind.REPLY, payload=payload))
        self._answered(asked_id)
        return data

    def fail(self, asked_id: int, error: ErrorBody) -> bytes:
        """End a request or stream of the remote side with an error."""
        if asked_id not in self._theirs:
            return b""
        self._answered(asked_id)
        return _encode(Frame(asked_id, FrameKind.ERROR, error=error))

    def may_send_item(self, stream_id: int, payload: bytes) -> bool:
        """Whether :meth:`item` can be called now: there is credit, or the call does not depend on it."""
        theirs = self._theirs.get(stream_id)
        if theirs is None or len(payload) > STREAM_ITEM_MAX_BYTES:
            return True
        return theirs.credit_bytes >= item_cost_bytes(payload)

    def item(self, stream_id: int, payload: bytes) -> bytes:
        """:raises UserError: ``message_too_large``. Check :meth:`may_send_item` first."""
        theirs = self._theirs.get(stream_id)
        if theirs is None:
            return b""
        if len(payload) > STREAM_ITEM_MAX_BYTES:
            raise UserError("message_too_large", f"An item of {len(payload)} bytes is over the limit.")
        cost = item_cost_bytes(payload)
        if theirs.credit_bytes < cost:
            raise ValueError("no credit for this item")
        theirs.credit_bytes -= cost
        return _encode(Frame(stream_id, FrameKind.ITEM, payload=payload))

    def end(self, stream_id: int) -> bytes:
        """The stream is complete."""
        if stream_id not in self._theirs:
            return b""
        self._answered(stream_id)
        return _encode(Frame(stream_id, FrameKind.END))

    def _answered(self, asked_id: int) -> None:
        self._their_payload_bytes -= self._theirs.pop(asked_id).payload_bytes

    def ping(self) -> bytes:
        return _encode(Frame(0, FrameKind.PING))

    # -- receiving

    def receive(self, data: bytes) -> tuple[list[Event], bytes]:
        """Take what arrived; the events it completes, and bytes to send back at once.

        :raises ProtocolViolation: the remote side broke the protocol.
        """
        self._buffer += data
        events: list[Event] = []
        answers = bytearray()
        position = 0
        while len(self._buffer) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, position)
            if length > FRAME_MAX_BYTES:
                raise ProtocolViolation(f"a frame of {length} bytes")
            end = position + _LENGTH.size + length
            if end > len(self._buffer):
                break
            try:
                frame = decode_frame(bytes(self._buffer[position + _LENGTH.size : end]))
            except UserError as error:
                raise ProtocolViolation(error.what) from error
            position = end
            event, answer = self._on_frame(frame)
            answers += answer
            if event is not None:
                events.append(event)
        del self._buffer[:position]
        return events, bytes(answers)

    def _on_frame(self, frame: Frame) -> tuple[Event | None, bytes]:
        match frame.kind:
            case FrameKind.PING:
                return None, _encode(Frame(0, FrameKind.PONG))
            case FrameKind.PONG:
                return PongArrived(), b""
            case FrameKind.REQUEST | FrameKind.STREAM:
                return self._on_asked(frame)
            case FrameKind.CREDIT | FrameKind.CANCEL:
                return self._on_asker(frame), b""
            case _:
                return self._on_answer(frame), b""

    def _on_asked(self, frame: Frame) -> tuple[Event | None, bytes]:
        if frame.id <= self._last_remote_id or frame.id % 2 != self._remote_parity:
            raise ProtocolViolation(f"id {frame.id} after {self._last_remote_id}")
        self._last_remote_id = frame.id
        streaming = frame.kind is FrameKind.STREAM
        if streaming and not 0 < frame.credit_bytes <= _CREDIT_MAX_BYTES:
            raise ProtocolViolation(f"a stream with {frame.credit_bytes} bytes of credit")
        alike = sum(1 for theirs in self._theirs.values() if theirs.streaming == streaming)
        if (
            alike >= (STREAMS_IN_FLIGHT_MAX if streaming else REQUESTS_IN_FLIGHT_MAX)
            or self._their_payload_bytes + len(frame.payload) > REQUEST_BYTES_IN_FLIGHT_MAX
        ):
            return None, _encode(Frame(frame.id, FrameKind.ERROR, error=_BUSY))
        self._theirs[frame.id] = _Theirs(streaming, frame.credit_bytes, len(frame.payload))
        self._their_payload_bytes += len(frame.payload)
        return Asked(frame.id, frame.method, frame.payload, streaming), b""

    def _on_asker(self, frame: Frame) -> Event | None:
        if frame.id > self._last_remote_id or frame.id % 2 != self._remote_parity:
            raise ProtocolViolation(f"{frame.kind.name} for id {frame.id}, which was never asked")
        theirs = self._theirs.get(frame.id)
        if theirs is None:
            return None  # it crossed our answer
        if frame.kind is FrameKind.CANCEL:
            self._answered(frame.id)
            return Cancelled(frame.id)
        if not theirs.streaming or theirs.credit_bytes + frame.credit_bytes > _CREDIT_MAX_BYTES:
            raise ProtocolViolation(f"{frame.credit_bytes} bytes of credit for id {frame.id}")
        theirs.credit_bytes += frame.credit_bytes
        return CreditArrived(frame.id)

    def _on_answer(self, frame: Frame) -> Event | None:
        if frame.id >= self._next_id or frame.id % 2 == self._remote_parity or frame.id == 0:
            raise ProtocolViolation(f"{frame.kind.name} for id {frame.id}, which we never asked")
        mine = self._mine.get(frame.id)
        if mine is None:
            return None  # it crossed our cancel
        if frame.kind is FrameKind.ERROR:
            if frame.error is None:
                raise ProtocolViolation("an error frame without error")
            del self._mine[frame.id]
            return Failed(frame.id, frame.error)
        if mine.streaming != (frame.kind is not FrameKind.REPLY):
            raise ProtocolViolation(f"{frame.kind.name} for id {frame.id}")
        if frame.kind is FrameKind.ITEM:
            mine.credit_bytes -= item_cost_bytes(frame.payload)
            if mine.credit_bytes < 0:
                raise ProtocolViolation(f"items without credit for id {frame.id}")
            return ItemArrived(frame.id, frame.payload)
        del self._mine[frame.id]
        return StreamEnded(frame.id) if mine.streaming else Replied(frame.id, frame.payload)


def _encode(frame: Frame) -> bytes:
    data = encode_frame(frame)
    if len(data) > FRAME_MAX_BYTES:
        raise UserError(
            "message_too_large",
            f"A message of {len(data)} bytes is over the limit of {FRAME_MAX_BYTES}.",
            "It was not sent.",
        )
    return _LENGTH.pack(len(data)) + data
