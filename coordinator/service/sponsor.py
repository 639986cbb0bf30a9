"""The coordinator as fee payer: it signs what it has described itself, within limits, and sends nothing."""

from __future__ import annotations

import trio

from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.service.office import Office
from coordinator.service.orders import Orders, own_job
from coordinator.store import jobs, sponsored
from coordinator.store.database import Tx
from coordinator.store.records import LoginRow
from coordinator.store.sponsored import Usage
from p2p.chain.accounts import JOB_BYTES, JobStatus, OnChainJob, rent_lamports
from p2p.chain.keys import to_pubkey
from p2p.chain.sponsored import SponsoredCall, check_sponsored_message, price_max_microlamports
from p2p.chain.transaction import sign_message, signature_text
from p2p.core.agreement import run_limit_s
from p2p.core.errors import Refused, UserError
from p2p.core.ids import JobId, Wallet, parse_job_id, parse_wallet
from p2p.core.limits import (
    AMOUNT_MAX_UNITS,
    SPONSOR_CALLS_AT_ONCE_MAX,
    SPONSOR_RESERVE_LAMPORTS,
    SPONSORED_FEE_MAX_LAMPORTS,
    SPONSORED_PER_HOUR_MAX,
    SPONSORED_RENTS_MAX,
)
from p2p.core.messages.sponsor import (
    SponsoredAction,
    SponsorOffer,
    SponsorOfferRequest,
    SponsorReply,
    SponsorRequest,
)
from p2p.core.money import Asset
from p2p.core.signing import Domain, Signed, statement_hash

RENT_LAMPORTS = rent_lamports(JOB_BYTES)


class Sponsor:
    """``chain.sponsor_offer``, ``chain.sponsor``."""

    def __init__(self, context: Context, orders: Orders, office: Office) -> None:
        self._context = context
        self._orders = orders
        self._office = office
        self._places = trio.CapacityLimiter(SPONSOR_CALLS_AT_ONCE_MAX)

    async def offer(self, login: LoginRow, request: SponsorOfferRequest) -> SponsorOffer:
        """Whether an Open of this wallet would be paid for now."""
        if not self._context.settings.fee_payer:
            return SponsorOffer(False, _SWITCHED_OFF)
        async with self._places:
            lamports = await self._lamports()
        now_s = self._context.now_s()
        used = await self._context.run(lambda tx: sponsored.usage(tx, login.wallet, "", now_s))
        reason = _limit(used, SponsoredAction.OPEN, lamports)
        return SponsorOffer(not reason, reason)

    async def sponsor(self, login: LoginRow, request: SponsorRequest) -> SponsorReply:
        """Our signature over a message that is exactly what it says it is. Asked again, the same answer.

        :raises Refused: ``not_sponsored``; ``sponsored_differs``: the message is something else; of what
            locks money also ``paused``, ``asset_stopped``.
        """
        if not self._context.settings.fee_payer:
            raise _not_sponsored(_SWITCHED_OFF)
        chain, signer = self._context.chain, self._context.signer
        async with self._places:
            call, recent = await self._describe(login, request), await chain.recent()
            price_max = price_max_microlamports(recent.unit_price_microlamports)
            check_sponsored_message(request.message, call, signer.address, chain.chain, price_max)
            await self._check_session(call)
            lamports = await self._lamports()
        signature = sign_message(request.message, signer)
        now_s = self._context.now_s()

        def keep(tx: Tx) -> None:
            sponsored.lock(tx)
            text = signature_text(signature)
            if sponsored.is_known(tx, text):
                return
            reason = _limit(sponsored.usage(tx, call.owner, call.job_id, now_s), call.action, lamports)
            if reason:
                raise _not_sponsored(reason)
            sponsored.add(tx, text, call.owner, call.job_id, call.action, recent.last_valid_height, now_s)

        await self._context.run(keep)
        await self._context.effect(Boundary.SPONSORED)
        return SponsorReply(signature)

    async def _lamports(self) -> int:
        return await self._context.chain.wallet_balance(self._context.signer.address, Asset.SOL)

    async def _describe(self, login: LoginRow, request: SponsorRequest) -> SponsoredCall:
        """The one instruction that may be signed, from what we know ourselves."""
        actor, job_id = parse_wallet(request.signer), parse_job_id(request.job_id)
        to_pubkey(actor)
        if request.action is SponsoredAction.OPEN:
            return await self._describe_open(login, actor, job_id, request.terms)
        owner = Wallet(login.wallet)
        if request.action is not SponsoredAction.CANCEL:
            await self._context.run(lambda tx: own_job(login, jobs.find(tx, job_id)))
        job = await self._context.chain.existing_job(owner, job_id)
        await self._check_job(request, job)
        asset = self._context.chain.asset_of(job)
        return SponsoredCall(request.action, actor, owner, job_id, asset, request.units)

    async def _describe_open(
        self, login: LoginRow, actor: Wallet, job_id: JobId, signed: Signed | None
    ) -> SponsoredCall:
        if signed is None:
            raise UserError("bad_message", "The terms of the job are missing.", "Nothing was signed.")
        terms = self._orders.check_own_terms(login, signed)
        if terms.job_id != job_id or terms.expires_at_s <= self._context.now_s():
            raise _not_sponsored("the terms are another job's, or have expired")
        chain, owner = self._context.chain, Wallet(terms.buyer)
        if await chain.job(owner, job_id) is not None:
            raise _not_sponsored("the job is open already")
        run_s = run_limit_s(terms.timeout_s, self._context.on_chain.longest_job_s)
        terms_hash = statement_hash(Domain.TERMS, signed.payload)
        return SponsoredCall(
            SponsoredAction.OPEN, actor, owner, job_id, terms.asset, terms.deposit_units, terms_hash, run_s
        )

    async def _check_job(self, request: SponsorRequest, job: OnChainJob) -> None:
        """Whether the chain would take it: what fails costs its fee all the same."""
        if request.action is SponsoredAction.TOP_UP:
            if not 0 < request.units <= AMOUNT_MAX_UNITS:
                raise UserError("bad_amount", "The amount must be more than zero.", "Nothing was signed.")
            good = job.status in (JobStatus.OPEN, JobStatus.ASSIGNED)
        elif request.action is SponsoredAction.CANCEL:
            good = job.status is JobStatus.OPEN and self._context.keyring.find(job.rent_payer) is not None
        else:
            claimed = job.status is JobStatus.CLAIMED
            good = claimed and await self._context.chain.chain_time_s() < job.review_ends_at_s
        if not good:
            raise _not_sponsored(f"the job is {job.status.name.lower()} on the chain")

    async def _check_session(self, call: SponsoredCall) -> None:
        """Whether the key is the wallet's own and may do it, and whether the money is there."""
        chain = self._context.chain
        session = await chain.session(call.owner, call.actor)
        if session is None or chain.addresses.asset_of(to_pubkey(session.mint)) is not call.asset:
            raise _not_sponsored("the signer is not a session key of the wallet for this asset")
        if session.expires_at_s <= await chain.chain_time_s():
            raise _not_sponsored("the session key has expired")
        if call.action in (SponsoredAction.OPEN, SponsoredAction.TOP_UP):
            await self._office.check_open(call.asset)
            available = await chain.balance(call.owner, call.asset)
            if min(session.remaining_units, available) < call.units:
                raise _not_sponsored("the balance or the session key's allowance is too small")


_SWITCHED_OFF = "it does not pay for anybody"


def _limit(used: Usage, action: SponsoredAction, lamports: int) -> str:
    """Which limit stands against one more, as the rest of a sentence; empty if none does."""
    if used.recent >= SPONSORED_PER_HOUR_MAX:
        return f"it pays for {SPONSORED_PER_HOUR_MAX} transactions of a wallet in an hour"
    is_open = action is SponsoredAction.OPEN
    if is_open and used.rents >= SPONSORED_RENTS_MAX:
        return f"it pays the rent of {SPONSORED_RENTS_MAX} jobs of a wallet at once"
    accounts = used.unpaid + is_open
    if lamports < SPONSOR_RESERVE_LAMPORTS + SPONSORED_FEE_MAX_LAMPORTS + accounts * RENT_LAMPORTS:
        return "it has too little SOL itself"
    return ""


def _not_sponsored(reason: str) -> Refused:
    return Refused(
        "not_sponsored",
        f"The coordinator does not pay for this transaction: {reason}.",
        "It was not signed, and nothing moved.",
        "Pay with SOL of your own: `cyxwiz login` fills the session key up from your wallet.",
    )
