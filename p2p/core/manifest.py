"""Manifests: what a set of files is, down to the hash of every chunk.

The root is a Merkle tree over the files in path order, with the leaf and node prefixes of RFC 6962, so
that one file or chunk can later be proven against a signed root.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from p2p.core.errors import UserError
from p2p.core.limits import (
    CHUNK_BYTES,
    MANIFEST_BYTES_MAX,
    MANIFEST_FILES_MAX,
    PATH_DEPTH_MAX,
    PATH_MAX_BYTES,
    PATH_NAME_MAX_BYTES,
)

EMPTY_ROOT = sha256(b"").digest()

_LEAF, _NODE = b"\x00", b"\x01"
_BAD_CHARS = re.compile(r'[\x00-\x1f\x7f-\x9f\\:*?"<>|\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]')
# Names that Windows reserves, with or without an extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """One chunk of a file: SHA-256 and length in bytes (at most ``CHUNK_BYTES``)."""

    hash: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One regular file: canonical relative path, size, SHA-256 of every ``CHUNK_BYTES`` of it in order."""

    path: str
    size_bytes: int
    chunks: tuple[bytes, ...]

    def refs(self) -> Iterator[ChunkRef]:
        """The chunks with their lengths; only the last one may be short."""
        left = self.size_bytes
        for digest in self.chunks:
            size = min(CHUNK_BYTES, left)
            yield ChunkRef(digest, size)
            left -= size

    def leaf_hash(self) -> bytes:
        path = self.path.encode()
        head = len(path).to_bytes(2, "big") + path + self.size_bytes.to_bytes(8, "big")
        return sha256(_LEAF + head + b"".join(self.chunks)).digest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A set of files in path order. Build with :func:`make_manifest`, which checks it."""

    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.files)

    def root(self) -> bytes:
        """The Merkle root, 32 bytes."""
        return merkle_root([entry.leaf_hash() for entry in self.files])

    def prove(self, index: int) -> tuple[bytes, ...]:
        """The audit path of the file at ``index``: how :func:`is_proven` gets from it to the root."""
        return audit_path([entry.leaf_hash() for entry in self.files], index)


def merkle_root(leaves: list[bytes]) -> bytes:
    """Merkle root over leaf hashes (RFC 6962: an odd node moves up unchanged)."""
    if not leaves:
        return EMPTY_ROOT
    level = leaves
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def audit_path(leaves: list[bytes], index: int) -> tuple[bytes, ...]:
    """The sibling at each level on the way from a leaf to the root; an odd node has none."""
    level, path = leaves, list[bytes]()
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        level, index = _level_above(level), index // 2
    return tuple(path)


def is_proven(entry: FileEntry, index: int, count: int, path: tuple[bytes, ...], root: bytes) -> bool:
    """Whether ``entry`` is the file at ``index`` of the ``count`` files under ``root``.

    The root says nothing of the count; take it from where the root comes from.
    """
    if not 0 <= index < count:
        return False
    found, left = entry.leaf_hash(), list(path)
    while count > 1:
        if index ^ 1 < count:
            if not left:
                return False
            sibling = left.pop(0)
            pair = sibling + found if index % 2 else found + sibling
            found = sha256(_NODE + pair).digest()
        index, count = index // 2, (count + 1) // 2
    return not left and found == root


def _level_above(level: list[bytes]) -> list[bytes]:
    paired = [sha256(_NODE + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
    return [*paired, level[-1]] if len(level) % 2 else paired


def check_path(path: str) -> str:
    """Accept a canonical relative path that means the same file on every platform.

    :raises UserError: absolute, empty, not NFC, with ``.`` or ``..``, control or reserved characters,
        reserved Windows names, trailing dots or spaces, too deep or too long.
    """
    problem = _path_problem(path)
    if problem:
        raise UserError("bad_path", f"File name {path[:120]!r} {problem}.")
    return path


def _path_problem(path: str) -> str | None:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if len(encoded) > PATH_MAX_BYTES:
        return "is too long"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normal form C"
    parts = path.split("/")
    if len(parts) > PATH_DEPTH_MAX:
        return "is nested too deeply"
    for part in parts:
        if part in ("", ".", ".."):
            return "is not a canonical relative path"
        if _BAD_CHARS.search(part):
            return "has characters that cannot be used in a file name everywhere"
        if part[-1] in " ." or part[0] == " ":
            return "begins with a space or ends with a space or a dot"
        if _RESERVED.match(part):
            return "is reserved by Windows"
        if len(part.encode()) > PATH_NAME_MAX_BYTES:
            return "is too long"
    return None


def check_entry(entry: FileEntry) -> FileEntry:
    """:raises UserError: a bad path, an impossible size, or chunks that do not fit it."""
    check_path(entry.path)
    if not 0 <= entry.size_bytes <= MANIFEST_BYTES_MAX:
        raise UserError("bad_manifest", f"{entry.path!r} has an impossible size.")
    if len(entry.chunks) != -(-entry.size_bytes // CHUNK_BYTES):
        raise UserError("bad_manifest", f"{entry.path!r} has the wrong number of chunks.")
    if any(len(digest) != sha256().digest_size for digest in entry.chunks):
        raise UserError("bad_manifest", f"{entry.path!r} has a chunk hash of the wrong length.")
    return entry


def make_manifest(entries: list[FileEntry]) -> Manifest:
    """Sort and check ``entries``.

    :raises UserError: a bad path, two paths that differ only by case, a file that is also a folder,
        chunk counts that don't fit the sizes, too many files or bytes.
    """
    if len(entries) > MANIFEST_FILES_MAX:
        raise UserError("too_many_files", f"{len(entries)} files; at most {MANIFEST_FILES_MAX} can be sent.")
    files = tuple(sorted(entries, key=lambda entry: entry.path))
    seen: dict[str, str] = {}
    for entry in files:
        check_entry(entry)
        folded = entry.path.casefold()
        if folded in seen:
            raise UserError("bad_manifest", f"{seen[folded]!r} and {entry.path!r} are one name on Windows.")
        seen[folded] = entry.path
    for folded, path in seen.items():
        parent = folded
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if parent in seen:
                raise UserError("bad_manifest", f"{seen[parent]!r} is a file and the folder of {path!r}.")
    manifest = Manifest(files)
    if manifest.size_bytes > MANIFEST_BYTES_MAX:
        raise UserError("too_large", f"{manifest.size_bytes} bytes; the most is {MANIFEST_BYTES_MAX}.")
    return manifest
