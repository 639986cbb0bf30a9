"""Jobs that would stay as they are for ever: attempts that never end, and escrows whose time is over."""

from __future__ import annotations

from coordinator.domain.leases import attempt_ends_s
from coordinator.domain.reasons import Reason
from coordinator.service.reports import end_attempt
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import JobRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.core.limits import CHAIN_CLOCK_SLACK_S
from p2p.core.states import FailureCode, JobState


def end_stuck(tx: Tx, job_id: str, now_s: float) -> JobRow | None:
    """Take a job from a node that beats, but does not get on with it; None if there is no need."""
    job = jobs.lock(tx, job_id)
    if job is None or now_s < attempt_ends_s(job.status, job.assigned_at_s, job.running_at_s, job.timeout_s):
        return None
    detail = f"The node did not get beyond {job.state} in the time that there is for it."
    return end_attempt(tx, job, FailureCode.NODE, detail, now_s)


def is_expired_on_chain(on_chain: OnChainJob, now_s: float) -> bool:
    """Whether anybody may give the deposit back by now, so that nobody can count on being paid."""
    unclaimed = on_chain.status in (JobStatus.OPEN, JobStatus.ASSIGNED)
    return unclaimed and now_s >= on_chain.deadline_s + CHAIN_CLOCK_SLACK_S


def end_expired(tx: Tx, job_id: str, now_s: float) -> JobRow | None:
    """Give everything back for a job whose deadline on chain has passed; None if its money moves already.

    Nobody would work or wait for it safely any more: not a node, whose pay the buyer could reclaim, and not
    the buyer, whose money would lie there until they did.
    """
    job = jobs.lock(tx, job_id)
    if job is None or job.status.is_final:
        return None
    verdict = outbox.verdict_of(tx, job_id)
    if verdict is not None and (verdict.kind == outbox.REFUND or verdict.state != "waiting"):
        return None
    tx.execute("outbox.supersede", job_id=job_id, kind=outbox.SETTLE, now_s=now_s)
    if not job.status.is_over:
        detail = f"It was still {job.state} when its deadline on the chain passed."
        job = jobs.fail(tx, job, FailureCode.EXPIRED, detail, now_s)
    outbox.refund(tx, job, now_s)
    return job


def end_unfunded(tx: Tx, job_id: str, now_s: float) -> JobRow | None:
    """End a job without an escrow: the chain dropped the transaction that opened it after we had seen it."""
    job = jobs.lock(tx, job_id)
    if job is None or job.status.is_final:
        return None
    for action in outbox.of_job(tx, job_id):
        outbox.supersede(tx, job_id, action.kind, now_s)
        if action.state == "sent":
            tx.execute("outbox.give_up", action_id=action.action_id, now_s=now_s, error="there is no escrow")
    if job.status is JobState.DELIVERING or not job.status.is_over:
        detail = (
            "The chain dropped the transaction that opened its escrow. No money was taken; submit it again."
        )
        job = jobs.fail(tx, job, FailureCode.EXPIRED, detail, now_s)
    tx.execute("jobs.set_used", job_id=job_id, used_seconds=0, used_units=0)
    return jobs.move(tx, job, JobState.REFUNDED, Reason.UNFUNDED.value, now_s)
