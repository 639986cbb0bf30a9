"""Input chunks by their hash: what arrives is kept here, and what is here is not fetched again.

One file per chunk. A chunk's bytes are hashed when they come in and again whenever they are used, so a
chunk that a crash or a bad disk has damaged is noticed, dropped and fetched again; that is why nothing
here is synced. The methods block: they are called in worker threads.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import ChunkRef, FileEntry, Manifest

_DIR_MODE = 0o700


class DamagedChunks(Exception):
    """Chunks that should be here are not, or are not what their name says; they were dropped."""

    def __init__(self, refs: tuple[ChunkRef, ...]) -> None:
        super().__init__(f"{len(refs)} chunks are missing or damaged")
        self.refs = refs


class ChunkStore:
    """A folder of chunks, shared by all jobs of the node; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=_DIR_MODE)
        self.folder = folder
        self._lock = threading.Lock()
        self._counter = 0
        self._pins: Counter[bytes] = Counter()

    @contextmanager
    def pinned(self, manifest: Manifest) -> Iterator[None]:
        """Keep the chunks of ``manifest`` from being trimmed away meanwhile."""
        names = {digest for entry in manifest.files for digest in entry.chunks}
        with self._lock:
            self._pins.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._pins.subtract(names)

    def has(self, ref: ChunkRef) -> bool:
        """Whether a chunk of that name and length is here; its bytes are checked when they are used."""
        try:
            return self._path(ref.hash).stat().st_size == ref.size_bytes
        except FileNotFoundError:
            return False

    def missing(self, manifest: Manifest) -> tuple[ChunkRef, ...]:
        """The chunks of ``manifest`` that are not here, each once, in the order of the files."""
        wanted = {ref.hash: ref for entry in manifest.files for ref in entry.refs()}
        return tuple(ref for ref in wanted.values() if not self.has(ref))

    def put(self, ref: ChunkRef, data: bytes | memoryview, *, verified: bool = False) -> None:
        """Keep a chunk. ``verified``: the caller has just compared its hash.

        :raises ValueError: the bytes are not what ``ref`` says.
        :raises EnvironmentFailure: ``disk_full``.
        """
        if len(data) != ref.size_bytes or not (verified or sha256(data).digest() == ref.hash):
            raise ValueError(f"chunk {ref.hash.hex()[:16]} does not match its hash")
        path = self._path(ref.hash)
        temporary = path.with_name(f"{path.name}.{self._next()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=_DIR_MODE)
            with temporary.open("xb") as file:
                file.write(data)
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise disk_full(error) from error

    def assemble(self, entry: FileEntry, target: Path, top: Path) -> None:
        """Write the file that ``entry`` describes to ``target`` below ``top``; every chunk is checked.

        Files and folders become readable for everybody on this machine who may enter ``top``.

        :raises DamagedChunks: some have to be fetched again; there is no ``target`` then.
        :raises EnvironmentFailure: ``disk_full``.
        """
        damaged: list[ChunkRef] = []
        try:
            for parent in reversed(target.relative_to(top).parents[:-1]):
                (top / parent).mkdir(exist_ok=True)
                (top / parent).chmod(0o755)
            target.unlink(missing_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)
                for ref in entry.refs():
                    data = self._take(ref)
                    if data is None:
                        damaged.append(ref)
                    elif not damaged:
                        file.write(data)
        except OSError as error:
            raise disk_full(error) from error
        if damaged:
            target.unlink(missing_ok=True)
            raise DamagedChunks(tuple(damaged))

    def trim(self, size_max_bytes: int) -> int:
        """Drop the chunks that were not used for longest until the rest fits; returns bytes dropped.

        Pinned chunks stay, and so do files that are being written.
        """
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("??/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if len(path.name) == sha256().digest_size * 2:
                found.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in found) - size_max_bytes
        dropped = 0
        for _, size, path in sorted(found):
            if dropped >= excess:
                break
            if self._pins[bytes.fromhex(path.name)] <= 0:
                path.unlink(missing_ok=True)
                dropped += size
        return dropped

    def drop_partial(self) -> None:
        """Remove what a crash left half written. Only at start, before anything is fetched."""
        for path in self.folder.glob("??/*.partial"):
            path.unlink(missing_ok=True)

    def _take(self, ref: ChunkRef) -> bytes | None:
        """The chunk's verified bytes, marked as used just now; None after dropping what is not it."""
        path = self._path(ref.hash)
        try:
            with path.open("rb") as file:
                data = file.read(CHUNK_BYTES + 1)
            if len(data) == ref.size_bytes and sha256(data).digest() == ref.hash:
                os.utime(path)
                return data
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        return None

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.folder / name[:2] / name

    def _next(self) -> str:
        with self._lock:
            self._counter += 1
            return f"{os.getpid()}-{self._counter}"


def disk_full(error: OSError) -> EnvironmentFailure:
    """The error for inputs that cannot be written."""
    return EnvironmentFailure(
        "disk_full",
        f"The node cannot store the job's inputs: {error.strerror or error}.",
        "The script was not started.",
        "Free some space on the node's disk.",
    )
