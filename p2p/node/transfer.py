"""Between the node's files and bulk transfer: inputs come into the chunk store, outputs go to their buyer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import ChunkRef, FileEntry, Manifest
from p2p.node.chunk_store import ChunkStore


class StoreSink:
    """A :class:`p2p.net.bulk.ChunkSink` into a chunk store."""

    def __init__(self, store: ChunkStore, on_bytes: Callable[[int], None]) -> None:
        self._store = store
        self._on_bytes = on_bytes

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        """Keep a chunk, whose hash was verified on the way."""
        self._store.put(ChunkRef(chunk_hash, len(data)), data, verified=True)
        self._on_bytes(len(data))


@dataclass(frozen=True, slots=True)
class _Location:
    path: Path
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Released:
    peer_id: str
    chunks: dict[bytes, _Location]


class OutputSource:
    """A :class:`p2p.net.bulk.ChunkSource` of outputs: all of a job for its engine, and single chunks for
    the coordinator in a dispute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released: dict[str, _Released] = {}

    def release(self, job_id: str, epoch: int, engine_peer_id: str, folder: Path, manifest: Manifest) -> str:
        """Let ``engine_peer_id`` have the files of ``manifest`` in ``folder``; the grant to ask with."""
        chunks: dict[bytes, _Location] = {}
        for entry in manifest.files:
            offset = 0
            for ref in entry.refs():
                chunks.setdefault(ref.hash, _Location(folder / entry.path, offset, ref.size_bytes))
                offset += ref.size_bytes
        grant = _grant(job_id, epoch)
        with self._lock:
            self._released[grant] = _Released(engine_peer_id, chunks)
        return grant

    def release_chunk(
        self, job_id: str, epoch: int, peer_id: str, folder: Path, entry: FileEntry, index: int
    ) -> str:
        """Let ``peer_id`` have one chunk, as a proof, beside those that it was let have before."""
        ref = list(entry.refs())[index]
        location = _Location(folder / entry.path, index * CHUNK_BYTES, ref.size_bytes)
        grant = _proof_grant(job_id, epoch)
        with self._lock:
            known = self._released.get(grant)
            chunks = known.chunks if known is not None and known.peer_id == peer_id else {}
            self._released[grant] = _Released(peer_id, {**chunks, ref.hash: location})
        return grant

    def withdraw(self, job_id: str, epoch: int) -> None:
        """Nobody gets these outputs any more."""
        with self._lock:
            self._released.pop(_grant(job_id, epoch), None)
            self._released.pop(_proof_grant(job_id, epoch), None)

    def authorise(self, peer_id: str, grant: str) -> None:
        """:raises Refused: ``not_granted``."""
        with self._lock:
            released = self._released.get(grant)
        if released is None or released.peer_id != peer_id:
            raise _not_granted()

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        """Copy a chunk of a released output.

        :raises Refused: ``not_granted``: the outputs were withdrawn meanwhile.
        :raises UserError: ``no_such_chunk``.
        :raises EnvironmentFailure: ``outputs_damaged``: the file is not what it was.
        """
        with self._lock:
            released = self._released.get(grant)
        if released is None:
            raise _not_granted()
        found = released.chunks.get(chunk_hash)
        if found is None:
            raise UserError("no_such_chunk", f"The job's outputs have no chunk {chunk_hash.hex()[:16]}.")
        try:
            descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                file.seek(found.offset)
                done = 0
                while done < found.size_bytes and (got := file.readinto(into[done : found.size_bytes])):
                    done += got
        except OSError as error:
            raise _damaged(error.strerror or str(error)) from error
        if done != found.size_bytes:
            raise _damaged("it is shorter than it was")
        return done


def _grant(job_id: str, epoch: int) -> str:
    return f"outputs:{job_id}:{epoch}"


def _proof_grant(job_id: str, epoch: int) -> str:
    return f"proof:{job_id}:{epoch}"


def _not_granted() -> Refused:
    return Refused(
        "not_granted",
        "These files are not released to this peer.",
        "A job's outputs go only to the engine that sent the job, and only after it succeeded.",
    )


def _damaged(why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "outputs_damaged",
        f"An output file of the job cannot be read on the node: {why}.",
        "The results cannot be delivered whole.",
        "The node's owner should check the disk.",
        retryable=False,
    )
