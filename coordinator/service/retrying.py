"""Chain actions that an operator wants looked at again. The settler does that; nothing is signed here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.core.limits import ACTION_LATE_S, RETRIES_LISTED_MAX


class Now(Enum):
    """What becomes of an action."""

    TRIED = "tried"
    FOLLOWED = "followed"
    OFFERED = "offered"
    LEFT = "left"

    @property
    def words(self) -> str:
        """For an operator."""
        return _WORDS[self]


_WORDS = {
    Now.TRIED: "tried again now: signed if the chain lets it be done",
    Now.FOLLOWED: "looked for on the chain, and sent again; signed anew only if these bytes can never land",
    Now.OFFERED: "waits for the buyer's signature again",
    Now.LEFT: "left as it is: another action took its place",
}


@dataclass(frozen=True, slots=True)
class Retried:
    """An action as it was, and what becomes of it now."""

    action: ActionRow
    now: Now


def retry(tx: Tx, job_id: str | None, now_s: float) -> list[Retried]:
    """Have actions looked at at once: those that do not succeed, or all unfinished ones of a job."""
    late_s = now_s - ACTION_LATE_S
    found = tx.all_as(ActionRow, "outbox.to_retry", job_id=job_id, late_s=late_s, limit=RETRIES_LISTED_MAX)
    return [Retried(action, _retry(tx, action, now_s)) for action in found]


def _retry(tx: Tx, action: ActionRow, now_s: float) -> Now:
    job = jobs.lock(tx, action.job_id)
    fresh = outbox.locked(tx, action.action_id)
    assert job is not None
    assert fresh is not None  # neither is ever deleted
    if fresh.state in ("prepared", "sent"):
        tx.execute("outbox.look_now", action_id=fresh.action_id, now_s=now_s)
    elif fresh.state == "failed" and _is_still_wanted(tx, fresh, job):
        tx.execute("outbox.revive", action_id=fresh.action_id, now_s=now_s)
    else:
        return Now.LEFT
    if fresh.signed_bytes is not None:
        return Now.FOLLOWED
    return Now.OFFERED if fresh.kind == outbox.SETTLE else Now.TRIED


def _is_still_wanted(tx: Tx, action: ActionRow, job: JobRow) -> bool:
    """Whether nothing has come to stand in the place of what was given up."""
    if action.kind == outbox.CLOSE:
        return job.status.is_final and not _is_live(tx, action)
    if job.status.is_final or action.epoch != job.epoch:
        return False
    return outbox.verdict_of(tx, job.job_id) is None and not _is_live(tx, action)


def _is_live(tx: Tx, action: ActionRow) -> bool:
    """Whether such an action is under way or done."""
    same = [other for other in outbox.of_job(tx, action.job_id) if other.kind == action.kind]
    return any(other.state in outbox.LIVE for other in same)
