"""What the engine answers to nodes: the manifest of a job's inputs, to the node that holds the job."""

from __future__ import annotations

import os
from pathlib import Path

from p2p.core.errors import Refused
from p2p.core.manifest import Manifest
from p2p.core.messages.transfer import ManifestReply, ManifestRequest, Side
from p2p.engine.context import Engine, spec_of, view_of
from p2p.engine.live import Direction, Transfer
from p2p.net.bulk import BulkServer
from p2p.net.peer import Call
from p2p.store.engine import JobRow
from p2p.store.stages import Stage
from p2p.wire.codec import decode, encode

_SERVED = (Stage.OPENED, Stage.FOLLOWING)


async def attach(engine: Engine) -> None:
    """Serve on the engine's peer: also nodes that had begun to fetch before the engine was started again."""
    for job in await engine.tables.unfinished():
        view = view_of(job)
        if job.stage in _SERVED and view is not None and view.state.is_leased and view.node_peer_id:
            await _grant(engine, job, view.node_peer_id)

    async def manifest(call: Call) -> bytes:
        return await _manifest(engine, call)

    engine.peer.serve("files.manifest", manifest)
    BulkServer(engine.peer, engine.source)


async def _manifest(engine: Engine, call: Call) -> bytes:
    """``files.manifest``: only for the peer that the coordinator named as the job's node, now."""
    request = decode(ManifestRequest, call.payload)
    job = await engine.tables.job(request.job_id)
    if job is None or request.side is not Side.INPUTS:
        raise _not_yours()
    if not await _is_holder(engine, job, call.peer_id, request.epoch):
        raise _not_yours()
    grant = await _grant(engine, job, call.peer_id)
    live = engine.live[job.job_id]
    live.transfer = Transfer(Direction.UP, 0, spec_of(job).input_bytes)
    live.news.ring()
    return encode(ManifestReply(await engine.tables.manifest(job.job_id), grant))


async def _grant(engine: Engine, job: JobRow, peer_id: str) -> str:
    files = await engine.tables.input_files(job.job_id)
    sources = {file.path: Path(os.fsdecode(file.source)) for file in files}
    manifest = decode(Manifest, await engine.tables.manifest(job.job_id))
    return engine.source.grant(job.job_id, peer_id, manifest, sources)


async def _is_holder(engine: Engine, job: JobRow, peer_id: str, epoch: int) -> bool:
    """Asks the coordinator when what is known here does not fit: the node may have heard first."""
    if job.stage not in _SERVED:
        return False
    view = view_of(job)
    for asked in (False, True):
        if asked:
            view = await engine.refresh(job.job_id)
        if view is not None and (view.node_peer_id, view.epoch) == (peer_id, epoch) and view.state.is_leased:
            return True
    return False


def _not_yours() -> Refused:
    return Refused(
        "not_your_job",
        "This engine has no such job for this node.",
        "Nothing was sent.",
        "The job may have gone to another node.",
    )
