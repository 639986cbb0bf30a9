"""Results on their way into the buyer's folder: verified chunk by chunk, complete or not there at all.

Everything is put together in a folder beside the target, which is renamed into place as the last step.
File names come from a stranger and were checked by :func:`p2p.core.manifest.make_manifest`; no link in the
folder is ever followed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from p2p.core.errors import UserError
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import ChunkRef, FileEntry, Manifest
from p2p.engine.joblog import disk_failure

OUTPUTS = "outputs"
STATEMENT = "statement.json"
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class ResultFolder:
    """The folder of one job's results, while it is filled. Methods block and may be called in threads."""

    def __init__(self, out: Path, job_id: str, manifest: Manifest) -> None:
        self.out = out
        self.job_id = job_id
        self.partial = partial_folder(out, job_id)
        self._manifest = manifest
        self._places: dict[bytes, list[tuple[FileEntry, int, int]]] = defaultdict(list)
        for entry in manifest.files:
            for index, ref in enumerate(entry.refs()):
                self._places[ref.hash].append((entry, index * CHUNK_BYTES, ref.size_bytes))
        self._lock = threading.Lock()

    def prepare(self) -> tuple[ChunkRef, ...]:
        """Make every file in its full size; the chunks that are not there yet, each once.

        What an earlier try left is hashed again, so that a torn write is noticed.

        :raises EnvironmentFailure: ``disk_full`` and the like.
        :raises UserError: the target holds something else.
        """
        check_out_folder(self.out, self.job_id)
        missing: dict[bytes, ChunkRef] = {}
        try:
            if not self.partial.exists() and _job_in(self.out) == self.job_id:
                os.rename(self.out, self.partial)  # a former try ended between its last two steps
            (self.partial / OUTPUTS).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._remove_strangers()
            for entry in self._manifest.files:
                for ref in self._prepare_file(entry):
                    missing[ref.hash] = ref
        except OSError as error:
            raise disk_failure(self.partial, error) from error
        self._check_space(sum(ref.size_bytes for ref in missing.values()))
        return tuple(missing.values())

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        """Put a verified chunk everywhere it belongs (:class:`p2p.net.bulk.ChunkSink`)."""
        try:
            for entry, offset, _ in self._places[chunk_hash]:
                with self._lock, self._open(entry, os.O_WRONLY) as descriptor:
                    os.lseek(descriptor, offset, os.SEEK_SET)
                    written = 0
                    while written < len(data):
                        written += os.write(descriptor, data[written:])
        except OSError as error:
            raise disk_failure(self.partial, error) from error

    def finish(self, files: Mapping[str, bytes], log: Path | None) -> None:
        """Add ``files`` (by name) and the log, make all of it durable, and rename it into place.

        :raises EnvironmentFailure: ``disk_full`` and the like; nothing has changed then.
        :raises UserError: the target holds something else by now.
        """
        check_out_folder(self.out, self.job_id)
        try:
            for name, body in files.items():
                (self.partial / name).write_bytes(body)
            if log is not None and log.exists():
                shutil.copyfile(log, self.partial / "log.txt")
            else:
                (self.partial / "log.txt").write_bytes(b"")
            _sync_tree(self.partial)
            _swap_in(self.partial, self.out)
        except OSError as error:
            raise disk_failure(self.out, error) from error

    def _prepare_file(self, entry: FileEntry) -> list[ChunkRef]:
        path = self._path(entry)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not path.exists()
        with self._open(entry, os.O_RDWR | os.O_CREAT) as descriptor:
            os.ftruncate(descriptor, entry.size_bytes)
            if fresh:
                return list(entry.refs())
            return [ref for ref in entry.refs() if sha256(_read(descriptor, ref)).digest() != ref.hash]

    def _path(self, entry: FileEntry) -> Path:
        return self.partial / OUTPUTS / entry.path

    def _open(self, entry: FileEntry, flags: int) -> _Descriptor:
        return _Descriptor(os.open(self._path(entry), flags | _FLAGS, 0o600))

    def _remove_strangers(self) -> None:
        """Whatever lies here that the manifest does not name, such as another attempt's outputs."""
        named = {self._path(entry) for entry in self._manifest.files}
        folders = {parent for path in named for parent in path.parents}
        for path in sorted((self.partial / OUTPUTS).rglob("*"), reverse=True):
            if path.is_symlink() or (path not in named and not path.is_dir()):
                path.unlink()
            elif path.is_dir() and (path in named or path not in folders):
                shutil.rmtree(path)

    def _check_space(self, needed_bytes: int) -> None:
        free = shutil.disk_usage(self.partial).free
        if needed_bytes > free:
            raise disk_failure(
                self.partial, OSError(errno.ENOSPC, f"{needed_bytes} bytes are needed, {free} are free")
            )


class _Descriptor:
    """A file descriptor that is closed at the end of a block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def partial_folder(out: Path, job_id: str) -> Path:
    """Where results are put together: beside ``out``, so that a rename is enough."""
    return out.parent / f".{out.name}.{job_id[:8]}.partial"


def check_out_folder(out: Path, job_id: str = "") -> None:
    """Whether results may be written to ``out``: it is not there, or empty, or holds this very job's.

    :raises UserError: ``out_not_empty`` or ``bad_out``.
    """
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise UserError(
                "bad_out",
                f"{out} is not a folder.",
                "Results are never written over other files.",
                "Name another folder with --out.",
            )
        if not out.exists() or not any(out.iterdir()) or (job_id and _job_in(out) == job_id):
            _check_writable(_first_existing(out.parent))
            return
    except OSError as error:
        raise UserError(
            "bad_out", f"{out} cannot be used: {error.strerror or error}.", hint="Name another with --out."
        ) from None
    raise UserError(
        "out_not_empty",
        f"{out} is not empty.",
        "Results are never written over other files.",
        "Name another folder with --out.",
    )


def remove_partial(out: Path, job_id: str) -> None:
    """Throw away what was put together for a job that will have no results."""
    shutil.rmtree(partial_folder(out, job_id), ignore_errors=True)


def replace_file(path: Path, body: bytes) -> None:
    """Write a file whole or not at all.

    :raises EnvironmentFailure: the disk does not take it.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise disk_failure(path, error) from error


def _job_in(out: Path) -> str:
    """Whose results lie in a folder; empty if nobody's."""
    try:
        found = json.loads((out / STATEMENT).read_bytes()[:1_000_000])
    except (OSError, ValueError, RecursionError):
        return ""
    return str(found.get("job_id", "")) if isinstance(found, dict) else ""


def _first_existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _check_writable(folder: Path) -> None:
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            "bad_out",
            f"{folder} cannot be written to.",
            "The results would have no place.",
            "Name another folder with --out.",
        )


def _read(descriptor: int, ref: ChunkRef) -> bytes:
    parts, left = [], ref.size_bytes
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


def _sync_tree(folder: Path) -> None:
    for path in _files_below(folder):
        descriptor = os.open(path, os.O_RDWR | _FLAGS)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _swap_in(partial: Path, out: Path) -> None:
    """Rename ``partial`` to ``out``, which is absent, empty, or holds the same job's results."""
    old = partial.with_name(partial.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        os.rename(out, old)
    try:
        os.rename(partial, out)
    except OSError:
        if old.exists():
            os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)
