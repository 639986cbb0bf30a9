"""What a job's container uses over time: asked of its node, kept in the job's own folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import trio

from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.limits import USAGE_CALL_TIMEOUT_S, USAGE_SAMPLES_MAX, USAGE_SAMPLES_PER_REPLY_MAX
from p2p.core.messages.jobs import JobView
from p2p.core.messages.usage import UsageReply, UsageRequest, UsageSample
from p2p.engine.context import Engine, view_of
from p2p.engine.parameters import Params, count_of
from p2p.local.protocol import error_to_json
from p2p.store.engine import JobRow
from p2p.store.samples import SampleFile
from p2p.wire.codec import decode, encode


async def read_usage(engine: Engine, job: JobRow, params: Params) -> Params:
    """``usage``: the samples after the first ``after`` of an attempt, after a look at its node.

    With another ``epoch`` than the job's, which is another attempt, from the first.
    """
    view = view_of(job)
    epoch = view.epoch if view is not None else 0
    after = count_of(params, "after", 0, USAGE_SAMPLES_MAX)
    if params.get("epoch") not in (None, epoch):
        after = 0
    file, live = _file(engine, job.job_id, epoch), engine.live[job.job_id]
    problem: CyxWizError | None = None
    if view is not None and view.node_peer_id:
        try:
            await collect_usage(engine, view)
        except CyxWizError as error:
            problem = error
    samples = await trio.to_thread.run_sync(file.read, after, USAGE_SAMPLES_PER_REPLY_MAX)
    count = await trio.to_thread.run_sync(file.count)
    shown = after + len(samples)
    return {
        "job_id": job.job_id,
        "epoch": epoch,
        "after": shown,
        "more": shown < count,
        "complete": shown == count and live.usage_ended == epoch > 0,
        "cpus": live.usage_limits[0] if live.usage_limits else None,
        "memory_limit_bytes": live.usage_limits[1] if live.usage_limits else None,
        "problem": None if problem is None else error_to_json(problem),
        "samples": [asdict(sample) for sample in samples],
    }


async def collect_usage(engine: Engine, view: JobView) -> None:
    """Have everything here that the node has of the attempt.

    :raises CyxWizError: the node is away, or has it no more; what is here stays.
    """
    live, file = engine.live[view.job_id], _file(engine, view.job_id, view.epoch)
    async with live.usage_lock:
        while live.usage_ended != view.epoch:
            count = await trio.to_thread.run_sync(file.count)
            reply = await _ask(engine, view, count)
            fresh = reply.samples[:USAGE_SAMPLES_PER_REPLY_MAX]
            if not _is_sane(reply):
                raise UserError("bad_message", "The node says of its container what cannot be.")
            await trio.to_thread.run_sync(_add, file, fresh)
            live.usage_limits = reply.cpus, reply.memory_bytes
            if reply.ended and not reply.more:
                live.usage_ended = view.epoch
            if not reply.more or not fresh or count + len(fresh) >= USAGE_SAMPLES_MAX:
                return


async def _ask(engine: Engine, view: JobView, after: int) -> UsageReply:
    request = encode(UsageRequest(view.job_id, view.epoch, after))
    raw = await engine.peer.call(
        view.node_peer_id,
        "job.usage",
        request,
        addrs=view.node_addresses,
        timeout_s=USAGE_CALL_TIMEOUT_S,
    )
    return decode(UsageReply, raw)


def _add(file: SampleFile, samples: Sequence[UsageSample]) -> None:
    try:
        file.add(samples)
    except OSError as error:
        raise EnvironmentFailure("disk_failed", f"Samples cannot be kept: {error.strerror}.") from error


def _is_sane(reply: UsageReply) -> bool:
    """A stranger's numbers: what no plot could show is not kept."""
    numbers: list[float] = [reply.cpus, reply.memory_bytes]
    for sample in reply.samples:
        numbers += (value for value in asdict(sample).values() if value is not None)
    return all(math.isfinite(number) and 0 <= number < 2**53 for number in numbers)


def _file(engine: Engine, job_id: str, epoch: int) -> SampleFile:
    return SampleFile(engine.folder(job_id) / f"usage.{epoch}")
