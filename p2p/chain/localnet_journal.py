"""An append-only file of JSON records that survives ``kill -9``: what was answered is in it.

Each record has its length and CRC-32 in front; a record that was cut off by a crash is dropped when
the file is opened. The lock on the file ends with the process, so that no stale one is left behind.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from p2p.core.errors import EnvironmentFailure

_HEAD = struct.Struct("<II")

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Journal:
    """One process at a time."""

    def __init__(self, path: Path) -> None:
        """:raises EnvironmentFailure: another process has it, or it cannot be opened."""
        try:
            self._lock_handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(self._lock_handle)
                handle = os.open(
                    path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600
                )
                self._file = os.fdopen(handle, "a+b", buffering=0)
            except OSError:
                os.close(self._lock_handle)
                raise
        except OSError as error:
            raise EnvironmentFailure(
                "localnet_folder",
                f"The localnet cannot use {path.parent}: {error.strerror}.",
                "No localnet was started.",
                "If another localnet runs in that folder, use that one.",
                retryable=False,
            ) from None

    def records(self) -> Iterator[dict[str, Any]]:
        """Every whole record, oldest first; what follows the last one is cut off."""
        self._file.seek(0)
        whole_bytes = 0
        with os.fdopen(os.dup(self._file.fileno()), "rb") as reader:
            while len(head := reader.read(_HEAD.size)) == _HEAD.size:
                length, checksum = _HEAD.unpack(head)
                payload = reader.read(length)
                if len(payload) != length or zlib.crc32(payload) != checksum:
                    break
                whole_bytes += _HEAD.size + length
                yield json.loads(payload)
        self._cut(whole_bytes)

    def append(self, record: dict[str, Any]) -> None:
        """Write a record behind the others: the whole of it, or nothing.

        :raises OSError: the disk is full, for example.
        """
        payload = json.dumps(record).encode()
        whole = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = self._file.write(whole)
        except OSError:
            self._cut(self._size_bytes)
            raise
        if written != len(whole):
            self._cut(self._size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._last_bytes = len(whole)
        self._size_bytes += len(whole)

    def drop_last(self) -> None:
        """Take back the record just written."""
        self._cut(self._size_bytes - self._last_bytes)

    def _cut(self, size_bytes: int) -> None:
        self._file.truncate(size_bytes)
        self._size_bytes, self._last_bytes = size_bytes, 0

    def close(self) -> None:
        self._file.close()
        os.close(self._lock_handle)
