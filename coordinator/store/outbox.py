"""Chain actions on their way, see the table ``outbox`` for their states."""

from __future__ import annotations

from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow

ASSIGN, SETTLE, REFUND = "assign", "settle", "refund"


def add(
    tx: Tx,
    job: JobRow,
    kind: str,
    now_s: float,
    *,
    state: str = "prepared",
    used_units: int | None = None,
    result_hash: bytes | None = None,
) -> ActionRow:
    """Want an action; the settler does it.

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
    )
    assert row is not None
    return row


def refund(tx: Tx, job: JobRow, now_s: float) -> None:
    """Everything back: what was not signed yet is called back first."""
    tx.execute("outbox.supersede", job_id=job.job_id, kind=ASSIGN, now_s=now_s)
    add(tx, job, REFUND, now_s)


def of_job(tx: Tx, job_id: str) -> list[ActionRow]:
    return tx.all_as(ActionRow, "outbox.of_job", job_id=job_id)


def verdict_of(tx: Tx, job_id: str) -> ActionRow | None:
    """The latest Settle or Refund that was not given up."""
    found = [a for a in of_job(tx, job_id) if a.kind != ASSIGN and a.state not in ("superseded", "failed")]
    return found[-1] if found else None


def locked(tx: Tx, action_id: int) -> ActionRow | None:
    return tx.one_as(ActionRow, "outbox.lock", action_id=action_id)
