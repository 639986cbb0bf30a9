"""One long poll for the events of all jobs; each event is kept, and wakes who waits for its job."""

from __future__ import annotations

import logging

import trio

from p2p.core.errors import CyxWizError
from p2p.core.limits import ENGINE_RETRY_FIRST_S, ENGINE_RETRY_MAX_S, EVENTS_ASK_S
from p2p.core.messages.jobs import EventList, EventsRequest, JobEvent
from p2p.engine.context import Engine
from p2p.store.engine import EventRow
from p2p.store.stages import TOPPED_UP

_LOG = logging.getLogger(__name__)


async def watch_events(engine: Engine) -> None:
    """Runs until cancelled. Nothing is asked while no job is at the coordinator."""
    wait_s = ENGINE_RETRY_FIRST_S
    while True:
        since = engine.live.any.count
        if not await engine.tables.unfinished():
            await engine.live.any.wait(since, ENGINE_RETRY_MAX_S)
            continue
        try:
            await _ask(engine)
            wait_s = ENGINE_RETRY_FIRST_S
        except CyxWizError as error:
            _LOG.info("events: %s", error.what)
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, ENGINE_RETRY_MAX_S)


async def _ask(engine: Engine) -> None:
    account = await engine.wallets.account()
    name = f"events_after:{engine.link.network().coordinator_peer_id}:{account.wallet}"
    after_seq = int(await engine.tables.setting(name) or 0)
    request = EventsRequest("", after_seq, EVENTS_ASK_S)
    events = (await engine.link.call("job.events", request, EventList)).events
    by_job: dict[str, list[JobEvent]] = {}
    for event in events:
        by_job.setdefault(event.job_id, []).append(event)
    for job_id, found in by_job.items():
        if await engine.tables.job(job_id) is None:
            continue  # sent from another machine of the same buyer
        rows = [EventRow(event.at_s, _state(event), _detail(event), event.seq) for event in found]
        await engine.tables.add_events(job_id, rows)
        engine.live.ring(job_id)
    if events:
        await engine.tables.set_setting(name, str(max(event.seq for event in events)))


def _state(event: JobEvent) -> str:
    """Where the job went; or that it was given more time."""
    return TOPPED_UP if event.code == TOPPED_UP else event.new.value


def _detail(event: JobEvent) -> str:
    attempt = f"attempt {event.attempt}" if event.attempt > 1 else ""
    return " · ".join(part for part in (attempt, event.detail) if part)
