"""The escrow program's client: the one way to money for engine, node, coordinator and wallets."""

from __future__ import annotations

from p2p.chain.config import ChainConfig
from p2p.chain.history import HistoryEntry, read_history
from p2p.chain.instructions import create_token_account, transfer_lamports
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.review import ReviewClient
from p2p.chain.settlement import SettleMessage, SettleTerms, settle_instruction
from p2p.chain.transaction import SignedTransaction, build_message
from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import HISTORY_ENTRIES_MAX, SESSION_MAX_S
from p2p.core.money import Asset


class EscrowClient(ReviewClient):
    """An async context manager. Amounts are base units, times seconds since 1970.

    ``prepare_*`` sign and return; persist the result before ``broadcast``. The other operations send
    and wait: they raise :class:`~p2p.chain.errors.ProgramRefused` when the chain says no and
    :class:`~p2p.core.errors.EnvironmentFailure` when it cannot be reached.
    """

    def __init__(self, config: ChainConfig, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(config, clock)

    # -- people

    async def prepare_deposit(self, owner: Signer, asset: Asset, units: int) -> SignedTransaction:
        """From the owner's wallet into their escrow balance."""
        _check_positive(units)
        return await self.prepare([self.build.deposit(owner.address, asset, units)], owner)

    async def deposit(self, owner: Signer, asset: Asset, units: int) -> str:
        """As :meth:`prepare_deposit`, sent and confirmed; the signature."""
        return await self.send_and_confirm(await self.prepare_deposit(owner, asset, units))

    async def prepare_withdraw(self, owner: Signer, asset: Asset, units: int) -> SignedTransaction:
        """From the owner's escrow balance into their own wallet; makes their USDC account if need be."""
        _check_positive(units)
        instructions = [self.build.withdraw(owner.address, asset, units)]
        if asset is not Asset.SOL:
            key = to_pubkey(owner.address)
            instructions.insert(0, create_token_account(key, key, self.addresses.mint(asset)))
        return await self.prepare(instructions, owner)

    async def withdraw(self, owner: Signer, asset: Asset, units: int) -> str:
        """As :meth:`prepare_withdraw`, sent and confirmed; the signature."""
        return await self.send_and_confirm(await self.prepare_withdraw(owner, asset, units))

    async def authorize(
        self,
        owner: Signer,
        session_key: Wallet,
        asset: Asset,
        allowance_units: int,
        expires_at_s: int,
        fund_lamports: int = 0,
    ) -> str:
        """Let ``session_key`` open and settle jobs in ``asset`` for the owner, up to the allowance in all.

        Set anew if it exists. ``fund_lamports`` go to the key in the same transaction, for its fees and
        the rent of jobs. The program allows at most ``SESSION_MAX_S`` from now.
        """
        _check_positive(allowance_units)
        if expires_at_s > self._clock.now_s() + SESSION_MAX_S:
            days = SESSION_MAX_S // (24 * 3600)
            raise UserError(
                "session_too_long",
                f"A session key lasts at most {days} days.",
                "It was not authorised.",
                "Choose an earlier end; it can be renewed.",
            )
        instructions = [
            self.build.authorize(owner.address, session_key, asset, allowance_units, expires_at_s)
        ]
        if fund_lamports:
            instructions.append(transfer_lamports(owner.address, session_key, fund_lamports))
        return await self.send_and_confirm(await self.prepare(instructions, owner))

    async def revoke(self, owner: Signer, session_key: Wallet) -> str:
        """End a session at once; its rent goes back to the owner."""
        transaction = await self.prepare([self.build.revoke(owner.address, session_key)], owner)
        return await self.send_and_confirm(transaction)

    async def history(self, wallet: Wallet, limit: int = 50) -> list[HistoryEntry]:
        """The wallet's escrow transactions, newest first; failed ones are left out."""
        return await read_history(self, wallet, min(limit, HISTORY_ENTRIES_MAX))

    # -- buyer: ``actor`` is the owner or an authorised session key

    async def prepare_open(
        self,
        actor: Signer,
        owner: Wallet,
        job_id: JobId,
        asset: Asset,
        deposit_units: int,
        terms_hash: bytes,
        run_seconds: int,
    ) -> SignedTransaction:
        """Lock a deposit for a job. The actor pays the account's rent, and gets it back by Close.

        ``run_seconds``: how long the job may take from its first Assign until a verdict.
        """
        _check_positive(deposit_units)
        instruction = self.build.open(
            actor.address,
            owner,
            job_id,
            asset,
            deposit_units=deposit_units,
            terms_hash=terms_hash,
            run_s=run_seconds,
        )
        return await self.prepare([instruction], actor)

    async def prepare_cancel(self, actor: Signer, owner: Wallet, job_id: JobId) -> SignedTransaction:
        """Everything back to the buyer's balance, while no node is assigned."""
        asset = self.asset_of(await self.existing_job(owner, job_id))
        return await self.prepare([self.build.cancel(actor.address, owner, job_id, asset)], actor)

    async def prepare_reclaim(self, payer: Signer, owner: Wallet, job_id: JobId) -> SignedTransaction:
        """Everything back to the buyer's balance, after the deadline; anyone may do it."""
        asset = self.asset_of(await self.existing_job(owner, job_id))
        return await self.prepare([self.build.reclaim(owner, job_id, asset)], payer)

    async def cancel(self, actor: Signer, owner: Wallet, job_id: JobId) -> str:
        """As :meth:`prepare_cancel`, sent and confirmed; the signature."""
        return await self.send_and_confirm(await self.prepare_cancel(actor, owner, job_id))

    async def reclaim(self, payer: Signer, owner: Wallet, job_id: JobId) -> str:
        """As :meth:`prepare_reclaim`, sent and confirmed; the signature."""
        return await self.send_and_confirm(await self.prepare_reclaim(payer, owner, job_id))

    # -- coordinator

    async def prepare_assign(
        self, coordinator: Signer, owner: Wallet, job_id: JobId, node: Wallet
    ) -> SignedTransaction:
        """Name the node that a verdict may pay. The coordinator pays for balances not yet there."""
        job = await self.existing_job(owner, job_id)
        asset = self.asset_of(job)
        instruction = self.build.assign(coordinator.address, owner, job_id, asset, node, job.fee_owner)
        return await self.prepare([instruction], coordinator)

    async def prepare_refund(self, by: Signer, owner: Wallet, job_id: JobId) -> SignedTransaction:
        """Everything back to the buyer's balance; ``by`` is the job's coordinator or its node."""
        asset = self.asset_of(await self.existing_job(owner, job_id))
        return await self.prepare([self.build.refund(by.address, owner, job_id, asset)], by)

    async def settle_terms(
        self, owner: Wallet, job_id: JobId, actor: Wallet, used_units: int, result_hash: bytes
    ) -> SettleTerms:
        """The terms of a settlement as the job's account fixes them.

        :raises Refused: no such job, no node assigned, or more used than deposited.
        """
        job = await self.existing_job(owner, job_id)
        if job.node is None:
            raise Refused("no_node", f"No node was assigned to job {job_id} on the chain.")
        if not 0 <= used_units <= job.deposit_units:
            raise Refused("used_too_much", f"{used_units} units is more than the deposit of job {job_id}.")
        return SettleTerms(
            coordinator=job.coordinator,
            actor=actor,
            owner=owner,
            job_id=job_id,
            asset=self.asset_of(job),
            node=job.node,
            fee_owner=job.fee_owner,
            used_units=used_units,
            result_hash=result_hash,
        )

    async def build_settle(self, terms: SettleTerms) -> SettleMessage:
        """The message that both sides sign, the coordinator paying the fee.

        Then: the buyer's side calls ``check_settle_message`` and ``sign_message``; the coordinator
        ``sign_message`` and ``assemble``; the result is persisted and broadcast.
        """
        recent = await self.recent()
        message = build_message([settle_instruction(terms, self.chain)], terms.coordinator, recent)
        return SettleMessage(message, recent.last_valid_height)


def _check_positive(units: int) -> None:
    if not 0 < units < 2**64:
        raise UserError("bad_amount", "The amount must be more than zero.")
