"""Following a job's log from its node: live while it runs, to the end when it has ended."""

from __future__ import annotations

import logging

import trio

from p2p.core.errors import CyxWizError
from p2p.core.limits import (
    ENGINE_RETRY_FIRST_S,
    ENGINE_RETRY_MAX_S,
    LIVE_METRICS_MAX,
    LOG_IDLE_MAX_S,
    OFFSET_TAIL_BYTES,
)
from p2p.core.messages.jobs import JobView
from p2p.core.messages.transfer import LogItem, LogRequest
from p2p.core.metrics import Progress
from p2p.core.states import JobState
from p2p.engine.context import Engine, view_of
from p2p.engine.joblog import JobLog, LineSplitter
from p2p.engine.live import LiveJob
from p2p.engine.metric_reading import metrics_of
from p2p.wire.codec import decode, encode

_LOG = logging.getLogger(__name__)

_BEFORE = (JobState.QUEUED, JobState.ASSIGNED)


async def follow_log(engine: Engine, job_id: str) -> None:
    """Keep the log of the job's current attempt on this disk. Runs until cancelled.

    A node that cannot be reached is tried again, from where the copy ends.
    """
    live = engine.live[job_id]
    wait_s = ENGINE_RETRY_FIRST_S
    while True:
        since = live.news.count, live.log.count
        job = await engine.job(job_id)
        view = view_of(job)
        if view is None or not _has_log(view) or (job.log_complete and job.epoch == view.epoch):
            await _wait_any(live, since)
            wait_s = ENGINE_RETRY_FIRST_S
            continue
        if job.epoch != view.epoch:
            await engine.tables.note(job_id, epoch=view.epoch, log_complete=False)
            live.progress, live.metrics = Progress(), {}
            live.news.ring()
        try:
            moved = await _follow_attempt(engine, live, view)
        except* CyxWizError as group:
            _LOG.info("log of job %s: %s", job_id, [str(error) for error in group.exceptions])
            moved = False
        if moved:
            wait_s = ENGINE_RETRY_FIRST_S
        await live.news.wait(live.news.count, wait_s)
        wait_s = min(2 * wait_s, ENGINE_RETRY_MAX_S)


async def _follow_attempt(engine: Engine, live: LiveJob, view: JobView) -> bool:
    """Follow until the log has ended, the attempt is over, or the node is gone; whether anything came."""
    log = engine.log(view.job_id, view.epoch)
    reader = _MetricsReader(live)
    await trio.to_thread.run_sync(reader.catch_up, log)
    start = await trio.to_thread.run_sync(log.size_bytes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_superseded, engine, live, view.epoch, nursery.cancel_scope)
        await _receive(engine, live, view, log, reader, start)
        nursery.cancel_scope.cancel()
    return await trio.to_thread.run_sync(log.size_bytes) > start


async def _receive(
    engine: Engine, live: LiveJob, view: JobView, log: JobLog, reader: _MetricsReader, offset: int
) -> None:
    request = encode(LogRequest(view.job_id, view.epoch, offset))
    async with engine.peer.stream(
        view.node_peer_id, "logs.follow", request, addrs=view.node_addresses
    ) as items:
        while True:
            with trio.move_on_after(LOG_IDLE_MAX_S) as patience:
                raw = await anext(items, None)
            if patience.cancelled_caught or raw is None:
                return
            item = decode(LogItem, raw)
            fresh = await trio.to_thread.run_sync(log.append, item.offset, item.data)
            reader.feed(fresh)
            if item.ended:
                await engine.tables.note(view.job_id, log_complete=True)
                engine.live.ring(view.job_id)
            live.log.ring()
            if item.ended:
                return


async def _until_superseded(engine: Engine, live: LiveJob, epoch: int, scope: trio.CancelScope) -> None:
    """End the following when another attempt has begun."""
    while True:
        since = live.news.count
        view = view_of(await engine.job(live.job_id))
        if view is None or view.epoch != epoch:
            scope.cancel()
            return
        await live.news.wait(since, ENGINE_RETRY_MAX_S)


def _has_log(view: JobView) -> bool:
    return bool(view.node_peer_id) and view.epoch > 0 and view.state not in _BEFORE


async def _wait_any(live: LiveJob, since: tuple[int, int]) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(index: int) -> None:
            signal = (live.news, live.log)[index]
            await signal.wait(since[index], ENGINE_RETRY_MAX_S)
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait, 0)
        nursery.start_soon(wait, 1)


class _MetricsReader:
    """Reads progress and the latest metrics from the log as it comes."""

    def __init__(self, live: LiveJob) -> None:
        self._live = live
        self._lines = LineSplitter()

    def catch_up(self, log: JobLog) -> None:
        """Read the end of what is here already."""
        for block in log.blocks(max(0, log.size_bytes() - OFFSET_TAIL_BYTES)):
            self.feed(block)

    def feed(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            values = metrics_of(line)
            if values:
                self._live.progress = self._live.progress.updated(values)
                newest = {**self._live.metrics, **values}
                self._live.metrics = dict(list(newest.items())[-LIVE_METRICS_MAX:])
