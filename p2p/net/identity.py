"""A peer's key: Ed25519, kept in the data folder; its peer id contains the public key itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.ids import PeerId, parse_peer_id

SEED_BYTES = 32
SIGNATURE_BYTES = 64

# libp2p peer ids: an identity multihash (code 0, length 36) of the protobuf PublicKey {1: Ed25519 (1), 2: 32
# bytes}. https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
_PEER_ID_PREFIX = bytes((0x00, 0x24, 0x08, 0x01, 0x12, 0x20))
_FILE_MODE = 0o600


@dataclass(frozen=True, slots=True, repr=False)
class PeerIdentity:
    """A peer's private key. Never printed: ``repr`` shows the peer id only."""

    seed: bytes
    """The 32-byte Ed25519 seed."""

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes")

    def __repr__(self) -> str:
        return f"PeerIdentity({self.peer_id})"

    @property
    def peer_id(self) -> PeerId:
        public = self._key().public_key().public_bytes_raw()
        return PeerId(base58.b58encode(_PEER_ID_PREFIX + public).decode("ascii"))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of exactly these bytes (see :mod:`p2p.core.signing` for domains)."""
        return self._key().sign(message)

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @classmethod
    def ephemeral(cls) -> PeerIdentity:
        """A fresh key that is not kept."""
        return cls(os.urandom(SEED_BYTES))

    @classmethod
    def load_or_create(cls, path: Path) -> PeerIdentity:
        """Read the key at ``path``; if there is none, write a fresh one (mode 0600) so that it is whole or
        absent.

        Two processes that start at the same time agree on one key.

        :raises EnvironmentFailure: the file cannot be read or written.
        :raises UserError: the file is not a peer key.
        """
        try:
            existing = _read(path)
            if existing is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                _create(path, os.urandom(SEED_BYTES))
                existing = _read(path)
        except OSError as error:
            raise EnvironmentFailure(
                "peer_key_unavailable",
                f"The peer key {path} cannot be used: {error.strerror or error}.",
                "Without it this machine has no identity on the network.",
                "Check the folder's owner and permissions, and that the disk is not full.",
                retryable=False,
            ) from error
        if existing is None or len(existing) != SEED_BYTES:
            raise UserError(
                "bad_peer_key",
                f"{path} is not a peer key: it should hold exactly {SEED_BYTES} bytes.",
                "Signatures and the peer id depend on it, so it is not replaced by itself.",
                "Restore it from a backup, or move it away to get a new identity.",
            )
        return cls(existing)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(SEED_BYTES + 1)
    except FileNotFoundError:
        return None


def _create(path: Path, seed: bytes) -> None:
    """Write beside ``path``, then link it there: the first of two writers wins and no reader sees half a
    key."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(seed)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def public_key_of(peer_id: str) -> bytes:
    """The 32-byte Ed25519 public key inside a peer id.

    :raises UserError: it is not the id of an Ed25519 peer.
    """
    try:
        raw = base58.b58decode(parse_peer_id(peer_id))
    except ValueError:
        raw = b""
    if len(raw) != len(_PEER_ID_PREFIX) + SEED_BYTES or not raw.startswith(_PEER_ID_PREFIX):
        raise UserError("bad_peer_id", f"{peer_id[:80]!r} is not the id of an Ed25519 peer.")
    return raw[len(_PEER_ID_PREFIX) :]


def verify_peer_signature(peer_id: str, message: bytes, signature: bytes) -> bool:
    """Whether ``peer_id``'s key signed exactly ``message``. A malformed peer id or signature is just
    false."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key_of(peer_id)).verify(signature, message)
    except (UserError, InvalidSignature, ValueError):
        return False
    return True
