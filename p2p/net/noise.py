"""Noise as the only security protocol, read through a buffer.

Stock py-libp2p asks the socket for two bytes of length and then for the body of every Noise message; reading
ahead halves the system calls.
"""

from __future__ import annotations

from contextlib import suppress

from libp2p.abc import IRawConnection, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as new_x25519_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.noise.transport import Transport
from multiaddr import Multiaddr

_READ_AHEAD_BYTES = 256 * 1024


class _BufferedConnection(IRawConnection):
    """A raw connection whose small reads are served from a larger one."""

    def __init__(self, raw: IRawConnection) -> None:
        self._raw = raw
        self.is_initiator = raw.is_initiator
        self._buffer = b""
        self._offset = 0

    async def read(self, n: int | None = None) -> bytes:
        if n == 0:
            return b""
        available = len(self._buffer) - self._offset
        if not available:
            self._buffer = await self._raw.read(_READ_AHEAD_BYTES)
            self._offset = 0
            available = len(self._buffer)
        take = available if n is None else min(n, available)
        data = self._buffer[self._offset : self._offset + take]
        self._offset += take
        return data

    async def write(self, data: bytes) -> None:
        await self._raw.write(data)

    async def close(self) -> None:
        await self._raw.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        known = self._raw.get_remote_address()
        if (
            known is None
            and isinstance(self._raw, RawConnection)
            and isinstance(self._raw.stream, TrioTCPStream)
        ):
            # The library knows only addresses of two fields; those of IPv6 have four.
            with suppress(OSError):
                host, port = self._raw.stream.stream.socket.getpeername()[:2]
                return str(host), int(port)
        return known

    def get_transport_addresses(self) -> list[Multiaddr]:
        return self._raw.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        return self._raw.get_connection_type()


class BufferedNoise(Transport):
    """The library's Noise XX transport over a buffered connection, with a static key of its own."""

    def __init__(self, key_pair: KeyPair) -> None:
        super().__init__(key_pair, noise_privkey=new_x25519_key_pair().private_key)

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        return await super().secure_inbound(_BufferedConnection(conn))

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        return await super().secure_outbound(_BufferedConnection(conn), peer_id)
