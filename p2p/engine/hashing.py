"""Hashing input files in chunks, in worker threads, and not twice while they stay what they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import trio

from p2p.core.clock import Clock
from p2p.core.errors import UserError
from p2p.core.limits import CHUNK_BYTES, HASHED_FILE_SETTLED_S
from p2p.core.manifest import FileEntry
from p2p.store.engine import EngineTables

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

NOTHING_SENT = "Nothing was sent and nothing was paid."

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its path in the manifest, where it lies, its size and identity when it was found."""

    path: str
    source: Path
    size_bytes: int
    identity: str
    modified_s: float


@dataclass(frozen=True, slots=True)
class Hashed:
    """The entries, and how many of their bytes were already known."""

    entries: tuple[FileEntry, ...]
    known_bytes: int


def identity_of(status: os.stat_result) -> str:
    """What changes when a file is written to or replaced."""
    fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return ":".join(str(field) for field in fields)


async def hash_files(
    files: Sequence[FoundFile], tables: EngineTables, clock: Clock, progress: Progress | None = None
) -> Hashed:
    """The manifest entries of ``files``, in their order.

    :raises UserError: ``unreadable``, or ``changed`` while it was being read; names the file.
    """
    known = await tables.hashes((os.fsencode(file.source), file.identity) for file in files)
    found: dict[bytes, tuple[bytes, ...]] = dict(known)
    fresh: list[tuple[bytes, str, Sequence[bytes]]] = []
    total = sum(file.size_bytes for file in files)
    known_bytes = sum(file.size_bytes for file in files if os.fsencode(file.source) in known)
    done = known_bytes
    limiter = trio.CapacityLimiter(os.cpu_count() or 1)

    async def hash_one(file: FoundFile) -> None:
        nonlocal done
        source, begun_s = os.fsencode(file.source), clock.now_s()
        found[source] = await trio.to_thread.run_sync(
            hash_file, file, trio.from_thread.check_cancelled, limiter=limiter
        )
        # A write within the file system's clock tick could leave the identity as it is: don't remember those.
        if begun_s - file.modified_s > HASHED_FILE_SETTLED_S:
            fresh.append((source, file.identity, found[source]))
        done += file.size_bytes
        if progress is not None:
            progress(done, total)

    try:
        async with trio.open_nursery() as nursery:
            for file in files:
                if os.fsencode(file.source) not in known:
                    nursery.start_soon(hash_one, file)
    except* UserError as group:
        raise _first(group) from None
    await tables.keep_hashes(fresh)
    entries = (FileEntry(file.path, file.size_bytes, found[os.fsencode(file.source)]) for file in files)
    return Hashed(tuple(entries), known_bytes)


def hash_file(file: FoundFile, between_chunks: Callable[[], None] = lambda: None) -> tuple[bytes, ...]:
    """SHA-256 of every chunk of ``file``, which must still be what it was when it was found."""
    try:
        descriptor = os.open(file.source, _OPEN_FLAGS)
        with os.fdopen(descriptor, "rb", buffering=0) as handle:
            if identity_of(os.fstat(descriptor)) != file.identity:
                raise _changed(file)
            chunks = tuple(_chunk_hashes(handle.readinto, between_chunks))
            if identity_of(os.fstat(descriptor)) != file.identity:
                raise _changed(file)
    except OSError as error:
        raise unreadable(file.source, error) from None
    if len(chunks) != -(-file.size_bytes // CHUNK_BYTES):
        raise _changed(file)
    return chunks


def unreadable(path: Path, error: OSError) -> UserError:
    """A file or folder that the system does not let us read."""
    return UserError(
        "unreadable",
        f"{path} cannot be read: {error.strerror or error}.",
        NOTHING_SENT,
        "Mend its permissions, or leave it out with --exclude.",
    )


def _chunk_hashes(
    readinto: Callable[[memoryview], int | None], between_chunks: Callable[[], None]
) -> list[bytes]:
    buffer = memoryview(bytearray(CHUNK_BYTES))
    found = []
    while True:
        between_chunks()
        filled = 0
        while filled < CHUNK_BYTES and (count := readinto(buffer[filled:])):
            filled += count
        if filled:
            found.append(sha256(buffer[:filled]).digest())
        if filled < CHUNK_BYTES:
            return found


def _changed(file: FoundFile) -> UserError:
    return UserError(
        "changed",
        f"{file.source} changed while it was being read.",
        NOTHING_SENT,
        "Wait until nothing writes to it any more, then try again.",
    )


def _first(group: BaseExceptionGroup[UserError]) -> UserError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, UserError)
    return error
