"""What is said over the control channel to arrange a transfer: fixed fields in network byte order."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from p2p.core.errors import UserError
from p2p.core.limits import CERTIFICATE_MAX_BYTES, GRANT_MAX_BYTES
from p2p.net.chunks import NAME_BYTES, TOKEN_BYTES

OPEN_METHOD = "bulk.open"
DIAL_BACK_METHOD = "bulk.dial_back"

_LENGTH = struct.Struct("!H")
_PORT = struct.Struct("!H")


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """The puller asks for a session: what for, and the certificate that it will show."""

    grant: str
    certificate: bytes

    def encode(self) -> bytes:
        grant = self.grant.encode()
        if len(grant) > GRANT_MAX_BYTES:
            raise UserError("bad_grant", "A grant is too long.")
        return b"".join(_prefixed(part) for part in (grant, self.certificate))

    @classmethod
    def decode(cls, data: bytes) -> OpenRequest:
        """:raises UserError: ``bad_message``."""
        grant, rest = _take_prefixed(data, GRANT_MAX_BYTES)
        certificate, rest = _take_prefixed(rest, CERTIFICATE_MAX_BYTES)
        if rest:
            raise _bad_message()
        try:
            return cls(grant.decode(), certificate)
        except UnicodeDecodeError:
            raise _bad_message() from None


@dataclass(frozen=True, slots=True)
class OpenReply:
    """A ticket: the token to begin the session with, where, and the certificate that will be shown there."""

    token: bytes
    port: int  # 0: the provider does not listen
    certificate: bytes

    def encode(self) -> bytes:
        return self.token + _PORT.pack(self.port) + _prefixed(self.certificate)

    @classmethod
    def decode(cls, data: bytes) -> OpenReply:
        """:raises UserError: ``bad_message``."""
        fixed = TOKEN_BYTES + _PORT.size
        if len(data) < fixed:
            raise _bad_message()
        certificate, rest = _take_prefixed(data[fixed:], CERTIFICATE_MAX_BYTES)
        if rest:
            raise _bad_message()
        (port,) = _PORT.unpack_from(data, TOKEN_BYTES)
        return cls(data[:TOKEN_BYTES], port, certificate)


@dataclass(frozen=True, slots=True)
class DialBackRequest:
    """The puller cannot reach the provider: may the provider dial it, at this port, giving this name."""

    token: bytes
    port: int
    name: bytes

    def encode(self) -> bytes:
        return self.token + _PORT.pack(self.port) + self.name

    @classmethod
    def decode(cls, data: bytes) -> DialBackRequest:
        """:raises UserError: ``bad_message``."""
        if len(data) != TOKEN_BYTES + _PORT.size + NAME_BYTES:
            raise _bad_message()
        (port,) = _PORT.unpack_from(data, TOKEN_BYTES)
        return cls(data[:TOKEN_BYTES], port, data[TOKEN_BYTES + _PORT.size :])


def _prefixed(part: bytes) -> bytes:
    return _LENGTH.pack(len(part)) + part


def _take_prefixed(data: bytes, max_bytes: int) -> tuple[bytes, bytes]:
    if len(data) < _LENGTH.size:
        raise _bad_message()
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    if length > max_bytes or len(data) < end:
        raise _bad_message()
    return data[_LENGTH.size : end], data[end:]


def _bad_message() -> UserError:
    return UserError(
        "bad_message", "A malformed transfer message was received.", hint="It may be another version."
    )
