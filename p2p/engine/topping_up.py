"""More time for a job that goes on: agreed to, signed, written down; then paid into its escrow, then granted.

The chain comes first: a coordinator that grants time before it is paid for would have nothing to pay the node
with. If it then says no, for the job has ended meanwhile, what was added comes back with the verdict.
"""

from __future__ import annotations

from typing import Any

import trio

from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.errors import ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.past import PastJob
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.durations import format_duration
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import ENGINE_RETRY_FIRST_S
from p2p.core.messages.extensions import ExtendedRequest, ExtendOffer, ExtendRequest
from p2p.core.messages.jobs import JobView, Terms
from p2p.core.money import format_amount
from p2p.core.signing import Signed
from p2p.engine import render, sponsoring
from p2p.engine.context import Engine, deposit_of, terms_of
from p2p.engine.terms import check_extended
from p2p.engine.wallets import require_balance
from p2p.net.identity import verify_peer_signature
from p2p.store.engine import EventRow, JobRow
from p2p.store.stages import NOT_TOPPED_UP, Stage
from p2p.wire.codec import decode, encode

_NOTHING = "Nothing was sent; what was agreed stands."
_LOG_IN_FIRST = ("not_logged_in", "other_wallet")
_NONE = SignedTransaction(b"", "", 0)


async def terms_of_top_up(engine: Engine, job: JobRow, seconds: int) -> dict[str, Any]:
    """What is shown before the yes. What is underway is not offered again.

    :raises Refused: as :func:`begin`.
    """
    _, agreed = terms_of(job)
    if job.topup is None:
        _, wanted = await _ask(engine, job, seconds)
    else:
        wanted = _require_same(job, seconds)
    async with engine.chain() as chain:
        units = await _missing(chain, job, wanted)
        balance = await chain.balance(Wallet(job.wallet), agreed.asset)
    return {
        "job_id": job.job_id,
        "asset": agreed.asset.value,
        "decimals": agreed.asset.decimals,
        "seconds": seconds,
        "timeout_s": wanted.timeout_s,
        "units": units,
        "deposit_units": wanted.deposit_units,
        "balance_units": balance,
        "underway": job.topup is not None,
    }


async def begin(engine: Engine, job: JobRow, seconds: int) -> JobRow:
    """The buyer says yes: sign, and write it down; the job's supervisor does the rest. Once is enough.

    :raises Refused: ``not_extendable``, ``too_long``, ``top_up_underway``, ``balance_too_low``,
        ``session_too_small``, ``session_expired``, ``session_no_sol``.
    """
    async with engine.live[job.job_id].top_up_lock:
        job = await engine.job(job.job_id)
        if job.topup is None:
            signed, wanted = await _ask(engine, job, seconds)
            async with engine.chain() as chain:
                transaction = await _sign(engine, chain, job, wanted)
            job = await engine.tables.note(job.job_id, topup=encode(signed), **_columns(transaction))
        else:
            _require_same(job, seconds)
    engine.live[job.job_id].retry.ring()
    engine.live.ring(job.job_id)
    return job


def is_underway(job: JobRow) -> bool:
    """Whether a top-up has still to be brought to chain and coordinator."""
    return job.topup is not None


async def pursue(engine: Engine, job: JobRow) -> JobRow:
    """Send the TopUp until the escrow holds it, then have the time granted."""
    signed, wanted = _wanted(job)
    async with engine.chain() as chain:
        held = await _held(chain, job)
        if held.deposit_units < wanted.deposit_units:
            reason = f"the escrow was {held.status.name.lower()} before it was paid"
            if _takes_money(held):
                reason = await _send(engine, chain, job, wanted)
                held = await _held(chain, job)
            if reason:
                await engine.tables.note(job.job_id, escrow_units=held.deposit_units)
                return await _give_up(engine, job, reason)
    job = await engine.tables.note(job.job_id, escrow_units=held.deposit_units)
    try:
        view = await engine.link.call("job.extended", ExtendedRequest(job.job_id, signed), JobView)
    except UserError as error:
        if error.code in _LOG_IN_FIRST:
            raise
        return await _give_up(engine, job, error.what.rstrip("."))
    await engine.keep_view(job.job_id, view)
    done = await engine.tables.note(job.job_id, terms=job.topup, topup=None, topup_transaction=None)
    engine.live.ring(job.job_id)
    return done


async def _ask(engine: Engine, job: JobRow, seconds: int) -> tuple[Signed, Terms]:
    """The coordinator's terms for the longer time, once every part is what was asked for."""
    if job.stage is not Stage.FOLLOWING or job.cancel_wanted:
        stage = "being cancelled" if job.cancel_wanted else job.stage.value
        raise Refused(
            "not_extendable",
            f"Job {render.short(job.job_id)} gets no more time: it is {stage}.",
            _NOTHING,
            f"`cyxwiz show {render.short(job.job_id)}` tells how it stands.",
        )
    offer = await engine.link.call("job.extend", ExtendRequest(job.job_id, seconds), ExtendOffer)
    coordinator = engine.link.network().coordinator_peer_id
    return offer.terms, check_extended(
        offer.terms, terms_of(job)[1], seconds, coordinator, verify_peer_signature
    )


async def _send(engine: Engine, chain: EscrowClient, job: JobRow, wanted: Terms) -> str:
    """Send what is kept; sign anew once that can never land. Why it was in vain; empty once it has landed."""
    kept = SignedTransaction(job.topup_transaction or b"", job.topup_signature, job.topup_last_valid)
    if kept.raw:
        try:
            await chain.send_and_confirm(kept)
            return ""
        except ProgramRefused as error:
            # Final only when the bytes cannot land any more: they may have been sent before.
            landed = await _has_landed(chain, kept)
            return "" if landed else error.what.rstrip(".")
        except EnvironmentFailure as error:
            outcome = await chain.outcome(kept.signature, kept.last_valid_height)
            if outcome.kind is not OutcomeKind.EXPIRED:
                raise error from None
    try:
        kept = await _sign(engine, chain, job, wanted)
    except Refused as error:
        return error.what.rstrip(".")
    await engine.tables.note(job.job_id, **_columns(kept))
    if kept.raw:
        await chain.send_and_confirm(kept)
    return ""


async def _has_landed(chain: EscrowClient, sent: SignedTransaction) -> bool:
    while True:
        outcome = await chain.outcome(sent.signature, sent.last_valid_height)
        if outcome.kind is not OutcomeKind.PENDING:
            return outcome.kind not in (OutcomeKind.FAILED, OutcomeKind.EXPIRED)
        await trio.sleep(ENGINE_RETRY_FIRST_S)


async def _sign(engine: Engine, chain: EscrowClient, job: JobRow, wanted: Terms) -> SignedTransaction:
    """The TopUp for what the escrow lacks; empty if it lacks nothing, for an earlier one was not granted."""
    owner = Wallet(job.wallet)
    units = await _missing(chain, job, wanted)
    if not units:
        return _NONE
    await require_balance(chain, owner, wanted.asset, units)
    now_s = engine.clock.now_s()
    signer = await engine.wallets.require_session(chain, owner, wanted.asset, units, now_s)
    return await sponsoring.prepare_top_up(engine, chain, signer, owner, JobId(job.job_id), units)


async def _missing(chain: EscrowClient, job: JobRow, wanted: Terms) -> int:
    return max(0, wanted.deposit_units - (await _held(chain, job)).deposit_units)


async def _held(chain: EscrowClient, job: JobRow) -> OnChainJob | PastJob:
    found = await chain.seen_job(Wallet(job.wallet), JobId(job.job_id))
    if found is None:
        raise EnvironmentFailure(
            "not_on_chain_yet",
            "The chain does not show the job's escrow.",
            "The job goes on as it was agreed.",
            "It is looked up again by itself.",
        )
    return found


def _takes_money(held: OnChainJob | PastJob) -> bool:
    return isinstance(held, OnChainJob) and held.status in (JobStatus.OPEN, JobStatus.ASSIGNED)


async def _give_up(engine: Engine, job: JobRow, reason: str) -> JobRow:
    """The job goes on as it was agreed; money that is in the escrow already comes back unused."""
    job = await engine.job(job.job_id)
    _, agreed = terms_of(job)
    extra = deposit_of(job, agreed) - agreed.deposit_units
    money = "nothing was added to the deposit"
    if extra > 0:
        amount = format_amount(extra, agreed.asset)
        money = f"the {amount} that were added come back with what the job does not use"
    event = EventRow(engine.clock.now_s(), NOT_TOPPED_UP, f"{reason}; {money}")
    await engine.tables.add_events(job.job_id, [event])
    done = await engine.tables.note(job.job_id, topup=None, topup_transaction=None)
    engine.live.ring(job.job_id)
    return done


def _wanted(job: JobRow) -> tuple[Signed, Terms]:
    assert job.topup is not None
    signed = decode(Signed, job.topup)
    return signed, decode(Terms, signed.payload)


def _require_same(job: JobRow, seconds: int) -> Terms:
    """The terms that are underway, if they are for as much."""
    _, wanted = _wanted(job)
    underway_s = wanted.timeout_s - terms_of(job)[1].timeout_s
    if underway_s != seconds:
        raise Refused(
            "top_up_underway",
            f"Job {render.short(job.job_id)} is being topped up by {format_duration(underway_s)} already.",
            "Nothing else was sent.",
            "Wait for that first.",
        )
    return wanted


def _columns(signed: SignedTransaction) -> dict[str, Any]:
    return {
        "topup_transaction": signed.raw or None,
        "topup_signature": signed.signature,
        "topup_last_valid": signed.last_valid_height,
    }
