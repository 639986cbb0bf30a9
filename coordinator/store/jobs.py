"""Jobs: the queue, transitions by compare-and-set, leases, statements."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.leases import NextStep
from coordinator.domain.matching import FreeSlot, JobNeeds, disk_needed, needs_of
from coordinator.domain.reasons import Reason
from coordinator.store.database import Tx, as_json
from coordinator.store.records import JobRow
from p2p.core.errors import Refused
from p2p.core.jobspec import JobSpec, NetworkMode
from p2p.core.limits import LEASE_S
from p2p.core.messages.jobs import JobEvent, Terms
from p2p.core.signing import Domain, Signed, statement_hash
from p2p.core.states import FailureCode, JobState, check_transition
from p2p.wire.codec import decode, encode


@dataclass(frozen=True, slots=True)
class NewJob:
    """Everything that a job starts with; the signed terms were verified."""

    spec: JobSpec
    terms: Terms
    signed_terms: Signed
    engine_peer_id: str
    engine_addresses: tuple[str, ...]
    open_signature: str


def insert(tx: Tx, job: NewJob, now_s: float) -> JobRow:
    """Queue a job.

    :raises UniqueBroken: its id is taken.
    """
    row = tx.one_as(
        JobRow,
        "jobs.insert",
        job_id=job.terms.job_id,
        name=job.spec.name,
        buyer=job.terms.buyer,
        engine_peer_id=job.engine_peer_id,
        engine_addresses=list(job.engine_addresses),
        now_s=now_s,
        spec=encode(job.spec),
        terms_payload=job.signed_terms.payload,
        terms_signer=job.signed_terms.signer,
        terms_signature=job.signed_terms.signature,
        asset=job.terms.asset.value,
        deposit_units=job.terms.deposit_units,
        fee_bps=job.terms.fee_bps,
        timeout_s=job.terms.timeout_s,
        gpu_type=job.spec.config.gpu_type,
        min_vram_bytes=job.spec.config.min_vram_bytes,
        network=job.spec.config.network.value,
        disk_bytes=disk_needed(job.spec.input_bytes),
        rates=as_json(
            {
                rate.gpu_class: {"usd": rate.usd_micros_per_hour, "units": rate.units_per_hour}
                for rate in job.terms.rates
            }
        ),
        open_signature=job.open_signature,
        code=Reason.SUBMITTED.value,
    )
    assert row is not None
    return row


def find(tx: Tx, job_id: str) -> JobRow | None:
    return tx.one_as(JobRow, "jobs.by_id", job_id=job_id)


def lock(tx: Tx, job_id: str) -> JobRow | None:
    """The job, held until the transaction ends."""
    return tx.one_as(JobRow, "jobs.lock", job_id=job_id)


def unfinished(tx: Tx, after_seq: int, limit: int) -> list[JobRow]:
    """Jobs that are not final, in the order of their numbers after ``after_seq``."""
    return tx.all_as(JobRow, "jobs.unfinished", after_seq=after_seq, limit=limit)


def move(tx: Tx, job: JobRow, new: JobState, code: str, now_s: float, detail: str = "") -> JobRow:
    """One transition: compare and set on the revision, with its event row.

    :raises Refused: ``bad_transition`` by the table, or ``job_moved``: somebody else moved it first.
    """
    check_transition(job.status, new)
    moved = tx.one_as(
        JobRow,
        "jobs.move",
        job_id=job.job_id,
        revision=job.revision,
        old=job.state,
        new=new.value,
        now_s=now_s,
        code=code,
        detail=detail,
    )
    return _moved(moved, job)


def requeue(tx: Tx, job: JobRow, step: NextStep, code: str, now_s: float, detail: str = "") -> JobRow:
    """Back to the queue at its old place, away from the node it was on; its unsent Assign is called back.

    :raises Refused: as :func:`move`.
    """
    check_transition(job.status, JobState.QUEUED)
    if job.node_peer_id is not None and step.exclude_s > 0:
        until_s = now_s + step.exclude_s
        tx.execute("jobs.exclude", job_id=job.job_id, peer_id=job.node_peer_id, until_s=until_s)
    moved = tx.one_as(
        JobRow,
        "jobs.requeue",
        job_id=job.job_id,
        revision=job.revision,
        old=job.state,
        attempt=step.attempt,
        now_s=now_s,
        code=code,
        detail=detail,
    )
    tx.execute("outbox.supersede", job_id=job.job_id, kind="assign", now_s=now_s)
    return _moved(moved, job)


def _moved(moved: JobRow | None, job: JobRow) -> JobRow:
    if moved is None:
        raise Refused(
            "job_moved", f"Job {job.job_id[:8]} has just changed.", hint="Look at it and try again."
        )
    return moved


def extend(tx: Tx, job: JobRow, signed: Signed, detail: str, now_s: float) -> JobRow:
    """Let a job run for longer, by amended terms whose deposit its escrow holds.

    :raises Refused: ``job_moved``: it got as much before.
    """
    terms = decode(Terms, signed.payload)
    moved = tx.one_as(
        JobRow,
        "jobs.extend",
        job_id=job.job_id,
        timeout_s=terms.timeout_s,
        deposit_units=terms.deposit_units,
        payload=signed.payload,
        signature=signed.signature,
        now_s=now_s,
        code=Reason.TOPPED_UP.value,
        detail=detail,
    )
    return _moved(moved, job)


def is_extended_by(tx: Tx, job_id: str, payload: bytes) -> bool:
    """Whether a job was given more time by these very terms."""
    row = tx.row("jobs.extended_by", job_id=job_id, payload=payload)
    return row is not None and bool(row["known"])


def fail(tx: Tx, job: JobRow, code: FailureCode, detail: str, now_s: float) -> JobRow:
    """End a job without success; the buyer pays nothing."""
    tx.execute("jobs.set_failure", job_id=job.job_id, failure=code.value, detail=detail)
    tx.execute("jobs.set_used", job_id=job.job_id, used_seconds=0, used_units=0)
    return move(tx, job, JobState.FAILED, code.value, now_s, detail)


def claim(tx: Tx, free: FreeSlot, now_s: float) -> JobRow | None:
    """The oldest job that the slot can take, now assigned to it under a new epoch; None if there is none.

    :raises UniqueBroken: the slot was taken meanwhile.
    """
    return tx.one_as(
        JobRow,
        "jobs.claim",
        gpu_class=free.slot.gpu_class,
        min_price=free.node.min_price_usd_micros_per_hour,
        vram_bytes=free.slot.vram_bytes,
        networks=sorted(mode.value for mode in free.node.networks),
        disk_free_bytes=free.node.disk_free_bytes,
        peer_id=free.node.peer_id,
        wallet=free.node.wallet,
        slot=free.slot.slot,
        now_s=now_s,
        lease_expires_at_s=now_s + LEASE_S,
        code=Reason.CLAIMED.value,
    )


def needs_by_columns(job: JobRow) -> JobNeeds:
    """What the rules need for a yes or no, from the columns that the claim itself looks at."""
    return JobNeeds(
        gpu_type=job.gpu_type,
        min_vram_bytes=job.min_vram_bytes,
        max_price_usd_micros_per_hour=None,  # is in the rates: no class above it has one
        network=NetworkMode(job.network),
        disk_bytes=job.disk_bytes,
        rates={gpu_class: rate["usd"] for gpu_class, rate in job.rates.items()},
    )


def needs(tx: Tx, job: JobRow, now_s: float) -> JobNeeds:
    """What the matching rules need to know of a job."""
    excluded = [row["peer_id"] for row in tx.rows("jobs.exclusions", job_id=job.job_id, now_s=now_s)]
    spec = job.job_spec
    return needs_of(spec.config, spec.input_bytes, job.terms.rates, excluded)


def put_statement(tx: Tx, job: JobRow, statement: Signed, now_s: float) -> bool:
    """Keep a node's result statement as evidence; whether it is the first, and so the one that counts."""
    tx.execute(
        "jobs.put_statement",
        job_id=job.job_id,
        epoch=job.epoch,
        statement_hash=statement_hash(Domain.RESULT, statement.payload),
        payload=statement.payload,
        signer=statement.signer,
        signature=statement.signature,
        now_s=now_s,
    )
    first = statement_of(tx, job)
    return first is not None and first.payload == statement.payload


def statement_of(tx: Tx, job: JobRow) -> Signed | None:
    """The first result statement of the current epoch."""
    rows = tx.rows("jobs.statements", job_id=job.job_id, epoch=job.epoch)
    return Signed(rows[0]["payload"], rows[0]["signer"], rows[0]["signature"]) if rows else None


def receipt_of(tx: Tx, job_id: str) -> Signed | None:
    row = tx.row("jobs.receipt", job_id=job_id)
    return Signed(row["payload"], row["signer"], row["signature"]) if row else None


def events_after(tx: Tx, buyer: str, job_id: str, after_seq: int, limit: int) -> tuple[JobEvent, ...]:
    """Events of a buyer, or of one job when ``job_id`` is not empty."""
    if job_id:
        rows = tx.rows("jobs.job_events_after", job_id=job_id, after_seq=after_seq, limit=limit)
    else:
        rows = tx.rows("jobs.events_after", buyer=buyer, after_seq=after_seq, limit=limit)
    return tuple(
        JobEvent(
            seq=row["seq"],
            job_id=row["job_id"],
            at_s=row["at_s"],
            old=None if row["old_state"] is None else JobState(row["old_state"]),
            new=JobState(row["new_state"]),
            attempt=row["attempt"],
            code=row["code"],
            detail=row["detail"],
        )
        for row in rows
    )
