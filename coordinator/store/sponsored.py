"""Transactions whose fees the coordinator pays."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.store.database import Row, Tx
from p2p.core.limits import SPONSORED_LOOK_S
from p2p.core.messages.sponsor import SponsoredAction

_HOUR_S = 3600.0

SIGNED, OPEN, DONE = "signed", "open", "done"


@dataclass(frozen=True, slots=True)
class Usage:
    """``recent``: signed for the wallet within the hour. ``rents``: of its other jobs, not back yet.
    ``unpaid``: accounts of anybody whose rent may still be taken."""

    recent: int
    rents: int
    unpaid: int


@dataclass(frozen=True, slots=True)
class SponsoredRow:
    """An Open whose rent is ours, or may become so."""

    signature: str
    wallet: str
    job_id: str
    state: str
    last_valid_height: int
    signed_at_s: float


def usage(tx: Tx, wallet: str, job_id: str, now_s: float) -> Usage:
    """Stays true until the transaction ends, once :func:`lock` was called in it."""
    found = tx.one_as(Usage, "sponsored.usage", wallet=wallet, job_id=job_id, since_s=now_s - _HOUR_S)
    assert found is not None  # an aggregate has one row
    return found


def lock(tx: Tx) -> None:
    """One at a time, over all coordinators of this database: the limits are counted over many rows."""
    tx.row("sponsored.lock")


def is_known(tx: Tx, signature: str) -> bool:
    return tx.row("sponsored.known", signature=signature) is not None


def add(
    tx: Tx,
    signature: str,
    wallet: str,
    job_id: str,
    action: SponsoredAction,
    last_valid_height: int,
    now_s: float,
) -> None:
    """Write a signature down before it is given away."""
    tx.execute(
        "sponsored.add",
        signature=signature,
        wallet=wallet,
        job_id=job_id,
        action=action.value,
        state=SIGNED if action is SponsoredAction.OPEN else DONE,
        last_valid_height=last_valid_height,
        now_s=now_s,
        look_at_s=now_s + SPONSORED_LOOK_S,
    )


def totals(tx: Tx, now_s: float) -> Row:
    """For the operator: ``rents`` of jobs that are not back, ``recent`` transactions of an hour."""
    found = tx.row("sponsored.totals", since_s=now_s - _HOUR_S)
    assert found is not None
    return found


def take(tx: Tx, now_s: float, limit: int) -> list[SponsoredRow]:
    return tx.all_as(
        SponsoredRow, "sponsored.take", now_s=now_s, until_s=now_s + SPONSORED_LOOK_S, limit=limit
    )
