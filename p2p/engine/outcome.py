"""The results of a job as they lie here: each file with its size, its hash, and whether it still is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import trio

from p2p.core.manifest import FileEntry, Manifest
from p2p.engine.context import Engine, statement_of
from p2p.engine.results import OUTPUTS, replace_file
from p2p.store.engine import JobRow
from p2p.wire.codec import decode, encode

_MANIFEST = "outputs.manifest"

Json = dict[str, Any]


def keep_manifest(folder: Path, manifest: Manifest) -> None:
    """Remember in the job's own folder what its outputs are. Blocks.

    :raises EnvironmentFailure: the disk does not take it.
    """
    replace_file(folder / _MANIFEST, encode(manifest))


async def results(engine: Engine, job: JobRow) -> Json:
    """``results``."""
    statement = statement_of(job)
    files, beside = await trio.to_thread.run_sync(_look, engine.folder(job.job_id), job)
    return {
        "job_id": job.job_id,
        "out": job.out_folder,
        "fetched": job.fetched_at_s is not None,
        "root": None if statement is None else statement[1].output_root.hex(),
        "node_peer_id": None if statement is None else statement[0].signer,
        "files": files,
        "beside": beside,
    }


def _look(folder: Path, job: JobRow) -> tuple[list[Json], list[Json]]:
    if job.fetched_at_s is None:
        return [], []
    try:
        manifest = decode(Manifest, (folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        manifest = Manifest(())
    out = Path(job.out_folder)
    return [_file(out, entry) for entry in manifest.files], _beside(out)


def _file(out: Path, entry: FileEntry) -> Json:
    """Verified when it came; ``state`` says what can be seen of it now without reading it."""
    path = out / OUTPUTS / entry.path
    try:
        size = path.lstat().st_size
    except OSError:
        state = "missing"
    else:
        state = "verified" if size == entry.size_bytes else "changed"
    return {
        "path": f"{OUTPUTS}/{entry.path}",
        "bytes": entry.size_bytes,
        "sha256": entry.chunks[0].hex() if len(entry.chunks) == 1 else None,
        "leaf": entry.leaf_hash().hex(),
        "chunks": len(entry.chunks),
        "state": state,
    }


def _beside(out: Path) -> list[Json]:
    """The files of ours that lie beside the outputs."""
    try:
        with os.scandir(out) as entries:
            found = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
            return [
                {"path": entry.name, "bytes": entry.stat(follow_symlinks=False).st_size}
                for entry in sorted(found, key=lambda entry: entry.name)
                if not entry.name.startswith(".")
            ]
    except OSError:
        return []
