"""A job as its buyer sees it."""

from __future__ import annotations

from coordinator.domain.matching import Explanation, explain
from coordinator.store import disputes, jobs, nodes, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.core.limits import ADDRESSES_PER_PEER_MAX
from p2p.core.messages.disputes import ReviewView
from p2p.core.messages.jobs import ChainEntry, JobView
from p2p.core.states import DisputeState, JobState


def job_view(tx: Tx, job: JobRow, now_s: float, *, whole: bool = True) -> JobView:
    """``whole``: with chain entries, statements and, while it waits, the reasons why."""
    if not whole:
        return _view(job)
    why: Explanation | None = None
    if job.status is JobState.QUEUED:
        why = explain(jobs.needs(tx, job, now_s), nodes.online(tx, now_s), now_s)
    review = disputes.review_of(tx, job.job_id)
    return _view(
        job,
        node_addresses=_addresses(tx, job),
        statement=jobs.statement_of(tx, job),
        receipt=jobs.receipt_of(tx, job.job_id),
        chain=tuple(_entry(action, review) for action in outbox.of_job(tx, job.job_id) if _is_shown(action)),
        misfits=why.misfits if why else (),
        nodes_online=why.online if why else 0,
        review=review,
    )


def _view(job: JobRow, **more: object) -> JobView:
    return JobView(
        job_id=job.job_id,
        name=job.name,
        buyer=job.buyer,
        state=job.status,
        revision=job.revision,
        epoch=job.epoch,
        attempt=job.attempt,
        created_at_s=job.created_at_s,
        updated_at_s=job.updated_at_s,
        asset=job.money,
        deposit_units=job.deposit_units,
        fee_bps=job.fee_bps,
        timeout_s=job.timeout_s,
        gpu_type=job.gpu_type,
        gpu_class=job.gpu_class or "",
        rate_units_per_hour=job.rate_units_per_hour or 0,
        node_peer_id=job.node_peer_id or "",
        node_wallet=job.node_wallet or "",
        used_seconds=job.used_seconds,
        used_units=job.used_units,
        failure=job.failure_code,
        detail=job.detail,
        **more,  # type: ignore[arg-type]
    )


def _addresses(tx: Tx, job: JobRow) -> tuple[str, ...]:
    if job.node_peer_id is None:
        return ()
    row = tx.row("nodes.by_peer", peer_id=job.node_peer_id)
    return tuple(row["addresses"][:ADDRESSES_PER_PEER_MAX]) if row else ()


def _is_shown(action: ActionRow) -> bool:
    """A job is not unfinished because its account is still to be closed."""
    return action.kind != outbox.CLOSE or action.state == "confirmed"


def _entry(action: ActionRow, review: ReviewView | None) -> ChainEntry:
    """An offer whose blockhash ran out without a countersignature landing shows as ``expired``; a claim that
    the arbiter decided was not finalized but resolved."""
    kind, status = action.kind, action.state
    if status == "waiting" and action.last_error:
        status = "expired"
    if kind == outbox.FINALIZE and review is not None and review.dispute is DisputeState.RESOLVED:
        kind = "resolve"
    return ChainEntry(kind, action.signature, status, action.updated_at_s)
