"""Disputes: the table, what each side said, and the evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from coordinator.store import outbox
from coordinator.store.database import Tx
from coordinator.store.records import JobRow
from p2p.core.limits import CHAIN_CLOCK_SLACK_S, DISPUTE_EVIDENCE_MAX
from p2p.core.messages.disputes import DisputeStatement, ReviewView
from p2p.core.signing import Signed
from p2p.core.states import DisputeState, check_dispute_step
from p2p.wire.codec import decode

BUYER, NODE = "buyer", "node"

VERIFIED, DIFFERS, REFUSED = "verified", "differs", "refused"
UNREACHABLE, NOT_APPLICABLE = "unreachable", "not_applicable"


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """``disputes``."""

    job_id: str
    epoch: int
    state: str
    arbiter: str
    claimed_units: int
    opened_at_s: float
    resolve_by_s: float
    ended_at_s: float | None
    decided_units: int | None
    check_at_s: float | None
    told_state: str
    tell_at_s: float
    message: bytes | None
    message_last_valid: int | None

    @property
    def status(self) -> DisputeState:
        return DisputeState(self.state)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One row of ``dispute_evidence``: an output that was asked for, or why none could be."""

    at_s: float
    result: str
    file_index: int | None = None
    path: str = ""
    chunk_index: int | None = None
    size_bytes: int | None = None
    detail: str = ""


def open_dispute(
    tx: Tx, job: JobRow, arbiter: str, claimed_units: int, resolve_by_s: float, now_s: float
) -> bool:
    """Write a dispute down that stands on chain; whether it is new."""
    opened = tx.execute(
        "disputes.open",
        job_id=job.job_id,
        epoch=job.epoch,
        arbiter=arbiter,
        claimed_units=claimed_units,
        resolve_by_s=resolve_by_s,
        now_s=now_s,
    )
    return bool(opened)


def find(tx: Tx, job_id: str) -> DisputeRow | None:
    return tx.one_as(DisputeRow, "disputes.by_job", job_id=job_id)


def is_open(tx: Tx, job_id: str) -> bool:
    """Whether the arbiter has to decide, unless both sides agree."""
    found = find(tx, job_id)
    return found is not None and not found.status.is_final


def end(tx: Tx, job_id: str, state: DisputeState, decided_units: int, now_s: float) -> None:
    """The money has moved; nothing if there is no dispute, or it has ended before."""
    found = find(tx, job_id)
    if found is None or found.status.is_final:
        return
    check_dispute_step(found.status, state)
    tx.execute("disputes.end", job_id=job_id, state=state.value, decided_units=decided_units, now_s=now_s)


def end_given_back(tx: Tx, job_id: str, now_s: float) -> None:
    """The whole deposit is back at the buyer. Before the deadline only node and coordinator can do that."""
    found = find(tx, job_id)
    if found is not None:
        late = now_s >= found.resolve_by_s - CHAIN_CLOCK_SLACK_S
        end(tx, job_id, DisputeState.EXPIRED if late else DisputeState.CONCEDED, 0, now_s)


def say(tx: Tx, job_id: str, side: str, statement: Signed, now_s: float) -> bool:
    """Keep a side's statement; whether it is its first and so the one that counts."""
    kept = tx.execute(
        "disputes.say",
        job_id=job_id,
        side=side,
        payload=statement.payload,
        signer=statement.signer,
        signature=statement.signature,
        now_s=now_s,
    )
    return bool(kept)


def statements(tx: Tx, job_id: str) -> dict[str, Signed]:
    """What was said, by side."""
    rows = tx.rows("disputes.statements", job_id=job_id)
    return {row["side"]: Signed(row["payload"], row["signer"], row["signature"]) for row in rows}


def words(said: dict[str, Signed], side: str) -> str:
    """The text of a side's statement; empty if it said nothing."""
    return decode(DisputeStatement, said[side].payload).text if side in said else ""


def add_evidence(tx: Tx, job_id: str, found: Evidence) -> None:
    tx.execute("disputes.add_evidence", job_id=job_id, **asdict(found))


def evidence(tx: Tx, job_id: str) -> list[Evidence]:
    return tx.all_as(Evidence, "disputes.evidence", job_id=job_id, limit=DISPUTE_EVIDENCE_MAX)


def is_full(tx: Tx, job_id: str) -> bool:
    """Whether there is as much evidence as is kept."""
    row = tx.row("disputes.evidence_count", job_id=job_id)
    return row is not None and int(row["rows"]) >= DISPUTE_EVIDENCE_MAX


def review_of(tx: Tx, job_id: str) -> ReviewView | None:
    """A job's claim and its dispute, as its buyer sees them; None before a claim stands."""
    claim, found = outbox.claim_of(tx, job_id), find(tx, job_id)
    if found is None and (claim is None or claim.window_ends_at_s is None):
        return None
    window_ends_at_s = claim.window_ends_at_s if claim and claim.window_ends_at_s else 0.0
    if found is None:
        return ReviewView(claim.used_units or 0 if claim else 0, window_ends_at_s)
    said = statements(tx, job_id)
    return ReviewView(
        claimed_units=found.claimed_units,
        window_ends_at_s=window_ends_at_s,
        dispute=found.status,
        reason=words(said, BUYER),
        answer=words(said, NODE),
        opened_at_s=found.opened_at_s,
        resolve_by_s=found.resolve_by_s,
        ended_at_s=found.ended_at_s or 0.0,
        decided_units=found.decided_units,
    )
