"""Ed25519 keys of wallets and sessions, and their files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import Wallet, parse_wallet

KEYPAIR_BYTES = 64
SIGNATURE_BYTES = 64
KEYPAIR_FILE_MAX_BYTES = 4096


class Signer:
    """A key that can sign for one address. Never shows its secret."""

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair
        self.address = Wallet(str(keypair.pubkey()))

    @classmethod
    def generate(cls) -> Signer:
        """A fresh random key, in no file."""
        return cls(Keypair())

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of ``message``."""
        return bytes(self._keypair.sign_message(message))

    def __repr__(self) -> str:
        return f"Signer({self.address})"


def load_keypair(path: Path) -> Signer:
    """Read a keypair file as the Solana CLI writes it: a JSON array of 64 bytes.

    :raises UserError: the file is missing, not such an array, or its halves do not belong together.
    """
    return Signer(read_keypair(path))


def load_keypair_of(path: Path, wallet: Wallet) -> Signer:
    """As :func:`load_keypair`, of a file that is known to hold a certain wallet's key.

    :raises Refused: ``other_wallet``: it holds another one's by now.
    """
    signer = load_keypair(path)
    if signer.address != wallet:
        raise Refused(
            "other_wallet",
            f"{path} now holds the key of another wallet than {wallet}.",
            "Nothing was signed.",
            f"Put the key of {wallet} back there, or log in with the other wallet.",
        )
    return signer


def read_keypair(path: Path) -> Keypair:
    """As :func:`load_keypair`, for keys that sign for something else than a wallet."""
    try:
        with path.open("rb") as file:
            text = file.read(KEYPAIR_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(
            "bad_keypair",
            f"The keypair file {path} cannot be read: {error.strerror}.",
            hint="Make one with `solana-keygen new`, or name another file.",
        ) from None
    if len(text) > KEYPAIR_FILE_MAX_BYTES:
        raise _wrong_file(path)
    try:
        numbers = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong_file(path) from None
    if not isinstance(numbers, list) or len(numbers) != KEYPAIR_BYTES:
        raise _wrong_file(path)
    if not all(type(number) is int and 0 <= number <= 255 for number in numbers):
        raise _wrong_file(path)
    try:
        return Keypair.from_bytes(bytes(numbers))
    except ValueError:
        raise _wrong_file(path) from None


def _wrong_file(path: Path) -> UserError:
    return UserError(
        "bad_keypair",
        f"{path} is not a Solana keypair file.",
        "Nothing was signed.",
        "Such a file holds a JSON array of 64 numbers, as `solana-keygen new` writes it.",
    )


def create_keypair(path: Path) -> Signer:
    """Draw a new key and write it to ``path``, readable by its owner only, replacing nothing.

    :raises UserError: the file exists.
    :raises EnvironmentFailure: it cannot be written.
    """
    return _write(path, Keypair())


def _write(path: Path, keypair: Keypair) -> Signer:
    text = json.dumps(list(bytes(keypair))).encode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UserError(
            "keypair_exists",
            f"{path} exists already.",
            "It was left as it is, because a key cannot be made again.",
            "Name another file, or move that one away.",
        ) from None
    except OSError as error:
        raise EnvironmentFailure(
            "keypair_not_written",
            f"The keypair file {path} cannot be written: {error.strerror}.",
            retryable=False,
        ) from None
    return Signer(keypair)


def new_keypair_in(folder: Path) -> tuple[Path, Signer]:
    """Draw a new key and write it into ``folder``, in a file named by its address."""
    keypair = Keypair()
    path = folder / f"{keypair.pubkey()}.json"
    return path, _write(path, keypair)


def load_or_create_keypair(path: Path) -> Signer:
    """The key in ``path``; drawn and written first if there is no such file."""
    return load_keypair(path) if path.exists() else create_keypair(path)


def verify(wallet: Wallet, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of ``wallet`` over exactly ``message``. Never raises."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        key = Pubkey.from_string(wallet)
    except ValueError:
        return False
    return Signature.from_bytes(signature).verify(key, message)


def is_address(text: str) -> bool:
    """Whether it is a Solana address."""
    try:
        to_pubkey(Wallet(text))
    except UserError:
        return False
    return True


def to_pubkey(wallet: Wallet) -> Pubkey:
    """The 32 bytes of an address.

    :raises UserError: it is not base58 of 32 bytes.
    """
    parse_wallet(wallet)
    try:
        return Pubkey.from_string(wallet)
    except ValueError:
        raise UserError("bad_wallet", f"{wallet!r} is not a Solana address.") from None


def to_wallet(key: Pubkey) -> Wallet:
    """The base58 text of an address."""
    return Wallet(str(key))
