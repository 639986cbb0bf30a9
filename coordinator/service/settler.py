"""Does the outbox's chain actions, so that a crash at any point neither loses nor doubles one.

Signed bytes, their signature and their last valid height are stored before they are sent. The same bytes
are sent until they are confirmed, or until they can never land; only then is the action signed anew.
"""

from __future__ import annotations

import logging

from coordinator.domain.reasons import Reason
from coordinator.service import signing, verdicts
from coordinator.service.context import Context
from coordinator.service.loops import surviving
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.chain.accounts import OnChainJob
from p2p.chain.errors import ProgramRefused
from p2p.chain.past import PastJob
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import (
    SETTLER_BACKOFF_MAX_S,
    SETTLER_BATCH_MAX,
    SETTLER_IDLE_S,
    SETTLER_POLL_S,
    SETTLER_TAKE_S,
)

logger = logging.getLogger(__name__)

_QUICK_TRIES = 20
"""Tries at ``SETTLER_POLL_S`` before the pauses grow: what lands at all lands within seconds."""


class Settler:
    """The outbox worker. Several, in several coordinators, may run on one database."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            wait_s = SETTLER_IDLE_S
            with surviving("settler"):
                await self._pass()
                wait_s = await self._until_next_s()
            await self._context.settle.wait(wait_s)

    async def _pass(self) -> int:
        now_s = self._context.now_s()
        due = await self._context.run(
            lambda tx: tx.all_as(ActionRow, "outbox.due", now_s=now_s, limit=SETTLER_BATCH_MAX)
        )
        for action in due:
            await self.work_on(action.action_id)
        return len(due)

    async def _until_next_s(self) -> float:
        row = await self._context.run(lambda tx: tx.row("outbox.next_due"))
        if row is None or row["at_s"] is None:
            return SETTLER_IDLE_S
        return float(min(max(row["at_s"] - self._context.now_s(), 0.0) + 0.01, SETTLER_IDLE_S))

    async def work_on(self, action_id: int) -> None:
        """One step of one action, unless another worker has it."""
        now_s = self._context.now_s()
        taken = await self._context.run(
            lambda tx: tx.one_as(
                ActionRow, "outbox.take", action_id=action_id, now_s=now_s, until_s=now_s + SETTLER_TAKE_S
            )
        )
        if taken is None:
            return
        try:
            await self._step(taken)
        except signing.NotDue as pause:
            await self._postpone_for(taken, pause.wait_s, "")
        except signing.TooLate as error:
            await self._give_up(taken, str(error))
        except (EnvironmentFailure, Refused) as error:
            logger.warning("%s of job %s: %s", taken.kind, taken.job_id, error.what)
            await self._postpone(taken, error.what)
        except Exception as mistake:
            # Kept with the action, where `status` shows it; the money of other jobs goes on.
            logger.exception("%s of job %s", taken.kind, taken.job_id)
            await self._postpone(taken, f"a mistake of the coordinator's: {mistake!r}")

    async def _step(self, action: ActionRow) -> None:
        await self._context.effect("taken")
        if action.state == "prepared":
            signed = await self._sign(action)
            if signed is None:
                return
            action = signed
        await self._follow(action)

    async def _sign(self, action: ActionRow) -> ActionRow | None:
        """Sign and store, but first look whether the chain has it already; None when that is the end."""
        job, on_chain = await self._both(action)
        if await self._is_decided(action, on_chain):
            return None
        assert isinstance(on_chain, OnChainJob)  # a closed one has ended, and that decides
        transaction = await signing.sign(self._context, action, job, on_chain)
        await self._context.effect("signed")
        stored = await self._context.run(lambda tx: self._store(tx, action, transaction))
        await self._context.effect("stored")
        return stored

    def _store(self, tx: Tx, action: ActionRow, transaction: SignedTransaction) -> ActionRow | None:
        return tx.one_as(
            ActionRow,
            "outbox.signed",
            action_id=action.action_id,
            signed_bytes=transaction.raw,
            signature=transaction.signature,
            last_valid_height=transaction.last_valid_height,
            now_s=self._context.now_s(),
        )

    async def _follow(self, action: ActionRow) -> None:
        """Bytes are stored: find out what became of them, and send them (again) if nothing did."""
        outcome = await self._context.chain.outcome(action.signature, action.last_valid_height or 0)
        if outcome.kind is OutcomeKind.PENDING:
            await self._broadcast(action)
            await self._context.effect("broadcast")
            outcome = await self._context.chain.outcome(action.signature, action.last_valid_height or 0)
        if outcome.kind is OutcomeKind.CONFIRMED:
            await self._finish(action)
        elif outcome.kind is OutcomeKind.PENDING:
            await self._postpone(action, "")
        else:
            _, on_chain = await self._both(action)
            if not await self._is_decided(action, on_chain):
                await self._again(action, outcome.error or outcome.kind.value)

    async def _broadcast(self, action: ActionRow) -> None:
        try:
            await self._context.chain.broadcast(action.signed_bytes or b"")
        except ProgramRefused:
            # It may be refused because it, or another verdict, has landed: the chain's state tells.
            _, on_chain = await self._both(action)
            if not await self._is_decided(action, on_chain):
                raise

    async def _both(self, action: ActionRow) -> tuple[JobRow, OnChainJob | PastJob]:
        job = await self._context.run(lambda tx: jobs.find(tx, action.job_id))
        if job is None:
            raise Refused("unknown_job", f"There is no job {action.job_id}.")
        on_chain = await self._context.chain.seen_job(Wallet(job.buyer), JobId(job.job_id))
        if on_chain is None:
            raise Refused("no_such_escrow", f"No escrow was opened for job {job.job_id}.")
        return job, on_chain

    async def _is_decided(self, action: ActionRow, on_chain: OnChainJob | PastJob) -> bool:
        if verdicts.stands(action, on_chain):
            await self._finish(action, on_chain)
            return True
        if verdicts.overtaken(action, on_chain):
            now_s = self._context.now_s()
            await self._context.run(
                lambda tx: tx.execute("outbox.overtaken", action_id=action.action_id, now_s=now_s)
            )
            return True
        if verdicts.contradicts(action, on_chain):
            await self._given_back(action.job_id, Reason.RECLAIMED)
            return True
        if on_chain.status.final:
            await self._give_up(action, f"the chain's verdict is {on_chain.status.name.lower()}")
            return True
        return False

    async def _give_up(self, action: ActionRow, error: str) -> None:
        now_s = self._context.now_s()
        await self._context.run(
            lambda tx: tx.execute("outbox.give_up", action_id=action.action_id, error=error, now_s=now_s)
        )
        logger.error("%s of job %s cannot be done: %s", action.kind, action.job_id, error)

    async def _finish(self, action: ActionRow, on_chain: OnChainJob | PastJob | None = None) -> None:
        await self._context.effect("confirmed")
        done = await self._what_is_done(action, on_chain)
        job = await self._context.run(lambda tx: verdicts.confirm(tx, action, self._context.now_s(), done))
        await self._context.effect("posted")
        if job is not None:
            self._context.events.post(job.buyer)
        self._context.dispatch.set()
        self._context.settle.set()

    async def _what_is_done(self, action: ActionRow, on_chain: OnChainJob | PastJob | None) -> verdicts.Done:
        """``on_chain``: the job, unless the action's own transaction is known to have landed."""
        if action.kind == outbox.CLAIM:
            if on_chain is None:
                _, on_chain = await self._both(action)
            if isinstance(on_chain, PastJob):
                return verdicts.Done(window_ends_at_s=self._context.now_s())
            ends_at_s = await signing.window_ends_at_s(self._context, on_chain)
            return verdicts.Done(window_ends_at_s=ends_at_s)
        return verdicts.Done(used_units=None if on_chain is None else on_chain.used_units)

    async def _given_back(self, job_id: str, reason: Reason) -> None:
        job = await self._context.run(lambda tx: close_given_back(tx, job_id, reason, self._context.now_s()))
        if job is not None:
            self._context.events.post(job.buyer)

    async def _again(self, action: ActionRow, error: str) -> None:
        await self._context.run(
            lambda tx: tx.execute(
                "outbox.again",
                action_id=action.action_id,
                signature=action.signature,
                error=error,
                now_s=self._context.now_s(),
            )
        )
        if action.kind == outbox.SETTLE:
            job = await self._context.run(lambda tx: jobs.find(tx, action.job_id))
            if job is not None:
                self._context.events.post(job.buyer)
        self._context.settle.set()

    async def _postpone(self, action: ActionRow, error: str) -> None:
        grown = 2.0 ** max(0, action.attempts - _QUICK_TRIES)
        await self._postpone_for(action, min(SETTLER_POLL_S * grown, SETTLER_BACKOFF_MAX_S), error)

    async def _postpone_for(self, action: ActionRow, pause_s: float, error: str) -> None:
        now_s = self._context.now_s()
        await self._context.run(
            lambda tx: tx.execute(
                "outbox.postpone",
                action_id=action.action_id,
                until_s=now_s + pause_s,
                error=error[:500],
                now_s=now_s,
            )
        )


def close_given_back(tx: Tx, job_id: str, reason: Reason, now_s: float) -> JobRow | None:
    """End a job here whose deposit is back at the buyer on chain."""
    job = jobs.lock(tx, job_id)
    if job is None:
        return None
    # What was sent can no longer land: the escrow is closed to it.
    for action in outbox.of_job(tx, job_id):
        if action.state == "sent":
            tx.execute(
                "outbox.give_up", action_id=action.action_id, now_s=now_s, error="the deposit went back"
            )
    return None if job.status.is_final else verdicts.given_back(tx, job, "", reason, now_s)
