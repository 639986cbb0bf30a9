"""The money's way in: agreed, opened on chain, known to the coordinator; or back out again.

Signed bytes are in the journal before they are sent, so a crash at any point is followed by the same
bytes again, never by a second deposit.
"""

from __future__ import annotations

from typing import Any

from p2p.chain.accounts import JobStatus
from p2p.chain.errors import ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.sponsored import SponsoredCall
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.agreement import run_limit_s
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.messages.jobs import JobView, SubmitRequest, Terms
from p2p.core.messages.sponsor import SponsoredAction
from p2p.core.signing import Domain, statement_hash
from p2p.engine import sponsoring
from p2p.engine.context import Engine, open_transaction_of, spec_of, terms_of
from p2p.engine.planning import require_signer
from p2p.engine.wallets import require_balance
from p2p.store.engine import JobRow
from p2p.store.stages import Stage

_NOT_FINAL = (
    "not_logged_in",
    "bad_keypair",
    "other_wallet",
    "other_chain",
    "no_network",
    "bad_network_config",
)
"""Refusals that the buyer can mend while the job waits."""

_MAYBE_OVER = ("transaction_expired", "transaction_pending")
"""After which it is looked whether the bytes can still land."""


async def agree(engine: Engine, job: JobRow) -> JobRow:
    """The buyer said yes: sign the Open and keep it. It is sent by :func:`open_escrow`.

    :raises CyxWizError: what stands against it; nothing was paid then.
    """
    if job.stage is not Stage.QUOTED:
        raise Refused("not_a_plan", f"Job {job.job_id} does not wait for a yes: it is {job.stage.value}.")
    _, terms = terms_of(job)
    if terms.expires_at_s <= engine.clock.now_s():
        raise Refused(
            "terms_expired", "The offer has expired.", "Nothing was paid.", "Run the command again."
        )
    async with engine.chain() as chain:
        transaction = await _sign_open(engine, chain, job, terms)
    return await engine.tables.advance(job, Stage.OPENING, **_open_columns(transaction))


async def open_escrow(engine: Engine, job: JobRow) -> JobRow:
    """Send the Open until it is known to have landed, or that it never can."""
    transaction = open_transaction_of(job)
    async with engine.chain() as chain:
        try:
            await chain.send_and_confirm(transaction)
        except (ProgramRefused, EnvironmentFailure) as error:
            if await _is_open(chain, job):
                return await engine.tables.advance(job, Stage.OPENED)
            if isinstance(error, EnvironmentFailure) and error.code not in _MAYBE_OVER:
                raise
            # A refusal is final only when the bytes cannot land any more: they may have been sent before.
            outcome = await chain.outcome(
                transaction.signature, transaction.last_valid_height, state_decides=True
            )
            if outcome.kind not in (OutcomeKind.EXPIRED, OutcomeKind.FAILED):
                raise _still_pending(error) from error
            if not await _is_open(chain, job):  # looked at again: now it can no longer change
                return await engine.tables.advance(job, Stage.DROPPED, error.what)
    return await engine.tables.advance(job, Stage.OPENED)


async def submit(engine: Engine, job: JobRow) -> JobRow:
    """Tell the coordinator until it has answered; take the money back if it says no for good."""
    if job.cancel_wanted:
        return await engine.tables.advance(job, Stage.WITHDRAWING, "cancelled before it was queued")
    signed, _ = terms_of(job)
    request = SubmitRequest(spec_of(job), signed, job.open_signature, engine.peer.addresses)
    try:
        view = await engine.link.call("job.submit", request, JobView)
    except UserError as error:
        if error.code in _NOT_FINAL:
            raise
        return await engine.tables.advance(job, Stage.WITHDRAWING, error.what)
    await engine.keep_view(job.job_id, view)
    return await engine.tables.advance(await engine.job(job.job_id), Stage.FOLLOWING)


async def take_back(engine: Engine, job: JobRow) -> JobRow:
    """Cancel the escrow of a job that was never queued: everything goes back to the buyer's balance."""
    owner, job_id = Wallet(job.wallet), JobId(job.job_id)
    async with engine.chain() as chain:
        found = await chain.seen_job(owner, job_id)
        if found is None or found.status.final:
            return await engine.tables.advance(job, Stage.REFUNDED)
        if found.status is not JobStatus.OPEN:
            # The coordinator took the job after all and its answer was lost.
            return await engine.tables.advance(job, Stage.FOLLOWING, "the coordinator has the job")
        await _send_cancel(engine, chain, job)
    return await engine.tables.advance(await engine.job(job.job_id), Stage.REFUNDED)


async def _sign_open(engine: Engine, chain: EscrowClient, job: JobRow, terms: Terms) -> SignedTransaction:
    wallet = Wallet(job.wallet)
    await require_balance(chain, wallet, terms.asset, terms.deposit_units)
    run_s = run_limit_s(terms.timeout_s, (await chain.config()).longest_job_s)
    signer = await require_signer(engine, chain, wallet, terms)
    signed, _ = terms_of(job)
    call = SponsoredCall(
        SponsoredAction.OPEN,
        signer.address,
        wallet,
        JobId(job.job_id),
        terms.asset,
        terms.deposit_units,
        statement_hash(Domain.TERMS, signed.payload),
        run_s,
    )
    return await sponsoring.prepare(engine, chain, signer, call, signed)


def _open_columns(transaction: SignedTransaction) -> dict[str, Any]:
    return {
        "open_transaction": transaction.raw,
        "open_signature": transaction.signature,
        "open_last_valid": transaction.last_valid_height,
    }


async def _is_open(chain: EscrowClient, job: JobRow) -> bool:
    return await chain.seen_job(Wallet(job.wallet), JobId(job.job_id)) is not None


async def _send_cancel(engine: Engine, chain: EscrowClient, job: JobRow) -> None:
    """Send the Cancel that is kept; sign a new one only when that one can never land."""
    kept = SignedTransaction(job.cancel_transaction or b"", job.cancel_signature, job.cancel_last_valid)
    if kept.raw:
        outcome = await chain.outcome(kept.signature, kept.last_valid_height, state_decides=True)
        if outcome.kind in (OutcomeKind.EXPIRED, OutcomeKind.FAILED):
            kept = SignedTransaction(b"", "", 0)
    if not kept.raw:
        signer = engine.wallets.session_named(Wallet(job.wallet), job.signer)
        kept = await sponsoring.prepare_cancel(engine, chain, signer, Wallet(job.wallet), JobId(job.job_id))
        await engine.tables.note(
            job.job_id,
            cancel_transaction=kept.raw,
            cancel_signature=kept.signature,
            cancel_last_valid=kept.last_valid_height,
        )
    await chain.send_and_confirm(kept)


def _still_pending(error: CyxWizError) -> EnvironmentFailure:
    return EnvironmentFailure(
        "open_pending",
        f"The chain has not decided on the deposit yet ({error.what.rstrip('.')}).",
        "It is either locked for this job or still in your balance; it cannot be paid twice.",
        "It is asked again by itself.",
    )
