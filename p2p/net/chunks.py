"""The chunk protocol, without any I/O: the same over a TLS connection and over a libp2p stream.

Every record has a 5-byte header, kind and length of the body. The puller proves itself with ``HELLO`` and
asks with ``WANT`` for chunks by their SHA-256; the provider answers in that order, each with ``CHUNK`` or
``FAILED``. What is wanted and not yet answered is the credit: a provider never has more to send than the
puller asked for. See ``docs/bulk.md``.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.frames import ErrorBody, ErrorFamily
from p2p.core.ids import HASH_BYTES
from p2p.core.limits import (
    BULK_WANTS_OUTSTANDING_MAX,
    CHUNK_BYTES,
    CHUNK_RETRIES_MAX,
    ERROR_TEXT_MAX_CHARS,
)

HEADER = struct.Struct("!BI")
TOKEN_BYTES = 32
NAME_BYTES = 16
_ERROR_MAX_BYTES = 4 * (2 + 4 * ERROR_TEXT_MAX_CHARS) + 2


class RecordKind(Enum):
    """What a record is."""

    HELLO = 1  # token: puller to provider, first
    WANT = 2  # hashes of chunks, 32 bytes each
    CHUNK = 3  # the bytes of the chunk that is next in the order of wants
    FAILED = 4  # why it cannot be sent; ends the session
    DIALLED = 5  # name: provider to puller, first, when it was asked to dial back


_BODY_MAX_BYTES = {
    RecordKind.HELLO: TOKEN_BYTES,
    RecordKind.WANT: BULK_WANTS_OUTSTANDING_MAX * HASH_BYTES,
    RecordKind.CHUNK: CHUNK_BYTES,
    RecordKind.FAILED: _ERROR_MAX_BYTES,
    RecordKind.DIALLED: NAME_BYTES,
}


class ChunkProtocolViolation(Exception):
    """The other end broke the protocol; the session is over."""


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """A chunk: SHA-256 of its bytes, and how many they are (1 to ``CHUNK_BYTES``)."""

    hash: bytes
    size: int

    def __post_init__(self) -> None:
        if len(self.hash) != HASH_BYTES or not 0 < self.size <= CHUNK_BYTES:
            raise ValueError(f"not a chunk: {self.hash.hex()[:80]} with {self.size} bytes")


def record(kind: RecordKind, body: bytes) -> bytes:
    """A whole record."""
    return HEADER.pack(kind.value, len(body)) + body


def parse_header(header: bytes | bytearray | memoryview) -> tuple[RecordKind, int]:
    """:raises ChunkProtocolViolation: no such record, or its body is too long."""
    number, length = HEADER.unpack(header)
    try:
        kind = RecordKind(number)
    except ValueError:
        raise ChunkProtocolViolation(f"record kind {number}") from None
    if length > _BODY_MAX_BYTES[kind]:
        raise ChunkProtocolViolation(f"a {kind.name} record of {length} bytes")
    return kind, length


def error_to_body(error: ErrorBody) -> bytes:
    """The body of a ``FAILED`` record."""
    texts = (
        text.encode()[: 4 * ERROR_TEXT_MAX_CHARS]
        for text in (error.code, error.what, error.meaning, error.hint)
    )
    return struct.pack("!BB", error.family.value, error.retryable) + b"".join(
        struct.pack("!H", len(text)) + text for text in texts
    )


def error_from_body(body: bytes) -> ErrorBody:
    """:raises ChunkProtocolViolation: malformed."""
    try:
        family, retryable = struct.unpack_from("!BB", body)
        texts: list[str] = []
        position = 2
        for _ in range(4):
            (length,) = struct.unpack_from("!H", body, position)
            texts.append(body[position + 2 : position + 2 + length].decode(errors="replace"))
            position += 2 + length
        if position != len(body):
            raise ChunkProtocolViolation("a malformed FAILED record")
        return ErrorBody(ErrorFamily(family), texts[0], texts[1], texts[2], texts[3], bool(retryable))
    except (struct.error, ValueError):
        raise ChunkProtocolViolation("a malformed FAILED record") from None


class ProviderSession:
    """The provider's side of one session, from the first record after ``HELLO`` on."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted: deque[bytes] = deque()

    def receive(self, data: bytes) -> None:
        """Take what the puller sent.

        :raises ChunkProtocolViolation: not a ``WANT``, or more is wanted at once than may be.
        """
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, length = parse_header(self._buffer[: HEADER.size])
            if kind is not RecordKind.WANT or length == 0 or length % HASH_BYTES:
                raise ChunkProtocolViolation(f"{kind.name} of {length} bytes where WANT was due")
            if len(self._buffer) < HEADER.size + length:
                return
            body = bytes(self._buffer[HEADER.size : HEADER.size + length])
            del self._buffer[: HEADER.size + length]
            self._wanted.extend(body[i : i + HASH_BYTES] for i in range(0, length, HASH_BYTES))
            if len(self._wanted) > BULK_WANTS_OUTSTANDING_MAX:
                raise ChunkProtocolViolation(f"{len(self._wanted)} chunks wanted at once")

    def next_wanted(self) -> bytes | None:
        """The chunk to send next, once."""
        return self._wanted.popleft() if self._wanted else None


class PullPlan:
    """What is still to be pulled. Lives on when a session is lost, so that a new one asks only for the
    rest."""

    def __init__(self, wanted: Iterable[ChunkRef]) -> None:
        self._waiting: deque[ChunkRef] = deque(dict.fromkeys(wanted))
        self._asked: deque[ChunkRef] = deque()
        self._retries: Counter[bytes] = Counter()
        self.done_bytes = 0
        self.resent_bytes = 0
        """Bytes that arrived for nothing: part of a chunk before the session was lost, or a corrupt chunk."""

    @property
    def finished(self) -> bool:
        return not self._waiting and not self._asked

    @property
    def due(self) -> ChunkRef:
        """The chunk that the next ``CHUNK`` record must be."""
        return self._asked[0]

    def asks(self, ahead: int) -> bytes:
        """A ``WANT`` record that brings what is asked up to ``ahead`` chunks; empty if it is already."""
        hashes = bytearray()
        while self._waiting and len(self._asked) < ahead:
            ref = self._waiting.popleft()
            self._asked.append(ref)
            hashes += ref.hash
        return record(RecordKind.WANT, bytes(hashes)) if hashes else b""

    def chunk_length(self, header: bytes | bytearray | memoryview) -> int | None:
        """Judge a header: the length of the chunk that follows, or ``None`` if a ``FAILED`` body follows.

        :raises ChunkProtocolViolation: nothing was due, or something else.
        """
        kind, length = parse_header(header)
        if kind is RecordKind.FAILED:
            return None
        if kind is not RecordKind.CHUNK or not self._asked:
            raise ChunkProtocolViolation(f"{kind.name} where CHUNK was due")
        if length != self.due.size:
            raise ChunkProtocolViolation(f"{length} bytes for a chunk of {self.due.size}")
        return length

    def verify(self, data: memoryview) -> bool:
        """Whether ``data`` is the chunk that is due. If not, it is asked for again.

        :raises EnvironmentFailure: ``chunk_corrupt``: it was corrupt too often.
        """
        ref = self.due
        if sha256(data).digest() == ref.hash:
            return True
        self._asked.popleft()
        self.resent_bytes += ref.size
        self._retries[ref.hash] += 1
        if self._retries[ref.hash] > CHUNK_RETRIES_MAX:
            raise EnvironmentFailure(
                "chunk_corrupt",
                f"Chunk {ref.hash.hex()} arrived corrupt {self._retries[ref.hash]} times.",
                "Everything else that arrived is verified and kept.",
                "The other side's disk or memory may be failing, or it sends something else than it signed.",
                retryable=False,
            )
        self._waiting.append(ref)
        return False

    def stored(self) -> None:
        """The chunk that was due is verified and safely with the sink."""
        self.done_bytes += self._asked.popleft().size

    def lost(self, partial_bytes: int) -> None:
        """The session is lost, ``partial_bytes`` into the chunk that was due: all that was asked waits
        again."""
        self.resent_bytes += partial_bytes
        self._waiting.extendleft(reversed(self._asked))
        self._asked.clear()


def check_fits(size: int) -> None:
    """:raises UserError: a source gave a chunk of impossible size."""
    if not 0 < size <= CHUNK_BYTES:
        raise UserError("bad_chunk", f"A chunk of {size} bytes cannot be sent.")
