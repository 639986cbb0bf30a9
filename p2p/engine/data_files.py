"""Which files of a folder are a job's data: found where they lie, never through a link."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from p2p.core.errors import UserError
from p2p.core.limits import EXCLUDES_MAX, MANIFEST_FILES_MAX, PATH_DEPTH_MAX
from p2p.engine.hashing import NOTHING_SENT, FoundFile, identity_of, unreadable

DATA = "data"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file, or a folder (``path`` ends with ``/``) with all that is in it, and the pattern that it fits."""

    path: str
    pattern: str


Found = FoundFile | LeftOut | UserError
"""One of what :func:`walk_data` finds; an error is about one file or folder, and the walk goes on."""


def find_data(root: Path, exclude: tuple[str, ...]) -> list[FoundFile]:
    """The files in path order.

    :raises UserError: the first thing in the way.
    """
    files = []
    for found in walk_data(root, exclude):
        if isinstance(found, UserError):
            raise found
        if isinstance(found, FoundFile):
            files.append(found)
    return sorted(files, key=lambda file: file.path)


def walk_data(root: Path, exclude: tuple[str, ...]) -> Iterator[Found]:
    """Everything that a data file or folder holds. Blocks now and then: iterate in a thread."""
    if len(exclude) > EXCLUDES_MAX:
        what = f"More than {EXCLUDES_MAX} patterns to exclude."
        yield UserError("too_many_excludes", what, NOTHING_SENT)
        return
    try:
        # The named folder itself may be a link; nothing below it may.
        root = root.resolve(strict=True)
    except FileNotFoundError:
        yield UserError("no_data", f"There is no data at {root}.", NOTHING_SENT, "Check the path.")
        return
    except (OSError, RuntimeError) as error:
        yield UserError("no_data", f"{root} cannot be used: {error}.", NOTHING_SENT)
        return
    if root.is_file():
        yield _found(root, f"{DATA}/{_nfc(root.name)}", root.stat())
        return
    empty = True
    for found in _walk(root, "", exclude, 1):
        empty = empty and isinstance(found, LeftOut)
        yield found
    if empty:
        yield UserError(
            "no_data", f"There is no file in {root}.", NOTHING_SENT, "Leave --data out if there are no data."
        )


def _walk(folder: Path, prefix: str, exclude: tuple[str, ...], depth: int) -> Iterator[Found]:
    if depth > PATH_DEPTH_MAX:
        yield UserError("bad_path", f"{folder} is nested too deeply.", NOTHING_SENT)
        return
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield unreadable(folder, error)
        return
    count = 0
    for entry in listed:
        relative = prefix + _nfc(entry.name)
        pattern = _pattern_of(relative, entry.name, exclude)
        if pattern is not None:
            yield LeftOut(relative + ("/" if entry.is_dir(follow_symlinks=False) else ""), pattern)
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, relative + "/", exclude, depth + 1)
        else:
            count += 1
            if count > MANIFEST_FILES_MAX:
                yield UserError("too_many_files", f"{folder} has too many files.", NOTHING_SENT)
                return
            yield _look_at(entry, folder / entry.name, relative)


def _look_at(entry: os.DirEntry[str], path: Path, relative: str) -> Found:
    if entry.is_symlink():
        return UserError(
            "link_in_data",
            f"{path} is a link.",
            f"Links are not followed, so that nothing is sent by accident. {NOTHING_SENT}",
            "Put the file itself there, or leave it out with --exclude.",
        )
    if not entry.is_file(follow_symlinks=False):
        return UserError(
            "bad_data",
            f"{path} is neither a file nor a folder.",
            NOTHING_SENT,
            "Leave it out with --exclude.",
        )
    return _found(path, f"{DATA}/{relative}", entry.stat(follow_symlinks=False))


def _pattern_of(relative: str, name: str, exclude: tuple[str, ...]) -> str | None:
    fits = (pattern for pattern in exclude if fnmatchcase(relative, pattern) or fnmatchcase(name, pattern))
    return next(fits, None)


def _found(source: Path, path: str, status: os.stat_result) -> FoundFile:
    if not status.st_ino:  # Windows: a directory entry does not know its identity
        status = os.stat(source, follow_symlinks=False)
    return FoundFile(path, source, status.st_size, identity_of(status), status.st_mtime)


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
