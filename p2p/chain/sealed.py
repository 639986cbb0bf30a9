"""The keystore's file format: a 32-byte key, sealed under a password. Bytes in, bytes out.

One line of JSON in one canonical spelling. Argon2id (RFC 9106) turns the password into the key of
ChaCha20-Poly1305 (RFC 8439), and every field but the ciphertext is authenticated with it: format,
address, cost, salt and nonce cannot be changed without the file being refused.
"""

from __future__ import annotations

import json
import secrets
import unicodedata
from dataclasses import asdict, dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from p2p.chain.secret import Secret
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.ids import Wallet, parse_wallet
from p2p.core.limits import (
    KEYSTORE_FILE_MAX_BYTES,
    KEYSTORE_LANES,
    KEYSTORE_LANES_MAX,
    KEYSTORE_MEMORY_KIB,
    KEYSTORE_MEMORY_MAX_KIB,
    KEYSTORE_PASSES,
    KEYSTORE_PASSES_MAX,
)

FORMAT: Final = "cyxwiz-keystore-1"
KEY_BYTES: Final = 32
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at the password costs. The default is RFC 9106's second recommended option."""

    memory_kib: int = KEYSTORE_MEMORY_KIB
    passes: int = KEYSTORE_PASSES
    lanes: int = KEYSTORE_LANES

    def is_bearable(self) -> bool:
        """Whether Argon2id accepts it and this machine can afford it."""
        return (
            1 <= self.passes <= KEYSTORE_PASSES_MAX
            and 1 <= self.lanes <= KEYSTORE_LANES_MAX
            and 8 * self.lanes <= self.memory_kib <= KEYSTORE_MEMORY_MAX_KIB
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A keystore file, taken apart. Nothing in it is secret."""

    address: Wallet
    cost: Cost
    salt: bytes
    nonce: bytes
    ciphertext: bytes

    def _fields(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "address": self.address,
            "argon2id": asdict(self.cost),
            "salt": self.salt.hex(),
            "nonce": self.nonce.hex(),
        }

    def header(self) -> bytes:
        """What is authenticated."""
        return json.dumps(self._fields(), separators=(",", ":")).encode()

    def to_bytes(self) -> bytes:
        fields = {**self._fields(), "chacha20poly1305": self.ciphertext.hex()}
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Sealed:
        """:raises UserError: ``bad_keystore``: this is not a keystore in its one spelling."""
        try:
            if len(data) > KEYSTORE_FILE_MAX_BYTES:
                raise ValueError("too long")
            sealed = cls._parse(json.loads(data))
        except (ValueError, KeyError, TypeError, RecursionError, CyxWizError):
            raise bad_keystore() from None
        # Anything that JSON would forgive (spaces, another order, upper-case digits) is refused too.
        if sealed.to_bytes() != data or not sealed.cost.is_bearable():
            raise bad_keystore()
        return sealed

    @classmethod
    def _parse(cls, fields: dict[str, object]) -> Sealed:
        cost = fields["argon2id"]
        if not isinstance(cost, dict) or any(type(value) is not int for value in cost.values()):
            raise ValueError("cost")
        sealed = cls(
            address=parse_wallet(str(fields["address"])),
            cost=Cost(**cost),
            salt=bytes.fromhex(str(fields["salt"])),
            nonce=bytes.fromhex(str(fields["nonce"])),
            ciphertext=bytes.fromhex(str(fields["chacha20poly1305"])),
        )
        sizes = (len(sealed.salt), len(sealed.nonce), len(sealed.ciphertext))
        if sizes != (_SALT_BYTES, _NONCE_BYTES, KEY_BYTES + _TAG_BYTES):
            raise ValueError("sizes")
        return sealed


def seal(key: bytes | bytearray, address: Wallet, password: Secret, cost: Cost) -> Sealed:
    """Encrypt a key, with fresh salt and nonce.

    :raises EnvironmentFailure: ``keystore_memory``: not enough memory for the cost.
    """
    empty = Sealed(address, cost, secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES), b"")
    cipher = ChaCha20Poly1305(_derive(password, empty))
    ciphertext = cipher.encrypt(empty.nonce, bytes(key), empty.header())
    return Sealed(address, cost, empty.salt, empty.nonce, ciphertext)


def unseal(sealed: Sealed, password: Secret) -> bytearray:
    """The key. Takes as long as its cost says: some tenths of a second.

    :raises Refused: ``wrong_password``: the password is wrong, or the file was changed.
    :raises EnvironmentFailure: ``keystore_memory``.
    """
    cipher = ChaCha20Poly1305(_derive(password, sealed))
    try:
        return bytearray(cipher.decrypt(sealed.nonce, sealed.ciphertext, sealed.header()))
    except InvalidTag:
        raise Refused(
            "wrong_password",
            "The password is wrong, or the keystore file was changed.",
            "Nothing was unlocked.",
            "Try again. Nobody can recover a password; the seed phrase makes the wallet anew.",
        ) from None


def _derive(password: Secret, sealed: Sealed) -> bytes:
    """The same password typed on another system may come in another Unicode form: NFKC levels that."""
    cost = sealed.cost
    kdf = Argon2id(
        salt=sealed.salt,
        length=KEY_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    try:
        return kdf.derive(unicodedata.normalize("NFKC", password.text()).encode())
    except MemoryError:
        raise EnvironmentFailure(
            "keystore_memory",
            f"The keystore needs {cost.memory_kib // 1024} MiB of free memory to be opened.",
            "Nothing was unlocked.",
            "Close other programs, then try again.",
        ) from None


def bad_keystore() -> UserError:
    """The file is none of ours, or damaged."""
    return UserError(
        "bad_keystore",
        "This is not a CyxWiz keystore, or the file was damaged.",
        "Nothing was unlocked.",
        "Restore it from a backup, or import the wallet again from its seed phrase.",
    )
