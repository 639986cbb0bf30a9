"""Disputing a claim: agreed to, signed and written down; then brought to the chain and to the coordinator.

From then on this engine signs no settlement of the job: the arbiter decides what is paid.
"""

from __future__ import annotations

from typing import Any

from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.escrow import EscrowClient
from p2p.chain.past import PastJob
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.errors import Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.messages.disputes import DisputeRequest, DisputeStatement, check_words
from p2p.core.messages.jobs import JobView
from p2p.core.signing import Domain, Signed, signing_input
from p2p.engine import render, sponsoring
from p2p.engine.context import Engine
from p2p.store.engine import EventRow, JobRow
from p2p.store.stages import Stage
from p2p.wire.codec import decode, encode

_NOTHING = "Nothing was sent."
_UNDISPUTED: dict[str, Any] = {
    "dispute": None,
    "dispute_transaction": None,
    "dispute_signature": "",
    "dispute_last_valid": 0,
}


async def terms_of_dispute(engine: Engine, job: JobRow) -> dict[str, Any]:
    """What is shown before the yes.

    :raises Refused: as :func:`begin`.
    """
    async with engine.chain() as chain:
        found = await _disputable(chain, job)
        now_s = await chain.chain_time_s()
        asset = chain.asset_of(found)
    disputed = found.status is JobStatus.DISPUTED
    resolve_by_s = found.deadline_s if disputed else max(found.deadline_s, now_s + found.review_window_s)
    return {
        "job_id": job.job_id,
        "asset": asset.value,
        "decimals": asset.decimals,
        "deposit_units": found.deposit_units,
        "claimed_units": found.used_units,
        "window_ends_at_s": found.review_ends_at_s,
        "resolve_by_s": resolve_by_s,
        "disputed": disputed,
    }


async def begin(engine: Engine, job: JobRow, reason: str) -> JobRow:
    """The buyer disputes: sign, and write it down; the job's supervisor does the rest. Once is enough.

    :raises Refused: ``no_claim``, ``window_over``, ``already_final``, ``session_ended``, ``session_no_sol``.
    :raises UserError: ``bad_text``.
    """
    reason = check_words(reason)
    if job.dispute is None:
        async with engine.chain() as chain:
            found = await _disputable(chain, job)
            signed = SignedTransaction(b"", "", 0)
            if found.status is JobStatus.CLAIMED:
                signed = await _sign(engine, chain, job)
        statement = encode(DisputeStatement(job.job_id, reason, engine.clock.now_s()))
        signature = engine.peer.identity.sign(signing_input(Domain.DISPUTE, statement))
        sworn = encode(Signed(statement, engine.peer.peer_id, signature))
        job = await engine.tables.note(job.job_id, dispute=sworn, **_columns(signed))
    engine.live[job.job_id].retry.ring()
    engine.live.ring(job.job_id)
    return job


def is_underway(job: JobRow) -> bool:
    """Whether a dispute has still to be brought to chain and coordinator."""
    return job.dispute is not None and not job.dispute_known


async def pursue(engine: Engine, job: JobRow) -> JobRow:
    """Send the Dispute until it stands, then say why; from then on the job waits for the decision."""
    assert job.dispute is not None
    async with engine.chain() as chain:
        found = await chain.seen_job(Wallet(job.wallet), JobId(job.job_id))
        if found is None or found.status.final:
            return await _give_up(
                engine, job, "the job had ended before the coordinator heard of the dispute"
            )
        if found.status is not JobStatus.DISPUTED and not await _send(engine, chain, job, found):
            return await _give_up(engine, job, "the dispute did not reach the chain before the review ended")
    request = DisputeRequest(job.job_id, decode(Signed, job.dispute))
    try:
        await engine.keep_view(job.job_id, await engine.link.call("job.dispute", request, JobView))
    except Refused as error:
        if error.code != "not_disputed":
            raise
        # It has ended since the chain was looked at.
    return await _wait_for_decision(engine, await engine.job(job.job_id))


async def _wait_for_decision(engine: Engine, job: JobRow) -> JobRow:
    """What was fetched stays; what was not can be fetched once it is paid for."""
    event = EventRow(engine.clock.now_s(), "disputed", "the arbiter decides")
    await engine.tables.add_events(job.job_id, [event])
    stage = Stage.FOLLOWING if job.fetched_at_s is None else Stage.CLOSING
    if job.stage in (stage, Stage.CLOSING):
        return await engine.tables.note(job.job_id, dispute_known=True)
    return await engine.tables.advance(job, stage, receipt=None, dispute_known=True)


async def _send(engine: Engine, chain: EscrowClient, job: JobRow, found: OnChainJob | PastJob) -> bool:
    """Send what is kept; sign anew only when that can never land. False: the window is over."""
    kept = SignedTransaction(job.dispute_transaction or b"", job.dispute_signature, job.dispute_last_valid)
    if kept.raw:
        outcome = await chain.outcome(kept.signature, kept.last_valid_height, state_decides=True)
        if outcome.kind in (OutcomeKind.EXPIRED, OutcomeKind.FAILED):
            kept = SignedTransaction(b"", "", 0)
    if not kept.raw:
        if not isinstance(found, OnChainJob) or await chain.chain_time_s() >= found.review_ends_at_s:
            return False
        kept = await _sign(engine, chain, job)
        await engine.tables.note(job.job_id, **_columns(kept))
    await chain.send_and_confirm(kept)
    return True


async def _give_up(engine: Engine, job: JobRow, detail: str) -> JobRow:
    """What stands on chain stands; the job goes on as if nothing had been said."""
    await engine.tables.add_events(job.job_id, [EventRow(engine.clock.now_s(), "disputed", detail)])
    return await engine.tables.note(job.job_id, **_UNDISPUTED)


async def _sign(engine: Engine, chain: EscrowClient, job: JobRow) -> SignedTransaction:
    """The Dispute, signed by the session key that opened the job."""
    owner = Wallet(job.wallet)
    signer = engine.wallets.session_named(owner, job.signer)
    session = await chain.session(owner, signer.address)
    if session is None or session.expires_at_s <= await chain.chain_time_s():
        raise Refused(
            "session_ended",
            "The session key that opened the job may no longer act for the wallet.",
            _NOTHING,
            "`cyxwiz login` renews it; then dispute again, as long as the review lasts.",
        )
    return await sponsoring.prepare_dispute(engine, chain, signer, owner, JobId(job.job_id))


async def _disputable(chain: EscrowClient, job: JobRow) -> OnChainJob:
    """The job, if its claim can be disputed now, or is disputed."""
    found = await chain.seen_job(Wallet(job.wallet), JobId(job.job_id))
    name = render.short(job.job_id)
    if found is not None and found.status.final:
        raise Refused(
            "already_final",
            f"Job {name} has ended on the chain: {found.status.name.lower()}.",
            "What was paid stays paid; nothing is locked any more.",
            f"`cyxwiz show {name}` tells who got what.",
        )
    if not isinstance(found, OnChainJob) or found.status not in (JobStatus.CLAIMED, JobStatus.DISPUTED):
        raise Refused(
            "no_claim",
            f"No payment has been claimed for job {name}.",
            "There is nothing to dispute: without your signature nothing is paid before a claim.",
            f"`cyxwiz show {name}` shows a claim and its review when there is one.",
        )
    over = found.status is JobStatus.CLAIMED and await chain.chain_time_s() >= found.review_ends_at_s
    if over:
        raise Refused(
            "window_over",
            f"The claim of job {name} could be disputed until {render.moment(found.review_ends_at_s)}.",
            "It stands, and is paid.",
            f"`cyxwiz show {name}` shows the payment.",
        )
    return found


def _columns(signed: SignedTransaction) -> dict[str, Any]:
    return {
        "dispute_transaction": signed.raw or None,
        "dispute_signature": signed.signature,
        "dispute_last_valid": signed.last_valid_height,
    }
