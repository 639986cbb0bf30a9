"""What has to be looked at from time to time: lost leases, flushes, unpaid ends, the chain's own moves."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from coordinator.domain.leases import is_expired
from coordinator.domain.reasons import Reason
from coordinator.service.context import Context
from coordinator.service.escrow import Escrow
from coordinator.service.history import holdings
from coordinator.service.registry import Registry
from coordinator.service.reports import end_attempt
from coordinator.service.settler import close_given_back
from coordinator.service.verdicts import GIVEN_BACK
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import JobRow
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import BEAT_FLUSH_S, LEASE_S, LEASE_SWEEP_S, RECONCILE_SWEEP_S, SWEEP_BATCH_MAX
from p2p.core.states import FailureCode, JobState

logger = logging.getLogger(__name__)


async def every(period_s: float, work: Callable[[], Awaitable[object]], name: str) -> None:
    """Repeat ``work``; what the environment did to one round is logged and the next one comes."""
    while True:
        await trio.sleep(period_s)
        try:
            await work()
        except EnvironmentFailure as error:
            logger.warning("%s: %s", name, error.what)


class Sweeps:
    """The periodic work of one coordinator."""

    def __init__(self, context: Context, registry: Registry, escrow: Escrow) -> None:
        self._context = context
        self._registry = registry
        self._escrow = escrow

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(every, BEAT_FLUSH_S, self._registry.flush, "heartbeats")
            nursery.start_soon(every, LEASE_SWEEP_S, self.lose_leases, "leases")
            nursery.start_soon(every, RECONCILE_SWEEP_S, self.reconcile, "reconciliation")

    async def refresh_leases(self) -> None:
        """At the start: a coordinator that was away holds nobody's silence against them."""
        until_s = self._context.now_s() + LEASE_S
        await self._context.run(lambda tx: tx.execute("jobs.refresh_leases", until_s=until_s))

    async def lose_leases(self) -> int:
        """Take the jobs from nodes that went silent; how many."""
        await self._registry.flush()
        now_s = self._context.now_s()
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
        """Notice what happened on chain without us: deposits, withdrawals, reclaimed jobs."""
        for job in await self._context.run(unfinished):
            try:
                on_chain = await self._context.chain.job(Wallet(job.buyer), JobId(job.job_id))
            except Refused:
                continue  # closed on chain; its verdict was read before that, or an operator has to look
            if on_chain is not None and on_chain.status in GIVEN_BACK:
                await self._close(job)
        for wallet, asset, units in await self._context.run(
            lambda tx: holdings(tx, self._context.on_chain.fee_owner)
        ):
            if await self._context.chain.balance(wallet, asset) != units:
                await self._sync(wallet)

    async def _close(self, job: JobRow) -> None:
        live = await self._context.run(lambda tx: outbox.verdict_of(tx, job.job_id))
        if live is not None and live.kind == outbox.REFUND and live.state in ("prepared", "sent"):
            return  # the settler is at it
        now_s = self._context.now_s()
        closed = await self._context.run(lambda tx: close_given_back(tx, job.job_id, Reason.RECLAIMED, now_s))
        if closed is not None:
            self._context.events.post(closed.buyer)

    async def _sync(self, wallet: Wallet) -> None:
        try:
            await self._escrow.sync(wallet)
        except CyxWizError as error:
            logger.warning("history of %s: %s", wallet, error.what)


def lose_lease(tx: Tx, job_id: str, now_s: float) -> JobRow | None:
    """Requeue a job whose lease has run out, or fail it at the last attempt; None if it has not after all."""
    job = jobs.lock(tx, job_id)
    if job is None or not job.status.is_leased or not is_expired(job.lease_expires_at_s or 0.0, now_s):
        return None
    return end_attempt(tx, job, FailureCode.NODE_LOST, "", now_s)


def unfinished(tx: Tx) -> list[JobRow]:
    """Jobs that are not final, newest first."""
    found: list[JobRow] = []
    for state in JobState:
        if not state.is_final:
            found += tx.all_as(JobRow, "jobs.latest", state=state.value, limit=SWEEP_BATCH_MAX)
    return found
