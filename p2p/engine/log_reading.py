"""A job's log as a stream of lines: what is on this disk, then what comes; or backwards from its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import trio

from p2p.core.limits import ENGINE_RETRY_MAX_S, LOG_BATCH_MAX_BYTES, LOG_LINE_MAX_BYTES
from p2p.engine.context import Engine
from p2p.engine.joblog import JobLog, LineSplitter
from p2p.engine.parameters import Params, count_of
from p2p.store.engine import JobRow

Item = dict[str, Any]

_BLOCK_BYTES = LOG_BATCH_MAX_BYTES - LOG_LINE_MAX_BYTES  # and the beginning of a line: one local message
_POLL_S = 1.0  # for the end of a job whose log rings no more


async def log_items(
    engine: Engine, job_id: str, *, follow: bool, epoch: int = 0, offset: int = 0
) -> AsyncGenerator[Item, None]:
    """Items ``{"epoch", "offset", "lines"}``; with ``follow`` until the log is complete or the job is final.

    ``offset`` is where in the log the lines end, and where to begin again: the ``offset`` that is asked for
    counts for the attempt ``epoch``. Another attempt begins the log anew, with its own epoch. Lines are raw
    text: clean before showing.
    """
    live = engine.live[job_id]
    shown = 0
    while True:
        since = live.news.count
        job = await engine.job(job_id)
        if job.epoch == 0 and follow and not job.stage.is_final:
            await live.news.wait(since, ENGINE_RETRY_MAX_S)
            continue
        if job.epoch == shown:
            return
        shown = job.epoch
        start = offset if shown == epoch else 0
        async for item in _attempt(engine, engine.log(job_id, shown), job_id, start, follow=follow):
            yield item


async def _attempt(
    engine: Engine, log: JobLog, job_id: str, offset: int, *, follow: bool
) -> AsyncGenerator[Item, None]:
    splitter = LineSplitter()
    live = engine.live[job_id]
    while True:
        since = live.log.count
        job = await engine.job(job_id)
        over = not follow or _is_over(job, log.epoch)
        while data := await trio.to_thread.run_sync(log.read, offset, _BLOCK_BYTES):
            offset += len(data)
            if lines := list(splitter.feed(data)):
                yield _item(log.epoch, offset - splitter.pending, lines)
        if over:
            if lines := list(splitter.rest()):
                yield _item(log.epoch, offset, lines)
            return
        await live.log.wait(since, _POLL_S)


async def lines_before(engine: Engine, job: JobRow, params: Params) -> Params:
    """``log_before``: the lines that end at byte ``before``, or at the end of what is here; as many as fit.

    A line that is longer than a line may be is cut, and not at the places where the stream cuts it.
    """
    log = engine.log(job.job_id, job.epoch)
    size = await trio.to_thread.run_sync(log.size_bytes)
    end = count_of(params, "before", size, size)
    if params.get("epoch") not in (None, job.epoch):
        end = size
    start = max(0, end - _BLOCK_BYTES)
    data = (await trio.to_thread.run_sync(log.read, start, end - start))[: end - start]
    if start > 0 and (cut := data.find(b"\n")) >= 0 and cut + 1 < len(data):
        start, data = start + cut + 1, data[cut + 1 :]
    splitter = LineSplitter()
    lines = list(splitter.feed(data))
    if end == size and not job.log_complete:
        end -= splitter.pending  # its rest is still to come: whoever goes on from here gets it whole
    else:
        lines += splitter.rest()
    return {
        **_item(job.epoch, end, lines),
        "start": start,
        "size": size,
        "complete": job.log_complete,
    }


def _is_over(job: JobRow, epoch: int) -> bool:
    return job.epoch != epoch or job.log_complete or job.stage.is_final


def _item(epoch: int, offset: int, lines: list[bytes]) -> Item:
    return {"epoch": epoch, "offset": offset, "lines": [line.decode("utf-8", "replace") for line in lines]}
