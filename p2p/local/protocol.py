"""The local protocol: one JSON object per line, in both directions.

Request ``{"id", "method", "params", "token"?}``; answers ``{"id", "result"}``, ``{"id", "item"}`` …
``{"id", "end"}``, or ``{"id", "error"}``. One connection carries one request after another.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from p2p.core.errors import (
    CyxWizError,
    EnvironmentFailure,
    JobFailed,
    Refused,
    UserError,
)
from p2p.core.limits import LOCAL_MESSAGE_MAX_BYTES

Json = Any
"""What :mod:`json` can write."""

_FAMILIES: dict[str, type[UserError]] = {"user": UserError, "refused": Refused, "job_failed": JobFailed}


class ByteStream(Protocol):
    """What both sides need of a trio stream."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray: ...

    async def send_all(self, data: bytes) -> None: ...


class MessageReader:
    """Reads messages from a stream, one at a time."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def next(self) -> dict[str, Json] | None:
        """The next message, or None once the other side has closed.

        :raises UserError: ``bad_message``: too long, or not a JSON object.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LOCAL_MESSAGE_MAX_BYTES:
                raise UserError("bad_message", "A local message is too long.")
            data = await self._stream.receive_some(65536)
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return _parse(line)


def _parse(line: bytes) -> dict[str, Json]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError("bad_message", "A local message is not JSON.") from None
    if not isinstance(message, dict):
        raise UserError("bad_message", "A local message is not a JSON object.")
    return message


def dump(message: dict[str, Json]) -> bytes:
    """One message as a line."""
    return json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def error_to_json(error: CyxWizError) -> dict[str, Json]:
    """An error as it travels; the family decides the exit code at the other end."""
    family = next((name for name, kind in _FAMILIES.items() if type(error) is kind), "environment")
    body = {"family": family, "code": error.code, "what": error.what}
    body |= {"meaning": error.meaning, "hint": error.hint}
    return body | {"retryable": getattr(error, "retryable", False)}


def error_from_json(body: dict[str, Json]) -> CyxWizError:
    """The inverse of :func:`error_to_json`."""
    texts = [str(body.get(key, "")) for key in ("code", "what", "meaning", "hint")]
    family = _FAMILIES.get(str(body.get("family")))
    if family is not None:
        return family(texts[0], texts[1], texts[2], texts[3])
    retryable = bool(body.get("retryable", True))
    return EnvironmentFailure(texts[0], texts[1], texts[2], texts[3], retryable=retryable)
