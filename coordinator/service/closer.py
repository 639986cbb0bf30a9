"""Closes the accounts of ended jobs, several in one transaction, so that their rent goes back.

Nobody waits for it and the ledger knows nothing of it. The rule is the settler's: signed bytes are stored
before they are sent, and signed anew only when they can never land.
"""

from __future__ import annotations

import logging
from functools import partial

from coordinator.service.context import Context
from coordinator.store import jobs
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow
from p2p.chain.accounts import OnChainJob
from p2p.chain.errors import ProgramRefused
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.errors import Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CLOSE_AGAIN_S, CLOSE_BATCH_MAX, CLOSE_BATCHES_PER_SWEEP_MAX

logger = logging.getLogger(__name__)


class Closer:
    """The sweep over escrows that have ended."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def sweep(self) -> int:
        """Close what is due; how many accounts were looked at."""
        seen = 0
        for _ in range(CLOSE_BATCHES_PER_SWEEP_MAX):
            taken = await self._take()
            if not taken:
                break
            seen += len(taken)
            await self._work_on(taken)
        return seen

    async def _take(self) -> list[ActionRow]:
        """A batch for this worker alone; if it does not finish, it is due again after a while."""
        now_s = self._context.now_s()
        return await self._context.run(
            lambda tx: tx.all_as(
                ActionRow,
                "outbox.take_closes",
                now_s=now_s,
                until_s=now_s + CLOSE_AGAIN_S,
                limit=CLOSE_BATCH_MAX,
            )
        )

    async def _work_on(self, taken: list[ActionRow]) -> None:
        await self._context.effect("close taken")
        sent: dict[str, list[ActionRow]] = {}
        fresh = []
        for action in taken:
            if action.state == "sent":
                sent.setdefault(action.signature, []).append(action)
            else:
                fresh.append(action)
        for batch in sent.values():
            await self._follow(batch)
        batch = await self._sign(fresh)
        if batch:
            await self._follow(batch)

    async def _sign(self, actions: list[ActionRow]) -> list[ActionRow]:
        """Sign and store one transaction for all whose account is still there."""
        open_jobs: list[OnChainJob] = []
        wanted = []
        for action in actions:
            job = await self._still_there(action)
            if job is not None:
                open_jobs.append(job)
                wanted.append(action)
        if not wanted:
            return []
        transaction = await self._context.chain.prepare_close(self._context.signer, open_jobs)
        await self._context.effect("close signed")
        stored = await self._context.run(partial(self._store, actions=wanted, transaction=transaction))
        await self._context.effect("close stored")
        return stored

    def _store(self, tx: Tx, *, actions: list[ActionRow], transaction: SignedTransaction) -> list[ActionRow]:
        now_s = self._context.now_s()
        rows = [
            tx.one_as(
                ActionRow,
                "outbox.close_signed",
                action_id=action.action_id,
                signed_bytes=transaction.raw,
                signature=transaction.signature,
                last_valid_height=transaction.last_valid_height,
                now_s=now_s,
            )
            for action in actions
        ]
        return [row for row in rows if row is not None]

    async def _still_there(self, action: ActionRow) -> OnChainJob | None:
        """The account to close; None if it is closed already, or must not be closed."""
        job = await self._context.run(lambda tx: jobs.find(tx, action.job_id))
        assert job is not None  # the outbox refers to it
        try:
            on_chain = await self._context.chain.existing_job(Wallet(job.buyer), JobId(job.job_id))
        except Refused:
            await self._done([action])
            return None
        if not on_chain.status.final:
            logger.error(
                "job %s has ended here, but is %s on chain", job.job_id, on_chain.status.name.lower()
            )
            return None
        return on_chain

    async def _follow(self, batch: list[ActionRow]) -> None:
        chain, first = self._context.chain, batch[0]
        height = first.last_valid_height or 0
        outcome = await chain.outcome(first.signature, height)
        if outcome.kind is OutcomeKind.PENDING:
            try:
                await chain.broadcast(first.signed_bytes or b"")
            except ProgramRefused as error:
                logger.info("close of %d jobs: %s", len(batch), error.what)
            await self._context.effect("close broadcast")
            outcome = await chain.outcome(first.signature, height)
        if outcome.kind is OutcomeKind.CONFIRMED:
            await self._done(batch)
        elif outcome.kind is not OutcomeKind.PENDING:
            await self._again(batch, outcome.error or outcome.kind.value)

    async def _done(self, batch: list[ActionRow]) -> None:
        now_s = self._context.now_s()

        def work(tx: Tx) -> None:
            for action in batch:
                tx.execute("outbox.done", action_id=action.action_id, now_s=now_s, window_ends_at_s=None)

        await self._context.run(work)
        await self._context.effect("close done")

    async def _again(self, batch: list[ActionRow], error: str) -> None:
        now_s = self._context.now_s()

        def work(tx: Tx) -> None:
            for action in batch:
                tx.execute(
                    "outbox.again",
                    action_id=action.action_id,
                    signature=action.signature,
                    error=error,
                    now_s=now_s,
                )

        await self._context.run(work)
