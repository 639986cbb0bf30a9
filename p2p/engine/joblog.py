"""A job's log on the buyer's disk: raw bytes, one file per attempt, appended exactly once.

The file's own size is the offset from which the node is asked to go on, so there is no second record of
it that a crash could leave behind.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import LOG_LINE_MAX_BYTES, LOG_TOTAL_MAX_BYTES, MIB

_READ_BYTES = 1 * MIB


class JobLog:
    """The log of one attempt. Methods block."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.path = folder / f"log.{epoch}"
        self.epoch = epoch

    def size_bytes(self) -> int:
        """How much of it is here: the offset to go on from."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, offset: int, data: bytes) -> bytes:
        """Add what comes at ``offset``; what is here already is skipped. Returns what was new, once it is on
        the disk.

        :raises EnvironmentFailure: ``log_gap`` (something is missing in between), ``log_too_long``,
            ``disk_full``.
        """
        size = self.size_bytes()
        if offset > size:
            raise EnvironmentFailure("log_gap", f"The node left out bytes {size} to {offset} of the log.")
        fresh = data[size - offset :]
        if size + len(fresh) > LOG_TOTAL_MAX_BYTES:
            raise EnvironmentFailure("log_too_long", "The log is longer than a log may be.", retryable=False)
        if fresh:
            self._write(fresh)
        return fresh

    def restart(self) -> None:
        """Throw the copy away, to fetch it anew."""
        self.path.unlink(missing_ok=True)

    def sha256(self) -> bytes:
        """Of all that is here."""
        digest = sha256()
        for block in self.blocks(0):
            digest.update(block)
        return digest.digest()

    def blocks(self, offset: int) -> Iterator[bytes]:
        """The log from ``offset`` on, in pieces."""
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                while block := file.read(_READ_BYTES):
                    yield block
        except FileNotFoundError:
            return

    def read(self, offset: int, max_bytes: int) -> bytes:
        """A piece of it; empty at its end."""
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read(max_bytes)
        except FileNotFoundError:
            return b""

    def lines(self) -> Iterator[bytes]:
        """All lines without their ends; overlong ones are cut into several."""
        splitter = LineSplitter()
        for block in self.blocks(0):
            yield from splitter.feed(block)
        yield from splitter.rest()

    def _write(self, data: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                written = 0
                while written < len(data):
                    written += file.write(data[written:])
                os.fsync(descriptor)
        except OSError as error:
            raise disk_failure(self.path, error) from error


class LineSplitter:
    """Cuts a byte stream into lines, each at most ``LOG_LINE_MAX_BYTES``."""

    def __init__(self) -> None:
        self._partial = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes belong to a line that has not ended yet."""
        return len(self._partial)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that ``data`` completes."""
        self._partial += data
        start = 0
        while (end := self._partial.find(b"\n", start)) >= 0:
            yield from _cut(bytes(self._partial[start:end]))
            start = end + 1
        del self._partial[:start]
        while len(self._partial) > LOG_LINE_MAX_BYTES:
            yield bytes(self._partial[:LOG_LINE_MAX_BYTES])
            del self._partial[:LOG_LINE_MAX_BYTES]

    def rest(self) -> Iterator[bytes]:
        """What came after the last line end."""
        if self._partial:
            yield bytes(self._partial)
            self._partial.clear()


def _cut(line: bytes) -> Iterator[bytes]:
    yield line[:LOG_LINE_MAX_BYTES]
    for at in range(LOG_LINE_MAX_BYTES, len(line), LOG_LINE_MAX_BYTES):
        yield line[at : at + LOG_LINE_MAX_BYTES]


def disk_failure(path: Path, error: OSError) -> EnvironmentFailure:
    """A write that the disk did not take, in three parts."""
    return EnvironmentFailure(
        "disk_full" if error.errno in _FULL else "disk_failed",
        f"{path} cannot be written: {error.strerror or error}.",
        "The job and its money are safe; what has arrived is kept.",
        "Free some space; it goes on by itself, or at once with `cyxwiz fetch JOB` (--out for another disk).",
    )


_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
