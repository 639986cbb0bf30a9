"""Reading a job's log back from this disk, line by line, as it grows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import trio

from p2p.core.limits import ENGINE_RETRY_MAX_S, LOG_BATCH_MAX_BYTES
from p2p.engine.context import Engine
from p2p.engine.joblog import JobLog, LineSplitter
from p2p.store.engine import JobRow

Item = dict[str, Any]


async def log_items(engine: Engine, job_id: str, *, follow: bool) -> AsyncGenerator[Item, None]:
    """Items ``{"epoch", "lines"}``; with ``follow`` until the log is complete or the job is final.

    Another attempt begins the log anew, with its own epoch. Lines are raw text: clean before showing.
    """
    live = engine.live[job_id]
    epoch = 0
    while True:
        since = live.news.count
        job = await engine.job(job_id)
        if job.epoch == 0 and follow and not job.stage.is_final:
            await live.news.wait(since, ENGINE_RETRY_MAX_S)
            continue
        if job.epoch == epoch:
            return
        epoch = job.epoch
        async for item in _attempt(engine, engine.log(job_id, epoch), job_id, follow=follow):
            yield item


async def _attempt(engine: Engine, log: JobLog, job_id: str, *, follow: bool) -> AsyncGenerator[Item, None]:
    splitter, offset = LineSplitter(), 0
    live = engine.live[job_id]
    while True:
        since = live.log.count
        job = await engine.job(job_id)
        over = not follow or _is_over(job, log.epoch)
        while data := await trio.to_thread.run_sync(_next_block, log, offset):
            offset += len(data)
            for item in _items(log.epoch, list(splitter.feed(data))):
                yield item
        if over:
            for item in _items(log.epoch, list(splitter.rest())):
                yield item
            return
        await live.log.wait(since, _POLL_S)


_POLL_S = 1.0  # for the end of a job whose log rings no more


def _is_over(job: JobRow, epoch: int) -> bool:
    return job.epoch != epoch or job.log_complete or job.stage.is_final


def _next_block(log: JobLog, offset: int) -> bytes:
    return next(log.blocks(offset), b"")


def _items(epoch: int, lines: list[bytes]) -> list[Item]:
    """In pieces that fit a local message, whatever JSON makes of their characters."""
    found: list[Item] = []
    room = 0
    for line in lines:
        if room < len(line) or not found:
            found.append({"epoch": epoch, "lines": []})
            room = LOG_BATCH_MAX_BYTES
        found[-1]["lines"].append(line.decode("utf-8", "replace"))
        room -= len(line) + 1
    return found
