"""How a chain action ends: done, overtaken, contradicted by the chain, or given up.

Only what is finalized ends one: what is merely confirmed can still be dropped by a fork.
"""

from __future__ import annotations

import logging

from coordinator.domain.reasons import Reason
from coordinator.service import signing, verdicts
from coordinator.service.context import Context
from coordinator.service.effects import of_action
from coordinator.service.signing import NotDue
from coordinator.service.verdicts import Judgement
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow
from p2p.chain.accounts import OnChainJob
from p2p.chain.config import FINALIZED
from p2p.chain.escrow import EscrowClient
from p2p.chain.past import PastJob
from p2p.core.errors import Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import SETTLER_POLL_S

logger = logging.getLogger(__name__)


class Endings:
    """Brings actions to their end, each in a transaction of its own."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def still_open(self, action: ActionRow) -> OnChainJob | None:
        """The job on chain, if the action is still to be done; otherwise the action has ended with this.

        :raises NotDue: the chain is not sure yet.
        """
        if action.kind == outbox.CLOSE:
            return await self._unclosed(action)
        on_chain = await self._seen(self._context.chain, action)
        judgement = verdicts.judge(action, on_chain)
        if judgement is Judgement.OPEN:
            assert isinstance(on_chain, OnChainJob)  # a closed one has ended
            return on_chain
        on_chain = await self._seen(self._context.chain.at(FINALIZED), action)
        if verdicts.judge(action, on_chain) is not judgement:
            raise NotDue(SETTLER_POLL_S)
        await self._end(action, on_chain, judgement)
        return None

    async def _unclosed(self, action: ActionRow) -> OnChainJob | None:
        """The account to close; that it was closed is seen without the job's history."""
        chain = self._context.chain.at(FINALIZED)
        try:
            return await chain.existing_job(await self._buyer(action), JobId(action.job_id))
        except Refused as error:
            if error.code != "job_closed":
                raise
        await self.finish(action)
        return None

    async def _end(self, action: ActionRow, on_chain: OnChainJob | PastJob, judgement: Judgement) -> None:
        now_s = self._context.now_s()
        match judgement:
            case Judgement.STANDS:
                await self.finish(action, on_chain)
            case Judgement.OVERTAKEN:
                await self._context.run(
                    lambda tx: tx.execute("outbox.overtaken", action_id=action.action_id, now_s=now_s)
                )
            case Judgement.GIVEN_BACK:
                job = await self._context.run(
                    lambda tx: close_given_back(tx, action.job_id, Reason.RECLAIMED, now_s)
                )
                if job is not None:
                    self._context.events.post(job.buyer)
            case _:
                await self.give_up(action, f"the chain's verdict is {on_chain.status.name.lower()}")

    async def finish(self, action: ActionRow, on_chain: OnChainJob | PastJob | None = None) -> None:
        """It is done. ``on_chain``: the job, unless the action's own transaction is known to have landed."""
        await self._context.effect(of_action(action, "landed"))
        done = await self._what_is_done(action, on_chain)
        job = await self._context.run(lambda tx: verdicts.confirm(tx, action, self._context.now_s(), done))
        await self._context.effect(of_action(action, "done"))
        if job is not None:
            self._context.events.post(job.buyer)
        self._context.dispatch.set()
        self._context.settle.set()
        self._context.moved.set()

    async def _what_is_done(self, action: ActionRow, on_chain: OnChainJob | PastJob | None) -> verdicts.Done:
        if action.kind == outbox.CLAIM:
            if on_chain is None:
                on_chain = await self._seen(self._context.chain.at(FINALIZED), action)
                if verdicts.judge(action, on_chain) is Judgement.OPEN:
                    raise NotDue(SETTLER_POLL_S)  # a node that is behind
            if isinstance(on_chain, PastJob):
                return verdicts.Done(window_ends_at_s=self._context.now_s())
            ends_at_s = await signing.window_ends_at_s(self._context, on_chain)
            return verdicts.Done(window_ends_at_s=ends_at_s)
        if on_chain is None:
            return verdicts.Done()
        arbiter = on_chain.arbiter if isinstance(on_chain, OnChainJob) else ""
        return verdicts.Done(used_units=on_chain.used_units, status=on_chain.status, arbiter=arbiter)

    async def give_up(self, action: ActionRow, error: str) -> None:
        """It cannot be done; an operator has to look."""
        now_s = self._context.now_s()
        await self._context.run(
            lambda tx: tx.execute("outbox.give_up", action_id=action.action_id, error=error, now_s=now_s)
        )
        logger.error("%s of job %s cannot be done: %s", action.kind, action.job_id, error)

    async def tell_buyer(self, action: ActionRow) -> None:
        """Something about the action has changed that the buyer's engine should look at."""
        self._context.events.post(await self._buyer(action))

    async def _seen(self, chain: EscrowClient, action: ActionRow) -> OnChainJob | PastJob:
        on_chain = await chain.seen_job(await self._buyer(action), JobId(action.job_id))
        if on_chain is None:
            raise Refused("no_such_escrow", f"No escrow was opened for job {action.job_id}.")
        return on_chain

    async def _buyer(self, action: ActionRow) -> Wallet:
        job = await self._context.run(lambda tx: jobs.find(tx, action.job_id))
        assert job is not None  # the outbox refers to it
        return Wallet(job.buyer)


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
    return None if job.status.is_final else verdicts.given_back(tx, job, reason, now_s)
