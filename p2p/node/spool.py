"""A job's log on the node: one file of raw bytes, of which only what is certain is ever shown.

The file grows first, is synced, and then the journal learns how long it is and where in the container's
log that length ends. After ``kill -9`` the file is cut back to what the journal says and the rest is read
from the container again. Bytes become readable for the buyer only after that journal entry, so nobody has
seen bytes that might come differently the second time.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import (
    KIB,
    LOG_BATCH_MAX_BYTES,
    LOG_COMMIT_BYTES,
    LOG_COMMIT_INTERVAL_S,
    STREAM_ITEM_MAX_BYTES,
)

Commit = Callable[[int, str], Awaitable[None]]
"""Makes ``(length in bytes, cursor)`` durable."""

_FILE_MODE = 0o600
_HASH_BLOCK_BYTES = 256 * KIB
_BATCH_BYTES = min(LOG_BATCH_MAX_BYTES, STREAM_ITEM_MAX_BYTES - KIB)  # fits an item of a stream with its head


class Spool:
    """The log of one attempt; one writer, any number of readers. ``size_bytes`` is what is certain."""

    def __init__(self, path: Path, size_bytes: int, *, ended: bool = False) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.ended = ended
        self._changed = trio.Event()

    def grew(self, size_bytes: int) -> None:
        """Make the bytes up to ``size_bytes`` readable."""
        self.size_bytes = size_bytes
        self._wake()

    def end(self) -> None:
        """Nothing will be added any more."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def read(self, offset: int) -> bytes:
        """Certain bytes from ``offset``, at most a batch; empty only when the log has ended there.

        :raises EnvironmentFailure: ``log_gone``: the file is not here any more.
        """
        while offset >= self.size_bytes and not self.ended:
            await self._changed.wait()
        wanted = min(_BATCH_BYTES, max(0, self.size_bytes - offset))
        if not wanted:
            return b""
        try:
            return await trio.to_thread.run_sync(_read, self.path, offset, wanted)
        except OSError as error:
            raise log_gone() from error

    async def sha256(self) -> bytes:
        """Hash of the certain bytes.

        :raises EnvironmentFailure: ``log_gone``.
        """
        try:
            return await trio.to_thread.run_sync(_hash, self.path, self.size_bytes)
        except OSError as error:
            raise log_gone() from error


class SpoolWriter:
    """Appends to a spool and commits now and then. Use as an async context manager."""

    def __init__(self, spool: Spool, commit: Commit) -> None:
        self._spool = spool
        self._commit = commit
        self._pending = bytearray()
        self._cursor = ""
        self._work = trio.Event()
        self._lock = trio.Lock()
        self._descriptor = -1

    async def __aenter__(self) -> SpoolWriter:
        self._descriptor = await trio.to_thread.run_sync(_open, self._spool.path, self._spool.size_bytes)
        return self

    async def __aexit__(self, *_: object) -> None:
        # What is not committed is not lost: the container still has it.
        os.close(self._descriptor)

    async def add(self, data: bytes, cursor: str) -> None:
        """Queue ``data``; ``cursor`` is where the container's log stands behind it."""
        self._pending += data
        self._cursor = cursor
        self._work.set()
        if len(self._pending) >= LOG_COMMIT_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Make everything queued durable, then readable.

        :raises EnvironmentFailure: ``disk_full``, or the journal cannot be written.
        """
        async with self._lock:
            if not self._pending:
                return
            data, cursor = bytes(self._pending), self._cursor
            self._pending.clear()
            with trio.CancelScope(shield=True):
                await self._append(data, cursor)

    async def _append(self, data: bytes, cursor: str) -> None:
        size_bytes = self._spool.size_bytes
        try:
            await trio.to_thread.run_sync(_write, self._descriptor, size_bytes, data)
        except OSError as error:
            raise EnvironmentFailure(
                "disk_full",
                f"The job's log cannot be written: {error.strerror or error}.",
                "Without its log a job cannot be verified, so it was stopped.",
                "Free some space on the node's disk.",
            ) from error
        await self._commit(size_bytes + len(data), cursor)
        self._spool.grew(size_bytes + len(data))

    async def commit_regularly(self) -> None:
        """Commit what was added at most ``LOG_COMMIT_INTERVAL_S`` ago, until cancelled."""
        while True:
            await self._work.wait()
            await trio.sleep(LOG_COMMIT_INTERVAL_S)
            self._work = trio.Event()
            await self.flush()


def log_gone() -> EnvironmentFailure:
    """The error for a log that was tidied away."""
    return EnvironmentFailure(
        "log_gone",
        "This node does not keep that job's log any more.",
        "The part that was fetched before is still with the buyer.",
        "Logs of finished jobs are kept for some days only.",
        retryable=False,
    )


def _open(path: Path, size_bytes: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE)
    if os.fstat(descriptor).st_size < size_bytes:
        os.close(descriptor)
        raise log_gone()
    os.ftruncate(descriptor, size_bytes)
    return descriptor


def _write(descriptor: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]
    os.fdatasync(descriptor)


def _read(path: Path, offset: int, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size_bytes)
    if len(data) < size_bytes:  # else a follower would ask for the rest for ever
        raise OSError("the log is shorter than the journal says")
    return data


def _hash(path: Path, size_bytes: int) -> bytes:
    digest, left = sha256(), size_bytes
    if not size_bytes:
        return digest.digest()
    with path.open("rb") as file:
        while left and (block := file.read(min(_HASH_BLOCK_BYTES, left))):
            digest.update(block)
            left -= len(block)
    if left:
        raise OSError("the log is shorter than the journal says")
    return digest.digest()
