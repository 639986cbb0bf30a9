"""Takes a hostile folder's regular files, and nothing else.

Every step goes by folder descriptor with ``O_NOFOLLOW``, so that no link is followed whatever is renamed
meanwhile; files are created with ``O_EXCL``. Names must be canonical (:func:`p2p.core.manifest.check_path`)
and differ by more than case. What is left out is listed with its reason. Blocking: call it in a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from p2p.core.errors import UserError
from p2p.core.limits import MANIFEST_FILES_MAX, MIB, OUTPUT_MAX_BYTES, PATH_DEPTH_MAX
from p2p.core.manifest import check_path
from p2p.core.text import clean_name

NAME_SHOWN_CHARS = 120
SKIPPED_LISTED_MAX = 200
# What a source can do to us; anything else is the destination's trouble and ends the collection.
_SOURCE_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENXIO})
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """A file that was taken: canonical path relative to the destination, and size."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was left behind; ``name`` is cleaned for showing, it may not exist like that."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken and what was not. ``skipped_count`` may exceed the number listed."""

    files: tuple[CollectedFile, ...]
    skipped: tuple[Skipped, ...]
    skipped_count: int

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass
class _Walk:
    bytes_max: int
    files_max: int
    checkpoint: Callable[[], None]
    ignored_link: tuple[str, str]
    files: list[CollectedFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    skipped_count: int = 0
    entries: int = 0
    used_bytes: int = 0
    seen: dict[str, str] = field(default_factory=dict)

    def skip(self, path: str, reason: str) -> None:
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_LISTED_MAX:
            self.skipped.append(Skipped(clean_name(path, NAME_SHOWN_CHARS), reason))


def collect(
    source: Path,
    destination: Path,
    *,
    bytes_max: int = OUTPUT_MAX_BYTES,
    files_max: int = MANIFEST_FILES_MAX,
    ignored_link: tuple[str, str] = ("", ""),
    checkpoint: Callable[[], None] = lambda: None,
) -> Collected:
    """Copy the regular files below ``source`` into ``destination``, which must not exist or be empty.

    ``ignored_link`` is a top-level link (name, target) that is left out without a word. ``checkpoint`` is
    called between blocks and may raise to stop.

    :raises OSError: the destination cannot be written.
    """
    destination.mkdir(mode=0o700, parents=True, exist_ok=True)
    walk = _Walk(bytes_max, files_max, checkpoint, ignored_link)
    source_fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        destination_fd = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _folder(walk, source_fd, destination_fd, "", 1)
        finally:
            os.close(destination_fd)
    finally:
        os.close(source_fd)
    return Collected(tuple(walk.files), tuple(walk.skipped), walk.skipped_count)


def _folder(walk: _Walk, source_fd: int, destination_fd: int, prefix: str, depth: int) -> None:
    for name in sorted(os.listdir(source_fd), key=os.fsencode):
        walk.checkpoint()
        walk.entries += 1
        if walk.entries > 2 * walk.files_max:
            walk.skip(prefix or "(top)", "more entries than a result may have")
            return
        path = f"{prefix}{name}"
        try:
            check_path(path)
        except UserError as error:
            walk.skip(path, error.what.rpartition("' ")[2].rstrip(".") or "has a bad name")
            continue
        try:
            _entry(walk, source_fd, destination_fd, name, path, depth)
        except OSError as error:
            if error.errno not in _SOURCE_ERRORS:
                raise
            walk.skip(path, "cannot be read, or changed meanwhile")


def _entry(walk: _Walk, source_fd: int, destination_fd: int, name: str, path: str, depth: int) -> None:
    found = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
    other = walk.seen.setdefault(path.casefold(), path)
    if other != path:
        walk.skip(path, f"differs from {clean_name(other, NAME_SHOWN_CHARS)} only by case")
    elif stat.S_ISDIR(found.st_mode):
        if depth >= PATH_DEPTH_MAX:
            walk.skip(path, "is nested too deeply")
            return
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source_fd)
        try:
            os.mkdir(name, 0o700, dir_fd=destination_fd)
            outer = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=destination_fd)
            try:
                _folder(walk, inner, outer, path + "/", depth + 1)
            finally:
                os.close(outer)
        finally:
            os.close(inner)
    elif stat.S_ISREG(found.st_mode):
        _file(walk, source_fd, destination_fd, name, path)
    elif not _is_ignored(walk, source_fd, name, path, found.st_mode):
        walk.skip(path, f"is {_KINDS.get(stat.S_IFMT(found.st_mode), 'not a file')}")


def _is_ignored(walk: _Walk, source_fd: int, name: str, path: str, mode: int) -> bool:
    link, target = walk.ignored_link
    return path == link and stat.S_ISLNK(mode) and os.readlink(name, dir_fd=source_fd) == target


def _file(walk: _Walk, source_fd: int, destination_fd: int, name: str, path: str) -> None:
    if len(walk.files) >= walk.files_max:
        walk.skip(path, "more files than a result may have")
        return
    # O_NONBLOCK: should it have become a pipe since, opening must not wait for a writer.
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source_fd)
    try:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode):
            walk.skip(path, "is not a file any more")
            return
        if walk.used_bytes + found.st_size > walk.bytes_max:
            walk.skip(path, f"exceeds the {walk.bytes_max >> 20} MiB that a result may have")
            return
        target = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=destination_fd
        )
        try:
            copied = _copy(walk, source, target, found.st_size)
        finally:
            os.close(target)
    finally:
        os.close(source)
    walk.used_bytes += copied
    walk.files.append(CollectedFile(path, copied))


def _copy(walk: _Walk, source: int, target: int, size_bytes: int) -> int:
    copied = 0
    while copied < size_bytes and (block := os.read(source, min(4 * MIB, size_bytes - copied))):
        walk.checkpoint()
        view = memoryview(block)
        while view:
            view = view[os.write(target, view) :]
        copied += len(block)
    return copied
