"""Payment of work whose buyer does not sign: claimed after a while, finalized after the review window.

At any time at most one verdict of a job is on its way. Until the claim's window ends that is the settlement
which the buyer may still sign; from then on it is the finalizing of the claim.
"""

from __future__ import annotations

import logging
from functools import partial

from coordinator.domain.claims import claim_due_s
from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.store import disputes, jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.core.limits import SWEEP_BATCH_MAX
from p2p.core.signing import Domain, statement_hash
from p2p.core.states import JobState

logger = logging.getLogger(__name__)


class Claims:
    """The sweep over work that waits for its buyer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def sweep(self) -> int:
        """Claim what has waited long enough, and finalize what was not signed in time; how many jobs."""
        now_s = self._context.now_s()
        due = await self._context.run(lambda tx: self._due(tx, now_s))
        over = await self._context.run(
            lambda tx: tx.rows("outbox.window_over", now_s=now_s, limit=SWEEP_BATCH_MAX)
        )
        changed = 0
        for job_id in due:
            if await self._context.run(partial(claim, job_id=job_id, now_s=now_s)):
                changed += 1
                await self._context.effect(Boundary.CLAIM_WANTED)
        for row in over:
            if await self._context.run(partial(finalize_instead, job_id=row["job_id"], now_s=now_s)):
                changed += 1
                await self._context.effect(Boundary.FINALIZE_WANTED)
        if changed:
            self._context.settle.set()
        return changed

    def _due(self, tx: Tx, now_s: float) -> list[str]:
        rows = tx.rows("outbox.unclaimed", limit=SWEEP_BATCH_MAX)
        longest_s = self._context.on_chain.longest_job_s
        after_s = self._context.claim_after_s
        return [
            row["job_id"]
            for row in rows
            if now_s
            >= claim_due_s(row["waits_since_s"], row["assigned_at_s"], row["timeout_s"], longest_s, after_s)
        ]

    async def paid_on_chain(self, job: JobRow) -> None:
        """The chain has paid a job that goes on here: let its verdict be looked at now."""
        now_s = self._context.now_s()

        def work(tx: Tx) -> None:
            finalize_instead(tx, job.job_id, now_s)
            tx.execute("outbox.hurry", job_id=job.job_id, now_s=now_s)

        await self._context.run(work)
        self._context.settle.set()


def claim(tx: Tx, job_id: str, now_s: float) -> bool:
    """Want the job's claim, unless it has moved on meanwhile or is claimed already."""
    job = jobs.lock(tx, job_id)
    if job is None or outbox.claim_of(tx, job_id) is not None:
        return False
    settle = outbox.verdict_of(tx, job_id)
    if job.status is JobState.DELIVERING:
        statement = jobs.statement_of(tx, job)
        if statement is None or settle is not None:
            return False
        used_units, result_hash = job.used_units, statement_hash(Domain.RESULT, statement.payload)
    else:
        if settle is None or settle.kind != outbox.SETTLE or settle.state != "waiting":
            return False
        used_units, result_hash = settle.used_units or 0, settle.result_hash or b""
    outbox.add(tx, job, outbox.CLAIM, now_s, used_units=used_units, result_hash=result_hash)
    logger.info("job %s: claimed, for its buyer has not signed", job_id)
    return True


def claimed(tx: Tx, job: JobRow, action: ActionRow, now_s: float) -> None:
    """A claim stands: if there is nothing that the buyer could still sign, it will be finalized."""
    if not job.status.is_final and outbox.verdict_of(tx, job.job_id) is None:
        _finalize(tx, job, action, now_s)


def finalize_instead(tx: Tx, job_id: str, now_s: float) -> bool:
    """Finalize the claim that stands rather than wait for a signature; false if a settlement was sent."""
    job = jobs.lock(tx, job_id)
    standing = outbox.claim_of(tx, job_id)
    if job is None or standing is None or standing.state != "confirmed":
        return False
    outbox.supersede(tx, job_id, outbox.SETTLE, now_s)
    if outbox.verdict_of(tx, job_id) is not None:
        return False
    _finalize(tx, job, standing, now_s)
    return True


def settle_instead(tx: Tx, job: JobRow, used_units: int, result_hash: bytes, now_s: float) -> bool:
    """Let the buyer sign a settlement; false if the claim stands undisputed at its end, or is being paid."""
    outbox.supersede(tx, job.job_id, outbox.CLAIM, now_s)
    standing = outbox.claim_of(tx, job.job_id)
    ends_at_s = None if standing is None else standing.window_ends_at_s
    if ends_at_s is not None and ends_at_s <= now_s and not disputes.is_open(tx, job.job_id):
        return False
    outbox.supersede(tx, job.job_id, outbox.FINALIZE, now_s)
    if outbox.verdict_of(tx, job.job_id) is not None:
        return False
    outbox.add(tx, job, outbox.SETTLE, now_s, state="waiting", used_units=used_units, result_hash=result_hash)
    return True


def withdraw(tx: Tx, job: JobRow, now_s: float) -> ActionRow | None:
    """Call back a claim that was not signed yet; the one that stands or is on its way, if there is one."""
    outbox.supersede(tx, job.job_id, outbox.CLAIM, now_s)
    return outbox.claim_of(tx, job.job_id)


def _finalize(tx: Tx, job: JobRow, standing: ActionRow, now_s: float) -> None:
    outbox.add(
        tx,
        job,
        outbox.FINALIZE,
        now_s,
        used_units=standing.used_units,
        result_hash=standing.result_hash,
    )
