"""Who pays the network's fees of what a session key signs: the key, or the coordinator if it has no SOL.

The coordinator signs first, as fee payer. Only the session key's signature makes a transaction that can land,
and it is given here and afterwards: nothing can land before the caller has journaled it.
"""

from __future__ import annotations

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.chain.sponsored import SponsoredCall, call_instruction
from p2p.chain.transaction import SignedTransaction, assemble, build_message, sign_message
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import SESSION_FEE_LAMPORTS, SESSION_LOW_LAMPORTS
from p2p.core.messages.sponsor import (
    SponsoredAction,
    SponsorOffer,
    SponsorOfferRequest,
    SponsorReply,
    SponsorRequest,
)
from p2p.core.money import Asset, format_amount
from p2p.core.signing import Signed
from p2p.engine.context import Engine


async def is_offered(engine: Engine) -> SponsorOffer:
    """Whether the coordinator would pay for the next job; without an answer it would not."""
    try:
        return await engine.link.call("chain.sponsor_offer", SponsorOfferRequest(), SponsorOffer)
    except (UserError, EnvironmentFailure) as error:
        return SponsorOffer(False, f"it was asked in vain ({error.what.rstrip('.')})")


async def needs_sponsor(
    engine: Engine, chain: EscrowClient, signer: Signer, owner: Wallet, action: SponsoredAction
) -> bool:
    """Whether the coordinator has to pay for the session key ``signer``, and would.

    :raises Refused: ``session_no_sol``: neither of them pays.
    """
    needed = SESSION_LOW_LAMPORTS if action is SponsoredAction.OPEN else SESSION_FEE_LAMPORTS
    has = await chain.wallet_balance(signer.address, Asset.SOL)
    if has >= needed:
        return False
    offer = await is_offered(engine)
    if not offer.offered:
        raise await _no_sol(engine, owner, has, needed, offer.reason)
    return True


async def prepare(
    engine: Engine, chain: EscrowClient, signer: Signer, call: SponsoredCall, terms: Signed | None = None
) -> SignedTransaction:
    """The signed transaction for one call of a session key; journal it, then send it. ``terms``: of an Open.

    :raises Refused: ``session_no_sol``, or what the coordinator says against this very call.
    """
    if not await needs_sponsor(engine, chain, signer, call.owner, call.action):
        return await chain.prepare([call_instruction(call, chain.chain, signer.address)], signer)
    payer, recent = (await chain.config()).coordinator, await chain.recent()
    message = build_message([call_instruction(call, chain.chain, payer)], payer, recent)
    request = SponsorRequest(call.action, call.job_id, signer.address, message, call.units, terms)
    reply = await engine.link.call("chain.sponsor", request, SponsorReply)
    signatures = {payer: reply.signature, signer.address: sign_message(message, signer)}
    return assemble(message, signatures, recent.last_valid_height)


async def prepare_cancel(
    engine: Engine, chain: EscrowClient, signer: Signer, owner: Wallet, job_id: JobId
) -> SignedTransaction:
    """Everything back to the buyer's balance, while no node is assigned. As :func:`prepare`."""
    return await _on_job(engine, chain, signer, owner, job_id, SponsoredAction.CANCEL)


async def prepare_dispute(
    engine: Engine, chain: EscrowClient, signer: Signer, owner: Wallet, job_id: JobId
) -> SignedTransaction:
    """Contest a claim inside its review window. As :func:`prepare`."""
    return await _on_job(engine, chain, signer, owner, job_id, SponsoredAction.DISPUTE)


async def prepare_top_up(
    engine: Engine, chain: EscrowClient, signer: Signer, owner: Wallet, job_id: JobId, units: int
) -> SignedTransaction:
    """Add to a job's deposit, before any claim or verdict. As :func:`prepare`."""
    return await _on_job(engine, chain, signer, owner, job_id, SponsoredAction.TOP_UP, units)


async def _on_job(
    engine: Engine,
    chain: EscrowClient,
    signer: Signer,
    owner: Wallet,
    job_id: JobId,
    action: SponsoredAction,
    units: int = 0,
) -> SignedTransaction:
    asset = chain.asset_of(await chain.existing_job(owner, job_id))
    return await prepare(
        engine, chain, signer, SponsoredCall(action, signer.address, owner, job_id, asset, units)
    )


async def _no_sol(engine: Engine, owner: Wallet, has: int, needed: int, reason: str) -> Refused:
    return Refused(
        "session_no_sol",
        f"The session key has {format_amount(has, Asset.SOL)}; a job's account and fees take up "
        f"to {format_amount(needed, Asset.SOL)}, and the coordinator does not pay them: {reason}.",
        "Nothing was sent and nothing was paid.",
        f"Fill it up from your wallet with `{await engine.wallets.login_command(owner)}`.",
    )
