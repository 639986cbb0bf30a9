"""Gets a job's inputs onto this node: from the buyer's engine, checked against the root that the job names.

Everything here may be done again from the start after a crash: chunks that arrived are in the chunk store,
and the input folder is put together anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import DISK_RESERVE_BYTES, ENGINE_RETRY_MAX_S, GIB, RECONNECT_FIRST_S, STAGING_MAX_S
from p2p.core.manifest import Manifest, make_manifest
from p2p.core.messages.nodes import Assignment
from p2p.core.messages.transfer import ManifestReply, ManifestRequest, Side
from p2p.net.bulk import ChunkRef, pull_chunks
from p2p.net.peer import Peer
from p2p.node.chunk_store import ChunkStore, DamagedChunks
from p2p.node.transfer import StoreSink
from p2p.node.url_fetch import FetchLimits, fetch_url, file_name
from p2p.wire.codec import decode, encode

REQUIREMENTS_FILE = "requirements.txt"
DATA_FOLDER = "data"
_DAMAGE_ROUNDS_MAX = 3
_FOLDER_MODE = 0o755  # the job's own user has to read it


@dataclass(slots=True)
class Progress:
    """How far the staging of a job is, in bytes."""

    done_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Staging:
    """What staging a job needs of the node."""

    peer: Peer
    chunks: ChunkStore
    clock: Clock
    url_limits: FetchLimits

    async def stage(self, job: Assignment, folder: Path, progress: Progress, accepted_at_s: float) -> None:
        """Fill ``folder`` with the job's inputs; waits for an engine that is away.

        All of it takes at most ``STAGING_MAX_S``: it is not paid, and the escrow's deadline counts on it.

        :raises UserError: the inputs are not what the job says, or did not come in time.
        :raises EnvironmentFailure: ``disk_full`` and other trouble of this node.
        """
        until_s = accepted_at_s + STAGING_MAX_S
        with trio.move_on_after(max(0.0, until_s - self.clock.now_s())):
            manifest = await self._fetch(job, progress, until_s)
            await trio.to_thread.run_sync(_make_folder, folder)
            await self._assemble(job, manifest, folder, progress, until_s)
            if job.spec.data_url:
                await self._fetch_data(job, folder / DATA_FOLDER, progress)
            return
        raise _too_slow(progress)

    async def _fetch(self, job: Assignment, progress: Progress, until_s: float) -> Manifest:
        """Bring every chunk into the store, asking again as long as the engine may come back."""
        wait_s = RECONNECT_FIRST_S
        while True:
            done_before = progress.done_bytes
            try:
                return await self._fetch_once(job, progress)
            except EnvironmentFailure as error:
                if not error.retryable or error.code == "disk_full":
                    raise
                if self.clock.now_s() + wait_s > until_s:
                    raise _engine_away(error) from error
            wait_s = RECONNECT_FIRST_S if progress.done_bytes > done_before else wait_s
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, ENGINE_RETRY_MAX_S)

    async def _fetch_once(self, job: Assignment, progress: Progress) -> Manifest:
        request = ManifestRequest(job.job_id, job.epoch, Side.INPUTS)
        raw = await self.peer.call(
            job.engine_peer_id, "files.manifest", encode(request), addrs=job.engine_addresses
        )
        reply = decode(ManifestReply, raw)
        manifest = check_inputs(job, reply.manifest)
        with self.chunks.pinned(manifest):
            missing = await trio.to_thread.run_sync(self.chunks.missing, manifest)
            missing_bytes = sum(ref.size_bytes for ref in missing)
            await trio.to_thread.run_sync(self._make_room, job, missing_bytes)
            progress.total_bytes = manifest.size_bytes
            progress.done_bytes = manifest.size_bytes - missing_bytes
            if missing:
                sink = StoreSink(self.chunks, _adder(progress))
                wanted = [ChunkRef(ref.hash, ref.size_bytes) for ref in missing]
                await pull_chunks(
                    self.peer, job.engine_peer_id, reply.grant, wanted, sink, addrs=job.engine_addresses
                )
        return manifest

    def _make_room(self, job: Assignment, missing_bytes: int) -> None:
        """Refuse what cannot fit: the chunks still to come, the assembled copy, and the reserve."""
        folder = self.chunks.folder
        needed = missing_bytes + job.spec.input_bytes + DISK_RESERVE_BYTES
        if shutil.disk_usage(folder).free < needed:
            self.chunks.trim(0)
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise EnvironmentFailure(
                "disk_full",
                f"The inputs need {needed / GIB:.1f} GiB on the node, and {free / GIB:.1f} GiB are free.",
                "The script was not started.",
                "Free some space on the node's disk.",
            )

    async def _assemble(
        self, job: Assignment, manifest: Manifest, folder: Path, progress: Progress, until_s: float
    ) -> None:
        for _ in range(_DAMAGE_ROUNDS_MAX):
            with self.chunks.pinned(manifest):
                try:
                    await trio.to_thread.run_sync(self._write_files, manifest, folder)
                except DamagedChunks:
                    pass  # dropped; what is missing now comes again
                else:
                    return
            await self._fetch(job, progress, until_s)
        raise EnvironmentFailure(
            "disk_damaged",
            "Data that the node had stored came back wrong from its disk.",
            "The script was not started.",
            "The node's owner should check the disk.",
            retryable=False,
        )

    def _write_files(self, manifest: Manifest, folder: Path) -> None:
        for entry in manifest.files:
            self.chunks.assemble(entry, folder / entry.path, folder)

    async def _fetch_data(self, job: Assignment, folder: Path, progress: Progress) -> None:
        target = folder / file_name(job.spec.data_url)
        await trio.to_thread.run_sync(_ensure_folder, folder)
        if target.exists():
            raise UserError(
                "input_mismatch",
                f"The job's data holds {target.name!r}, and its data URL gives a file of the same name.",
                "The script was not started.",
                "Rename one of them.",
            )
        before_done, before_total = progress.done_bytes, progress.total_bytes

        def on_bytes(done_bytes: int, size_bytes: int | None) -> None:
            progress.done_bytes = before_done + done_bytes
            progress.total_bytes = before_total + (size_bytes or done_bytes)

        await fetch_url(job.spec.data_url, target, job.spec.data_sha256, self.url_limits, on_bytes)
        os.chmod(target, 0o644)


def check_inputs(job: Assignment, encoded: bytes) -> Manifest:
    """The engine's manifest, if it is the one that the job was quoted for.

    :raises UserError: ``input_mismatch``, ``bad_manifest`` and the like.
    """
    manifest = make_manifest(list(decode(Manifest, encoded).files))
    spec = job.spec
    paths = {entry.path for entry in manifest.files}
    if manifest.root() != spec.input_root:
        raise _mismatch("they have another root hash")
    if (manifest.size_bytes, len(manifest.files)) != (spec.input_bytes, spec.input_files):
        raise _mismatch("they have another size or number")
    if spec.script not in paths:
        raise _mismatch("the script is not among them")
    if spec.has_requirements != (REQUIREMENTS_FILE in paths):
        raise _mismatch("requirements.txt is missing or was not announced")
    return manifest


def _mismatch(how: str) -> UserError:
    return UserError(
        "input_mismatch",
        f"The files that the buyer's engine offers are not the ones that the job names: {how}.",
        "The script was not started.",
        "Leave the job's files alone until it runs; submit it again.",
    )


def _engine_away(error: EnvironmentFailure) -> UserError:
    return UserError(
        "engine_away",
        f"The buyer's engine could not be reached for {STAGING_MAX_S / 60:.0f} minutes: {error.what}",
        "Without the job's files the script could not be started.",
        "Keep the engine running, and reachable, until the job runs.",
    )


def _too_slow(progress: Progress) -> UserError:
    come, wanted = progress.done_bytes / GIB, progress.total_bytes / GIB
    return UserError(
        "inputs_late",
        f"Only {come:.1f} of {wanted:.1f} GiB of inputs came within {STAGING_MAX_S / 60:.0f} minutes.",
        "Without the job's files the script could not be started.",
        "Use a faster connection, or give the data as a URL.",
    )


def _adder(progress: Progress) -> Callable[[int], None]:
    def add(size_bytes: int) -> None:
        progress.done_bytes += size_bytes

    return add


def _make_folder(folder: Path) -> None:
    """An empty folder that the job's user can read."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(_FOLDER_MODE)


def _ensure_folder(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(_FOLDER_MODE)
