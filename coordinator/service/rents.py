"""The rents that the coordinator paid for buyers: followed until they are back.

A job that was queued is closed by :mod:`coordinator.service.settler`, like any other. One that was opened and
never queued is known to nobody else: after a while its deposit goes back to the buyer, and it is closed.
"""

from __future__ import annotations

import logging

from coordinator.service.context import Context
from coordinator.service.loops import surviving
from coordinator.store import jobs, sponsored
from coordinator.store.sponsored import DONE, OPEN, SIGNED, SponsoredRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.config import FINALIZED
from p2p.chain.errors import ProgramRefused
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.errors import Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import SPONSORED_KEPT_S, SPONSORED_UNQUEUED_S, SWEEP_BATCH_MAX

logger = logging.getLogger(__name__)


class Rents:
    """The sweep over sponsored Opens."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def sweep(self) -> int:
        """Look at what is due; how many."""
        now_s = self._context.now_s()
        await self._context.run(lambda tx: tx.execute("sponsored.forget", before_s=now_s - SPONSORED_KEPT_S))
        taken = await self._context.run(lambda tx: sponsored.take(tx, now_s, SWEEP_BATCH_MAX))
        for row in taken:
            with surviving(f"the rent of job {row.job_id}"):
                state = await self._look(row)
                if state != row.state:
                    await self._move(row.signature, state)
        return len(taken)

    async def _move(self, signature: str, state: str) -> None:
        await self._context.run(lambda tx: tx.execute("sponsored.move", signature=signature, state=state))

    async def _look(self, row: SponsoredRow) -> str:
        """The state of an Open now; moves on what nobody else would."""
        landed = True
        if row.state == SIGNED:
            outcome = await self._context.chain.outcome(
                row.signature, row.last_valid_height, commitment=FINALIZED, state_decides=True
            )
            if outcome.kind is OutcomeKind.PENDING:
                return SIGNED
            landed = outcome.kind is OutcomeKind.CONFIRMED
        try:
            job = await self._context.chain.job(Wallet(row.wallet), JobId(row.job_id))
        except Refused:  # closed: the rent is back
            return DONE
        if job is None:
            return row.state if landed else DONE  # a node that lags: an account is not gone without a trace
        if self._context.keyring.find(job.rent_payer) is None:
            return DONE  # opened after all, with the buyer's own SOL
        if await self._context.run(lambda tx: jobs.find(tx, row.job_id)) is None:
            await self._give_back(job, row.signed_at_s)
        return OPEN

    async def _give_back(self, job: OnChainJob, signed_at_s: float) -> None:
        """Refund what was never queued, then close it. Neither does harm twice, so nothing is written down:
        what did not land is signed anew at the next look."""
        chain, signer = self._context.chain, self._context.signer
        if job.status.final:
            await self._send(await chain.prepare_close(signer, [job]))
        elif job.status is JobStatus.OPEN and self._context.now_s() > signed_at_s + SPONSORED_UNQUEUED_S:
            logger.info("job %s was opened but never queued: its deposit goes back", job.job_id)
            coordinator = self._context.keyring.signer(job.coordinator)
            await self._send(await chain.prepare_refund(coordinator, job.owner, job.job_id))

    async def _send(self, transaction: SignedTransaction) -> None:
        try:
            await self._context.chain.broadcast(transaction.raw)
        except ProgramRefused as error:
            logger.info("rent of a job: %s", error.what)
