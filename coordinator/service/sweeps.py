"""What has to be looked at from time to time: lost leases, flushes, unpaid ends, the chain's own moves."""

from __future__ import annotations

import logging
from functools import partial

import trio

from coordinator.domain.leases import is_expired
from coordinator.domain.reasons import Reason
from coordinator.service.claims import Claims, withdraw
from coordinator.service.context import Context
from coordinator.service.disputes import Disputes
from coordinator.service.endings import close_given_back
from coordinator.service.loops import every
from coordinator.service.overdue import end_expired, end_stuck, end_unfunded, is_expired_on_chain
from coordinator.service.reconciler import Reconciler
from coordinator.service.registry import Registry
from coordinator.service.reports import end_attempt
from coordinator.service.settler import Settler
from coordinator.service.verdicts import GIVEN_BACK, PAID
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import JobRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.config import FINALIZED
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import (
    BEAT_FLUSH_S,
    CLAIM_SWEEP_S,
    CLOSE_SWEEP_S,
    ESCROW_GONE_S,
    LEASE_S,
    LEASE_SWEEP_S,
    LEDGER_FOLLOW_S,
    RECONCILE_SWEEP_S,
    SWEEP_BATCH_MAX,
)
from p2p.core.states import FailureCode

logger = logging.getLogger(__name__)


class Sweeps:
    """The periodic work of one coordinator."""

    def __init__(
        self,
        context: Context,
        registry: Registry,
        claims: Claims,
        settler: Settler,
        disputes: Disputes,
        reconciler: Reconciler,
    ) -> None:
        self._context = context
        self._registry = registry
        self._claims = claims
        self._settler = settler
        self._disputes = disputes
        self._reconciler = reconciler
        self._seen_seq = 0
        self._started_at_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(every, BEAT_FLUSH_S, self._registry.flush, "heartbeats")
            nursery.start_soon(every, LEASE_SWEEP_S, self.lose_leases, "leases")
            nursery.start_soon(every, RECONCILE_SWEEP_S, self.reconcile, "reconciliation")
            follow, news = self._reconciler.follower.follow, self._context.moved
            nursery.start_soon(every, LEDGER_FOLLOW_S, follow, "ledger", news)
            nursery.start_soon(every, CLAIM_SWEEP_S, self._claims.sweep, "claims")
            nursery.start_soon(every, CLOSE_SWEEP_S, self._settler.close_accounts, "closing")

    async def refresh_leases(self) -> None:
        """At the start: a coordinator that was away holds nobody's silence against them."""
        self._started_at_s = self._context.now_s()
        until_s = self._started_at_s + LEASE_S
        await self._context.run(lambda tx: tx.execute("jobs.refresh_leases", until_s=until_s))

    async def lose_leases(self) -> int:
        """Take the jobs from nodes that went silent; how many."""
        now_s = self._context.now_s()  # all that was heard until now is written before anybody is judged
        await self._registry.flush()
        rows = await self._context.run(lambda tx: tx.rows("jobs.expired", now_s=now_s, limit=SWEEP_BATCH_MAX))
        lost = 0
        for row in rows:
            job = await self._context.run(partial(lose_lease, job_id=row["job_id"], now_s=now_s))
            if job is not None:
                lost += 1
                logger.info("job %s: lease lost, now %s", job.job_id, job.state)
                self._context.events.post(job.buyer)
        if lost:
            self._context.dispatch.set()
            self._context.settle.set()
        return lost

    async def reconcile(self) -> None:
        """Notice what happened on chain without us, to jobs and to anybody's money."""
        try:
            await self._review_page()
        finally:
            await self._reconciler.run_once()

    async def _review_page(self) -> None:
        page = await self._context.run(lambda tx: jobs.unfinished(tx, self._seen_seq, SWEEP_BATCH_MAX))
        for job in page:
            self._seen_seq = job.queue_seq  # should this one make trouble, the next round goes on after it
            await self._review(job)
        if len(page) < SWEEP_BATCH_MAX:
            self._seen_seq = 0

    async def _review(self, job: JobRow) -> None:
        now_s = self._context.now_s()
        # What nodes have to say of the time when there was no coordinator has come by then.
        if now_s >= self._started_at_s + LEASE_S:
            await self._tell(await self._context.run(partial(end_stuck, job_id=job.job_id, now_s=now_s)))
        owner, job_id = Wallet(job.buyer), JobId(job.job_id)
        # What is merely confirmed can still be dropped by a fork.
        on_chain = await self._context.chain.at(FINALIZED).seen_job(owner, job_id)
        if on_chain is None:
            await self._unfunded(job, now_s)
            return
        if on_chain.status in GIVEN_BACK:
            await self._close(job)
        elif on_chain.status in PAID:
            await self._claims.paid_on_chain(job)
        elif isinstance(on_chain, OnChainJob) and on_chain.status is JobStatus.DISPUTED:
            await self._disputes.open(job, on_chain)
        elif isinstance(on_chain, OnChainJob) and await self._is_expired(on_chain, now_s):
            await self._tell(await self._context.run(partial(end_expired, job_id=job.job_id, now_s=now_s)))

    async def _is_expired(self, on_chain: OnChainJob, now_s: float) -> bool:
        """By our clock and the chain's: if ours is wrong, that is no reason to end a job."""
        if not is_expired_on_chain(on_chain, now_s):
            return False
        return await self._context.chain.chain_time_s() >= on_chain.deadline_s

    async def _unfunded(self, job: JobRow, now_s: float) -> None:
        """End a job whose escrow is not on chain, once it is sure that it will never be."""
        if now_s < job.created_at_s + ESCROW_GONE_S:
            return
        if await self._context.chain.knows_no_job(Wallet(job.buyer), JobId(job.job_id)):
            await self._tell(await self._context.run(partial(end_unfunded, job_id=job.job_id, now_s=now_s)))

    async def _tell(self, ended: JobRow | None) -> None:
        if ended is not None:
            logger.info("job %s: %s: %s", ended.job_id, ended.state, ended.detail)
            self._context.events.post(ended.buyer)
            self._context.dispatch.set()
            self._context.settle.set()

    async def _close(self, job: JobRow) -> None:
        live = await self._context.run(lambda tx: outbox.verdict_of(tx, job.job_id))
        if live is not None and live.kind == outbox.REFUND and live.state in ("prepared", "sent"):
            return  # the settler is at it
        now_s = self._context.now_s()
        closed = await self._context.run(lambda tx: close_given_back(tx, job.job_id, Reason.RECLAIMED, now_s))
        if closed is not None:
            self._context.events.post(closed.buyer)


def lose_lease(tx: Tx, job_id: str, now_s: float) -> JobRow | None:
    """Requeue a job whose lease has run out, or fail it at the last attempt; None if it has not after all."""
    job = jobs.lock(tx, job_id)
    if job is None or not job.status.is_leased or not is_expired(job.lease_expires_at_s or 0.0, now_s):
        return None
    if withdraw(tx, job, now_s) is not None:
        return None  # the claim stands: nobody else can be assigned, and what was delivered will be paid
    return end_attempt(tx, job, FailureCode.NODE_LOST, "", now_s)
