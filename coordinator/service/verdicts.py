"""What a chain action's end means for its job: one transaction each.

The money that it moved is posted from the chain itself, see :mod:`coordinator.service.follower`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from coordinator.domain.reasons import Reason
from coordinator.service import claims
from coordinator.store import disputes, jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.past import PastJob
from p2p.core.states import DisputeState, FailureCode, JobState

GIVEN_BACK = (JobStatus.REFUNDED, JobStatus.CANCELLED, JobStatus.RECLAIMED)
PAID = (JobStatus.SETTLED, JobStatus.FINALIZED, JobStatus.RESOLVED)


class Judgement(Enum):
    """How an action stands to what the chain says of its job."""

    OPEN = "it is still to be done"
    STANDS = "the chain has it already"
    OVERTAKEN = "it is no longer needed: the job was paid without it"
    GIVEN_BACK = "the deposit is back at the buyer, although it wants something else"
    LOST = "another verdict stands"


@dataclass(frozen=True, slots=True)
class Done:
    """What is known of an action that is on chain.

    ``used_units``: what the chain paid for, where that may be another amount than the action's, such as after
    a dispute. ``status``: how it ended on chain, where that was looked up, and ``arbiter``: who could decide,
    if that can still be told. ``window_ends_at_s``: of a claim.
    """

    used_units: int | None = None
    status: JobStatus | None = None
    arbiter: str = ""
    window_ends_at_s: float | None = None


def confirm(tx: Tx, action: ActionRow, now_s: float, done: Done = Done()) -> JobRow | None:
    """An action is on chain: mark it done, and if it was the verdict, move job and money. Idempotent."""
    job = jobs.lock(tx, action.job_id)
    if job is None or not tx.execute(
        "outbox.done",
        action_id=action.action_id,
        now_s=now_s,
        window_ends_at_s=done.window_ends_at_s,
    ):
        return None
    if action.kind in (outbox.SETTLE, outbox.FINALIZE):
        return _settled(tx, job, action, done, now_s)
    if action.kind == outbox.CLAIM:
        claims.claimed(tx, job, action, now_s)
    if action.kind == outbox.REFUND:
        return given_back(tx, job, Reason.REFUNDED, now_s)
    return job


def _settled(tx: Tx, job: JobRow, action: ActionRow, done: Done, now_s: float) -> JobRow:
    claimed_units, resolved = action.used_units or 0, done.status is JobStatus.RESOLVED
    used_units = claimed_units if done.used_units is None else done.used_units
    outbox.supersede(tx, job.job_id, outbox.CLAIM, now_s)
    if used_units != job.used_units:
        tx.execute("jobs.set_used", job_id=job.job_id, used_seconds=job.used_seconds, used_units=used_units)
    reason = Reason.SETTLED if action.kind == outbox.SETTLE else Reason.FINALIZED
    if resolved:
        reason = Reason.RESOLVED
        # It may have begun and ended between two of our looks at the chain.
        disputes.open_dispute(tx, job, done.arbiter, claimed_units, now_s, now_s)
    ended = DisputeState.RESOLVED if resolved else DisputeState.WITHDRAWN
    disputes.end(tx, job.job_id, ended, used_units, now_s)
    moved = jobs.move(tx, job, JobState.SETTLED, reason.value, now_s)
    outbox.close(tx, moved, now_s)
    return moved


def given_back(tx: Tx, job: JobRow, reason: Reason, now_s: float) -> JobRow:
    """Everything is back at the buyer on chain, whatever the job was doing: bring it to its end here."""
    if job.status.is_final:
        return job
    for kind in (outbox.ASSIGN, outbox.SETTLE, outbox.REFUND, outbox.CLAIM, outbox.FINALIZE):
        outbox.supersede(tx, job.job_id, kind, now_s)
    if job.status is JobState.DELIVERING:
        detail = "The deposit went back to the buyer before the results were accepted."
        job = jobs.fail(tx, job, FailureCode.EXPIRED, detail, now_s)
    elif not job.status.is_over:
        job = jobs.move(tx, job, JobState.CANCELLED, reason.value, now_s)
    tx.execute("jobs.set_used", job_id=job.job_id, used_seconds=0, used_units=0)
    moved = jobs.move(tx, job, JobState.REFUNDED, reason.value, now_s)
    disputes.end_given_back(tx, job.job_id, now_s)
    outbox.close(tx, moved, now_s)
    return moved


def judge(action: ActionRow, on_chain: OnChainJob | PastJob) -> Judgement:
    """What the chain's state means for an action on a job's money, whoever brought it about."""
    if _stands(action, on_chain):
        return Judgement.STANDS
    if action.kind == outbox.CLAIM and on_chain.status in PAID:
        return Judgement.OVERTAKEN
    if action.kind != outbox.REFUND and on_chain.status in GIVEN_BACK:
        return Judgement.GIVEN_BACK
    return Judgement.LOST if on_chain.status.final else Judgement.OPEN


def _stands(action: ActionRow, on_chain: OnChainJob | PastJob) -> bool:
    if action.kind == outbox.ASSIGN:
        if isinstance(on_chain, PastJob):
            return False
        return on_chain.status is JobStatus.ASSIGNED and on_chain.node == action.node_wallet
    if action.kind == outbox.REFUND:
        return on_chain.status in GIVEN_BACK
    if action.kind == outbox.FINALIZE:
        return on_chain.status in PAID
    same = on_chain.result_hash == action.result_hash
    if action.kind == outbox.SETTLE and on_chain.status in (JobStatus.FINALIZED, JobStatus.RESOLVED):
        return same  # its claim was paid while the buyer signed
    wanted = (JobStatus.SETTLED,) if action.kind == outbox.SETTLE else (JobStatus.CLAIMED, JobStatus.DISPUTED)
    return same and on_chain.status in wanted and on_chain.used_units == action.used_units
