"""Chain actions on their way, see the table ``outbox`` for their states."""

from __future__ import annotations

from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.core.limits import CLOSE_AFTER_S

ASSIGN, SETTLE, REFUND = "assign", "settle", "refund"
CLAIM, FINALIZE = "claim", "finalize"
CLOSE = "close"
_VERDICTS = (SETTLE, REFUND, FINALIZE)
LIVE = ("waiting", "prepared", "sent", "confirmed")


def add(
    tx: Tx,
    job: JobRow,
    kind: str,
    now_s: float,
    *,
    state: str = "prepared",
    used_units: int | None = None,
    result_hash: bytes | None = None,
    after_s: float = 0.0,
) -> ActionRow:
    """Want an action, after a while; the settler does it.

    :raises UniqueBroken: (out of the transaction) such an action is under way already.
    """
    row = tx.one_as(
        ActionRow,
        "outbox.insert",
        job_id=job.job_id,
        kind=kind,
        state=state,
        epoch=job.epoch,
        node_wallet=job.node_wallet,
        used_units=used_units,
        result_hash=result_hash,
        actor=None,
        message=None,
        last_valid_height=None,
        now_s=now_s,
        due_s=now_s + after_s,
    )
    assert row is not None
    return row


def close(tx: Tx, job: JobRow, now_s: float) -> None:
    """Want the account of an ended job closed; there is no hurry."""
    add(tx, job, CLOSE, now_s, after_s=CLOSE_AFTER_S)


def refund(tx: Tx, job: JobRow, now_s: float) -> None:
    """Everything back: what was not signed yet is called back first."""
    for kind in (ASSIGN, CLAIM, FINALIZE):
        supersede(tx, job.job_id, kind, now_s)
    add(tx, job, REFUND, now_s)


def of_job(tx: Tx, job_id: str) -> list[ActionRow]:
    return tx.all_as(ActionRow, "outbox.of_job", job_id=job_id)


def supersede(tx: Tx, job_id: str, kind: str, now_s: float) -> None:
    """Call back what was not signed yet; what was sent stays."""
    tx.execute("outbox.supersede", job_id=job_id, kind=kind, now_s=now_s)


def verdict_of(tx: Tx, job_id: str) -> ActionRow | None:
    """The Settle, Refund or Finalize that was not given up; there is one at most."""
    return _latest(tx, job_id, _VERDICTS)


def claim_of(tx: Tx, job_id: str) -> ActionRow | None:
    """The Claim that was not given up."""
    return _latest(tx, job_id, (CLAIM,))


def _latest(tx: Tx, job_id: str, kinds: tuple[str, ...]) -> ActionRow | None:
    found = [a for a in of_job(tx, job_id) if a.kind in kinds and a.state in LIVE]
    return found[-1] if found else None


def locked(tx: Tx, action_id: int) -> ActionRow | None:
    return tx.one_as(ActionRow, "outbox.lock", action_id=action_id)
