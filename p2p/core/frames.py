"""The envelope of the control channel: what a request, a reply and a stream item are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FrameKind(Enum):
    """What a frame is."""

    REQUEST = 1  # method, payload
    REPLY = 2  # payload; ends the request
    ERROR = 3  # error; ends the request or the stream
    ITEM = 4  # payload: one item of a streaming reply
    END = 5  # ends a streaming reply
    CREDIT = 6  # credit_bytes: the receiver may be sent that much more
    CANCEL = 7  # the caller is no longer interested
    PING = 8
    PONG = 9
    STREAM = 10  # method, payload, credit_bytes: a request for a streaming reply


class ErrorFamily(Enum):
    """Which exception the caller sees."""

    USER = 1
    REFUSED = 2
    ENVIRONMENT = 3
    JOB_FAILED = 4


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error as it crosses the wire; see :mod:`p2p.core.errors`."""

    family: ErrorFamily
    code: str
    what: str
    meaning: str = ""
    hint: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``id`` is drawn by the caller: odd for the dialler, even for the listener."""

    id: int
    kind: FrameKind
    method: str = ""
    payload: bytes = b""
    credit_bytes: int = 0
    error: ErrorBody | None = None
