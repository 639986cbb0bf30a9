"""What a chain action's end means for job and ledger: one transaction each."""

from __future__ import annotations

from coordinator.domain import ledger as rules
from coordinator.domain.reasons import Reason
from coordinator.store import jobs, ledger, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.core.states import FailureCode, JobState

GIVEN_BACK = (JobStatus.REFUNDED, JobStatus.CANCELLED, JobStatus.RECLAIMED)


def confirm(tx: Tx, action: ActionRow, now_s: float) -> JobRow | None:
    """An action is on chain: mark it done, and if it was the verdict, move job and money. Idempotent."""
    job = jobs.lock(tx, action.job_id)
    if job is None or not tx.execute("outbox.done", action_id=action.action_id, now_s=now_s):
        return None
    if action.kind == outbox.SETTLE:
        return _settled(tx, job, action, now_s)
    if action.kind == outbox.REFUND:
        return given_back(tx, job, action.signature, Reason.REFUNDED, now_s)
    return job


def _settled(tx: Tx, job: JobRow, action: ActionRow, now_s: float) -> JobRow:
    moved = jobs.move(tx, job, JobState.SETTLED, Reason.SETTLED.value, now_s)
    transfer = rules.settle(
        buyer=job.buyer,
        node=job.node_wallet or "",
        job_id=job.job_id,
        asset=job.money,
        deposit_units=job.deposit_units,
        used_units=action.used_units or 0,
        fee_bps=job.fee_bps,
        signature=action.signature,
    )
    ledger.post(tx, transfer, now_s)
    return moved


def given_back(tx: Tx, job: JobRow, signature: str, reason: Reason, now_s: float) -> JobRow:
    """Everything is back at the buyer on chain, whatever the job was doing: bring it to its end here."""
    if job.status.is_final:
        return job
    for kind in (outbox.ASSIGN, outbox.SETTLE, outbox.REFUND):
        tx.execute("outbox.supersede", job_id=job.job_id, kind=kind, now_s=now_s)
    if job.status is JobState.DELIVERING:
        detail = "The deposit went back to the buyer before the results were accepted."
        job = jobs.fail(tx, job, FailureCode.EXPIRED, detail, now_s)
    elif not job.status.is_over:
        job = jobs.move(tx, job, JobState.CANCELLED, reason.value, now_s)
    tx.execute("jobs.set_used", job_id=job.job_id, used_seconds=0, used_units=0)
    moved = jobs.move(tx, job, JobState.REFUNDED, reason.value, now_s)
    transfer = rules.refund(job.buyer, job.job_id, job.money, job.deposit_units, signature)
    ledger.post(tx, transfer, now_s)
    return moved


def stands(action: ActionRow, on_chain: OnChainJob) -> bool:
    """Whether the chain already has what an action wants, whoever brought it there."""
    if action.kind == outbox.ASSIGN:
        return on_chain.status is JobStatus.ASSIGNED and on_chain.node == action.node_wallet
    if action.kind == outbox.REFUND:
        return on_chain.status in GIVEN_BACK
    return (
        on_chain.status is JobStatus.SETTLED
        and on_chain.result_hash == action.result_hash
        and on_chain.used_units == action.used_units
    )


def contradicts(action: ActionRow, on_chain: OnChainJob) -> bool:
    """Whether the money went back although the action wants something else."""
    return action.kind != outbox.REFUND and on_chain.status in GIVEN_BACK
