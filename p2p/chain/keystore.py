"""A wallet's key in a file of its own, encrypted under a password.

Blocking: Argon2id takes some tenths of a second, so call it through ``trio.to_thread.run_sync`` where other
tasks must go on. Nothing here prints or logs.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from solders.keypair import Keypair

from p2p.chain.keys import read_keypair, to_wallet
from p2p.chain.phrase import keypair_of, new_phrase
from p2p.chain.sealed import Cost, Sealed, bad_keystore, seal, unseal
from p2p.chain.secret import Secret, wipe
from p2p.chain.unlocked import Unlocked
from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.ids import Wallet
from p2p.core.limits import (
    KEYSTORE_FILE_MAX_BYTES,
    KEYSTORE_IDLE_S,
    PASSWORD_MAX_BYTES,
    PASSWORD_MIN_CHARS,
)


class Keystore:
    """The keystore file at ``path``. Each change replaces the file as a whole, or not at all."""

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK, cost: Cost | None = None) -> None:
        self.path = path
        self._clock = clock
        self._cost = cost or Cost()

    def exists(self) -> bool:
        return self.path.exists()

    def address(self) -> Wallet:
        """Whose key it is, without the password. Certain only once it has been unlocked.

        :raises UserError: ``no_keystore`` or ``bad_keystore``.
        """
        return self._read().address

    # -- new wallets

    def create(self, password: Secret, words: int = 24) -> Secret:
        """Draw a new wallet. Returns its seed phrase, which is kept nowhere: show it once.

        :raises UserError: ``keystore_exists`` or ``weak_password``.
        :raises EnvironmentFailure: ``keystore_not_written``.
        """
        phrase = new_phrase(words)
        self._add(keypair_of(phrase), password)
        return phrase

    def import_phrase(
        self, phrase: Secret, password: Secret, passphrase: Secret | None = None, account: int = 0
    ) -> Wallet:
        """Take a wallet over from its seed phrase; see :func:`p2p.chain.phrase.keypair_of`.

        :raises UserError: as :meth:`create`, or ``bad_phrase``.
        """
        return self._add(keypair_of(phrase, passphrase, account), password)

    def import_keypair(self, file: Path, password: Secret) -> Wallet:
        """Take a wallet over from a Solana CLI keypair file, which stays where it is.

        :raises UserError: as :meth:`create`, or ``bad_keypair``.
        """
        return self._add(read_keypair(file), password)

    def require_absent(self) -> None:
        """:raises UserError: ``keystore_exists``."""
        if self.exists():
            raise _exists(self.path)

    def _add(self, keypair: Keypair, password: Secret) -> Wallet:
        check_password(password)
        self.require_absent()
        address = to_wallet(keypair.pubkey())
        self._write(seal(keypair.secret(), address, password, self._cost), _link_new)
        return address

    # -- using them

    def unlock(self, password: Secret, idle_s: float = KEYSTORE_IDLE_S) -> Unlocked:
        """Open the key for signing; it locks by itself after ``idle_s`` without use.

        :raises UserError: ``no_keystore`` or ``bad_keystore``.
        :raises Refused: ``wrong_password``.
        """
        return Unlocked(self._open(password), self._clock, idle_s)

    def export_keypair(self, password: Secret, target: Path) -> Wallet:
        """Write the bare key as the Solana CLI does, readable by its owner only, replacing nothing.

        :raises UserError: as :meth:`unlock`, or ``keypair_exists``.
        :raises EnvironmentFailure: ``keypair_not_written``.
        """
        key = self._open(password)
        keypair = Keypair.from_seed(bytes(key))
        wipe(key)
        try:
            _write_new(target, json.dumps(list(bytes(keypair))).encode())
        except FileExistsError:
            raise UserError(
                "keypair_exists",
                f"{target} exists already.",
                "It was left as it is.",
                "Name another file, or move that one away.",
            ) from None
        except OSError as error:
            raise EnvironmentFailure(
                "keypair_not_written", f"{target} cannot be written: {error.strerror}.", retryable=False
            ) from None
        return to_wallet(keypair.pubkey())

    def change_password(self, old: Secret, new: Secret) -> None:
        """Encrypt the key anew. A crash leaves the file under the old password or under the new one.

        :raises UserError: as :meth:`unlock`, or ``weak_password``.
        :raises EnvironmentFailure: ``keystore_not_written``: the old password still holds.
        """
        check_password(new)
        key = self._open(old)
        try:
            self._write(seal(key, self._read().address, new, self._cost), os.replace)
        finally:
            wipe(key)

    # -- the file

    def _read(self) -> Sealed:
        try:
            with self.path.open("rb") as file:
                data = file.read(KEYSTORE_FILE_MAX_BYTES + 1)
        except FileNotFoundError:
            raise UserError(
                "no_keystore",
                f"There is no keystore at {self.path}.",
                hint="Make one, or import a wallet from its seed phrase or keypair file.",
            ) from None
        except OSError as error:
            raise UserError("no_keystore", f"{self.path} cannot be read: {error.strerror}.") from None
        return Sealed.from_bytes(data)

    def _open(self, password: Secret) -> bytearray:
        sealed = self._read()
        key = unseal(sealed, password)
        if to_wallet(Keypair.from_seed(bytes(key)).pubkey()) != sealed.address:
            wipe(key)
            raise bad_keystore()
        return key

    def _write(self, sealed: Sealed, put: Callable[[Path, Path], None]) -> None:
        """Write beside the file, flush to the disk, then ``put`` it in place.

        Leftovers of a change that was interrupted are removed first, so that no copy under an abandoned
        password stays behind. Should that hit a change under way in another process, that one fails and
        the file is as it was.
        """
        fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}.new")
        try:
            for leftover in self.path.parent.glob(f".{self.path.name}.*.new"):
                leftover.unlink(missing_ok=True)
            try:
                _write_new(fresh, sealed.to_bytes())
                put(fresh, self.path)
            finally:
                fresh.unlink(missing_ok=True)
            _sync_folder(self.path.parent)
        except FileExistsError:
            raise _exists(self.path) from None
        except OSError as error:
            raise EnvironmentFailure(
                "keystore_not_written",
                f"The keystore {self.path} cannot be written: {error.strerror}.",
                "What was there before is unchanged.",
                "Check the disk and the folder's permissions, then try again.",
            ) from None


def check_password(password: Secret) -> None:
    """:raises UserError: ``weak_password``: too short to protect anything, too long, or not text."""
    try:
        chars = len(password.text())
    except UnicodeDecodeError:
        chars = 0
    if chars < PASSWORD_MIN_CHARS or len(password) > PASSWORD_MAX_BYTES:
        raise UserError(
            "weak_password",
            f"A password has {PASSWORD_MIN_CHARS} characters or more and at most {PASSWORD_MAX_BYTES} bytes.",
            "Nothing was changed.",
            "Four or five random words make a good one.",
        )


def _exists(path: Path) -> UserError:
    return UserError(
        "keystore_exists",
        f"There is a keystore at {path} already.",
        "It was left as it is, because a key cannot be made again.",
        "Use it, or move it away first.",
    )


def _write_new(path: Path, data: bytes) -> None:
    """A new file for its owner's eyes only, on the disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _link_new(fresh: Path, path: Path) -> None:
    """As a rename, but never over a file that is there."""
    os.link(fresh, path)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # a folder cannot be flushed there; NTFS keeps renames in its own journal
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
