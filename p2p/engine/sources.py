"""Serving a job's inputs to the node that holds it, and to nobody else.

Data are served from where they lie. Each chunk is hashed again as it is read, so that a file which has
changed since it was packaged is noticed here, named, and never sent.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from p2p.core.errors import Refused, UserError
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import Manifest

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a chunk lies: a file, an offset, a length, and the file's name in the manifest."""

    source: Path
    offset: int
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class _Grant:
    job_id: str
    peer_id: str
    places: dict[bytes, _Place]


class InputSource:
    """The chunks of all jobs that are served now. Methods may be called from any thread.

    The name of a grant follows from ``secret``, job and peer, so that an engine which was started again
    gives the same, and a node goes on with what it has.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or os.urandom(32)
        self._lock = threading.Lock()
        self._grants: dict[str, _Grant] = {}
        self._changed: dict[str, UserError] = {}
        self._served_bytes: dict[str, int] = {}

    def grant(self, job_id: str, peer_id: str, manifest: Manifest, sources: Mapping[str, Path]) -> str:
        """Let ``peer_id`` read the job's chunks; earlier grants of the job end. Returns the grant's name."""
        places: dict[bytes, _Place] = {}
        for entry in manifest.files:
            for index, ref in enumerate(entry.refs()):
                place = _Place(sources[entry.path], index * CHUNK_BYTES, ref.size_bytes, entry.path)
                places.setdefault(ref.hash, place)
        name = hmac.digest(self._secret, f"{job_id} {peer_id}".encode(), "sha256").hex()
        with self._lock:
            self._drop(job_id)
            self._grants[name] = _Grant(job_id, peer_id, places)
            self._served_bytes.setdefault(job_id, 0)
        return name

    def revoke(self, job_id: str) -> None:
        """Serve nothing of the job any more."""
        with self._lock:
            self._drop(job_id)
            self._served_bytes.pop(job_id, None)
            self._changed.pop(job_id, None)

    def served_bytes(self, job_id: str) -> int:
        """How much of the job was read by its node so far."""
        with self._lock:
            return self._served_bytes.get(job_id, 0)

    def changed(self, job_id: str) -> UserError | None:
        """Which input of the job was found changed, if any was; with its full path, for the buyer only."""
        with self._lock:
            return self._changed.get(job_id)

    # -- p2p.net.bulk.ChunkSource

    def authorise(self, peer_id: str, grant: str) -> None:
        """:raises Refused: the grant is not this peer's."""
        self._find(grant, peer_id)

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        """Copy a chunk into ``into``; its size.

        :raises UserError: ``input_changed`` or ``no_chunk``.
        """
        found = self._find(grant)
        place = found.places.get(chunk_hash)
        if place is None:
            raise UserError("no_chunk", "The job has no such chunk.")
        try:
            size = _read(place, into)
        except OSError as error:
            raise self._note_change(found, place, error.strerror or str(error)) from None
        if size != place.size_bytes or sha256(into[:size]).digest() != chunk_hash:
            raise self._note_change(found, place, "it is not what it was")
        with self._lock:
            if found.job_id in self._served_bytes:
                self._served_bytes[found.job_id] += size
        return size

    def _find(self, grant: str, peer_id: str | None = None) -> _Grant:
        with self._lock:
            found = self._grants.get(grant)
        if found is None or (peer_id is not None and found.peer_id != peer_id):
            raise Refused(
                "no_grant",
                "There is no such grant for this peer.",
                "Nothing was sent.",
                "Ask for the manifest again.",
            )
        return found

    def _drop(self, job_id: str) -> None:
        for name in [name for name, grant in self._grants.items() if grant.job_id == job_id]:
            del self._grants[name]

    def _note_change(self, grant: _Grant, place: _Place, why: str) -> UserError:
        hint = "Submit the job again; its inputs have to stay as they are until the node has fetched them."
        with self._lock:
            self._changed[grant.job_id] = UserError(
                "input_changed",
                f"{place.source} changed after the job was submitted ({why}).",
                "The node cannot fetch the inputs that were agreed; the job fails and is refunded.",
                hint,
            )
        # The node learns the file's name in the job, not where it lies on the buyer's machine.
        return UserError(
            "input_changed",
            f"{place.path} changed at the buyer after the job was submitted.",
            "The inputs that were agreed cannot be fetched.",
            hint,
        )


def _read(place: _Place, into: memoryview) -> int:
    descriptor = os.open(place.source, _OPEN_FLAGS)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        file.seek(place.offset)
        filled = 0
        while filled < place.size_bytes and (count := file.readinto(into[filled : place.size_bytes])):
            filled += count
        return filled
