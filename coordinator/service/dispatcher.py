"""Gives queued jobs to free slots: claim in the database first, then tell the node."""

from __future__ import annotations

import logging
from functools import partial

import trio

from coordinator.domain.leases import after_refusal
from coordinator.domain.matching import FreeSlot, covers, fits, free_slots
from coordinator.domain.reasons import Reason
from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.service.loops import surviving
from coordinator.store import jobs, nodes, rates
from coordinator.store.database import Database, Tx, UniqueBroken
from coordinator.store.records import JobRow
from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure, Refused
from p2p.core.limits import ASSIGN_TIMEOUT_S, CLAIMS_PER_PASS_MAX, DISPATCH_SWEEP_S, LEASE_S, REASON_MAX_CHARS
from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import Assignment, AssignReply, StopOrder
from p2p.core.states import JobState
from p2p.core.text import clean_line
from p2p.wire.codec import decode, encode

logger = logging.getLogger(__name__)


def claim_for(db: Database, free: FreeSlot, now_s: float) -> JobRow | None:
    """Claim the oldest job that fits a slot, and look at it again with the pure rules.

    Blocks. Which nodes a job keeps away from is left to the statement, which has just read it.

    :raises Bug: SQL and rules disagree; the job is back in the queue, away from this node.
    :raises UniqueBroken: the slot was taken meanwhile.
    """
    job = db.transact_one(lambda tx: jobs.claim(tx, free, now_s))
    if job is None or fits(jobs.needs_by_columns(job), free.node, free.slot, now_s):
        return job
    step = after_refusal(job.attempt)
    db.transact(lambda tx: jobs.requeue(tx, job, step, Reason.NODE_REFUSED.value, now_s))
    raise Bug(f"job {job.job_id} was claimed for a slot that it does not fit")


class Dispatcher:
    """Wakes on submit, register and release, and every ``DISPATCH_SWEEP_S``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nursery: trio.Nursery | None = None
        self._assigning: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            while True:
                await self._context.dispatch.wait(DISPATCH_SWEEP_S)
                with surviving("dispatch"):
                    await self.dispatch()

    async def dispatch(self) -> int:
        """One pass over the free slots; how many jobs were claimed."""
        slots, exclusions = await self._context.run(self._look)
        connected = self._context.network.connected_peers()
        claimed = 0
        tried: list[FreeSlot] = []
        for free in slots:
            if free.node.peer_id not in connected:
                continue
            if not exclusions and any(covers(other, free) for other in tried):
                continue
            job = await self._claim(free)
            if job is None:
                tried.append(free)
                continue
            claimed += 1
            self.assign_soon(job)
            if claimed >= CLAIMS_PER_PASS_MAX:
                self._context.dispatch.set()
                break
        return claimed

    def _look(self, tx: Tx) -> tuple[list[FreeSlot], bool]:
        now_s = self._context.now_s()
        waiting = tx.row("jobs.queue_length")
        if waiting is None or not waiting["jobs"]:
            return [], False
        excluded = tx.row("jobs.any_exclusions", now_s=now_s)
        prices = rates.hourly(tx)
        return free_slots(nodes.online(tx, now_s), prices, now_s), bool(excluded and excluded["found"])

    async def _claim(self, free: FreeSlot) -> JobRow | None:
        try:
            claim = partial(claim_for, self._context.db, free, self._context.now_s())
            job = await self._context.db.in_thread(claim)
        except UniqueBroken:
            return None  # the slot was taken by another coordinator
        except Bug as error:
            logger.error("dispatch: %s", error.what)
            return None
        if job is not None:
            self._context.events.post(job.buyer)
            self._context.settle.set()
        return job

    def assign_soon(self, job: JobRow) -> None:
        """Tell the node of a claimed job, again if it did not hear; harmless while that is under way."""
        key = (job.job_id, job.epoch)
        if self._nursery is not None and key not in self._assigning:
            self._assigning.add(key)
            self._nursery.start_soon(self._assign, job)

    async def _assign(self, job: JobRow) -> None:
        try:
            await self._context.effect(Boundary.JOB_CLAIMED)
            refusal = await self._offer(job)
            await self._context.effect(Boundary.NODE_TOLD)
            if refusal is not None:
                await self._release(job, *refusal)
        except (EnvironmentFailure, Refused) as error:
            # The lease runs out by itself if even the release could not be written.
            logger.warning("assign %s: %s", job.job_id, error.what)
        finally:
            self._assigning.discard((job.job_id, job.epoch))

    async def _offer(self, job: JobRow) -> tuple[Reason, str] | None:
        """Why the node did not take it, or None."""
        assignment = Assignment(
            job_id=job.job_id,
            epoch=job.epoch,
            spec=job.job_spec,
            engine_peer_id=job.engine_peer_id,
            engine_addresses=tuple(job.engine_addresses),
            lease_s=LEASE_S,
            gpu_class=job.gpu_class or "",
            rate_units_per_hour=job.rate_units_per_hour or 0,
            fee_bps=job.fee_bps,
            timeout_s=job.timeout_s,
        )
        try:
            raw = await self._context.network.call(
                job.node_peer_id or "", "job.assign", encode(assignment), timeout_s=ASSIGN_TIMEOUT_S
            )
            reply = decode(AssignReply, raw)
        except CyxWizError as error:
            return Reason.NODE_UNREACHABLE, clean_line(error.what, REASON_MAX_CHARS)
        if reply.accepted:
            return None
        return Reason.NODE_REFUSED, clean_line(reply.reason, REASON_MAX_CHARS)

    async def _release(self, job: JobRow, reason: Reason, detail: str) -> None:
        """Back to the queue, unless the node has reported on this epoch after all."""

        def work(tx: Tx) -> JobRow | None:
            now = jobs.lock(tx, job.job_id)
            if now is None or now.epoch != job.epoch or now.status is not JobState.ASSIGNED:
                return None
            return jobs.requeue(
                tx, now, after_refusal(now.attempt), reason.value, self._context.now_s(), detail
            )

        if await self._context.run(work) is not None:
            logger.info("job %s: %s: %s", job.job_id, reason.words, detail)
            self._context.events.post(job.buyer)
            self._context.dispatch.set()

    def stop_soon(self, job: JobRow, reason: str) -> None:
        """Tell the node at once; if it does not hear, its next heartbeat's reply says so again."""
        if self._nursery is not None and job.node_peer_id is not None:
            order = StopOrder(job.job_id, job.epoch, reason)
            self._nursery.start_soon(self._stop, job.node_peer_id, order)

    async def _stop(self, peer_id: str, order: StopOrder) -> None:
        try:
            decode(Ack, await self._context.network.call(peer_id, "job.stop", encode(order), timeout_s=10.0))
        except CyxWizError as error:
            logger.info("stop %s: %s", order.job_id, error.what)
