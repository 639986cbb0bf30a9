"""Payment without a receipt: claim, dispute, resolve, finalize; and the end of a job's account."""

from __future__ import annotations

from collections.abc import Sequence

from p2p.chain.accounts import OnChainJob
from p2p.chain.keys import Signer
from p2p.chain.past import PastJob, read_past_job
from p2p.chain.sending import ChainSending
from p2p.chain.transaction import SignedTransaction
from p2p.core.errors import Bug, Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import GROUP_ACTIONS_MAX


class ReviewClient(ChainSending):
    """Operations of :class:`~p2p.chain.escrow.EscrowClient`. Each signs and returns; nothing is sent."""

    async def prepare_top_up(
        self, actor: Signer, owner: Wallet, job_id: JobId, units: int
    ) -> SignedTransaction:
        """Add to a job's deposit, before any claim or verdict. ``actor``: the owner or a session key."""
        if not 0 < units < 2**64:
            raise UserError("bad_amount", "The amount must be more than zero.")
        asset = self.asset_of(await self.existing_job(owner, job_id))
        instruction = self.build.top_up(actor.address, owner, job_id, asset, units)
        return await self.prepare([instruction], actor)

    async def prepare_claim(
        self, coordinator: Signer, owner: Wallet, job_id: JobId, used_units: int, result_hash: bytes
    ) -> SignedTransaction:
        """Say what a job used, and let its review window begin. While it is assigned, before its deadline.

        :raises Refused: no such job, or more used than deposited.
        """
        job = await self.existing_job(owner, job_id)
        if not 0 <= used_units <= job.deposit_units:
            raise Refused("used_too_much", f"{used_units} units is more than the deposit of job {job_id}.")
        instruction = self.build.claim(coordinator.address, owner, job_id, used_units, result_hash)
        return await self.prepare([instruction], coordinator)

    async def prepare_dispute(self, actor: Signer, owner: Wallet, job_id: JobId) -> SignedTransaction:
        """Contest a claim inside its review window; only the arbiter, or both sides, can pay it then."""
        await self.existing_job(owner, job_id)
        return await self.prepare([self.build.dispute(actor.address, owner, job_id)], actor)

    async def prepare_resolve(
        self, arbiter: Signer, owner: Wallet, job_id: JobId, used_units: int
    ) -> SignedTransaction:
        """Decide a disputed claim: ``used_units``, at most what was claimed, are paid for.

        :raises Refused: no such job, no claim, or more than was claimed.
        """
        job = await self.existing_job(owner, job_id)
        if not 0 <= used_units <= job.used_units:
            raise Refused("used_too_much", f"{used_units} units is more than was claimed for job {job_id}.")
        instruction = self.build.resolve(
            arbiter.address,
            owner,
            job_id,
            self.asset_of(job),
            node=_node_of(job),
            fee_owner=job.fee_owner,
            used_units=used_units,
        )
        return await self.prepare([instruction], arbiter)

    async def prepare_finalize(self, payer: Signer, owner: Wallet, job_id: JobId) -> SignedTransaction:
        """Pay a claim whose window has passed undisputed. Anyone may; ``payer`` pays the fee only.

        :raises Refused: no such job, or no node was assigned.
        """
        job = await self.existing_job(owner, job_id)
        asset = self.asset_of(job)
        return await self.prepare(
            [self.build.finalize(owner, job_id, asset, _node_of(job), job.fee_owner)], payer
        )

    async def seen_job(self, owner: Wallet, job_id: JobId) -> OnChainJob | PastJob | None:
        """As :meth:`job`, but a job whose account was closed is read from its transactions."""
        try:
            return await self.job(owner, job_id)
        except Refused as error:
            if error.code != "job_closed":
                raise
        return await read_past_job(self, self.addresses.job(owner, job_id))

    async def prepare_close(self, payer: Signer, jobs: Sequence[OnChainJob]) -> SignedTransaction:
        """Give the rent of ended jobs' accounts back to those who paid it. Anyone may.

        All in one transaction: if one of them cannot be closed, none is.
        """
        if not 0 < len(jobs) <= GROUP_ACTIONS_MAX:
            raise Bug(f"{len(jobs)} jobs to close at once")
        closes = [self.build.close(job.owner, job.job_id, job.rent_payer) for job in jobs]
        return await self.prepare(closes, payer)


def _node_of(job: OnChainJob) -> Wallet:
    if job.node is None:
        raise Refused("no_node", f"No node was assigned to job {job.job_id} on the chain.")
    return job.node
