"""A job at the coordinator: watching it, cancelling it, and seeing its money home."""

from __future__ import annotations

from pathlib import Path

import trio

from p2p.chain.accounts import OnChainJob
from p2p.chain.past import PastJob
from p2p.core.errors import Bug, EnvironmentFailure, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import ENGINE_POLL_S, LOG_TAIL_PATIENCE_S, SETTLE_AGAIN_S
from p2p.core.messages.jobs import JobRef, JobView, ReceiptRequest, SettleOffer
from p2p.core.states import JobState
from p2p.engine.context import Engine, spec_of, terms_of
from p2p.engine.cost import charged_units, write_cost
from p2p.engine.results import remove_partial
from p2p.engine.settling import accept_offer, check_cancelled
from p2p.engine.terms import check_statement
from p2p.net.identity import verify_peer_signature
from p2p.store.engine import JobRow
from p2p.store.stages import Stage
from p2p.wire.codec import encode

_ENDED_BADLY = (JobState.FAILED, JobState.CANCELLED, JobState.REFUNDED)
_PAID = (JobState.COMPLETED, JobState.SETTLED)


async def follow(engine: Engine, job: JobRow) -> JobRow:
    """Look at the job until it delivers or ends; cancel it when the buyer wants that."""
    since = engine.live[job.job_id].news.count
    view = await engine.refresh(job.job_id)
    if job.cancel_wanted and view.state not in (*_ENDED_BADLY, *_PAID, JobState.DELIVERING):
        view = await cancel(engine, job)
    if view.state in _ENDED_BADLY:
        changed = engine.source.changed(job.job_id)
        return await _advance(engine, job, Stage.CLOSING, changed.what if changed else "")
    if job.dispute is not None and view.state in (JobState.DELIVERING, JobState.COMPLETED):
        await wait_for_news(engine, job.job_id, view, since)
        return await engine.job(job.job_id)
    if view.state in _PAID and (view.receipt is not None or view.statement is None or _is_unpaid(view)):
        # Cancelled; or disputed, and nothing of it is paid; or this journal is older than the job, such as
        # after it was restored from a backup.
        return await _advance(engine, job, Stage.CLOSING)
    if view.state in (JobState.DELIVERING, *_PAID) and view.statement is not None:
        # Also paid by a claim while this engine was away: the node still has the results for a while.
        check_statement(view.statement, view, spec_of(job), verify_peer_signature)
        return await _advance(engine, job, Stage.FETCHING, statement=encode(view.statement), epoch=view.epoch)
    await wait_for_news(engine, job.job_id, view, since)
    return await engine.job(job.job_id)


async def cancel(engine: Engine, job: JobRow) -> JobView:
    """Tell the coordinator; countersign what was used until now, if anything was."""
    try:
        offer = await engine.link.call("job.cancel", JobRef(job.job_id), SettleOffer)
    except UserError as error:
        if error.code == "not_logged_in":
            raise
        # Too late: it has ended or delivers. The buyer wanted to pay less, and the result is theirs.
        await engine.tables.note(job.job_id, cancel_wanted=False)
        return await engine.refresh(job.job_id)
    await engine.keep_view(job.job_id, offer.view)
    if offer.message:
        await _countersign_cancelled(engine, job, offer)
    return await engine.refresh(job.job_id)


async def close(engine: Engine, job: JobRow) -> JobRow:
    """The job failed or was cancelled: wait for the money, and a while for the rest of the log."""
    since = engine.live[job.job_id].news.count
    view = await engine.refresh(job.job_id)
    if (
        view.state is JobState.CANCELLED
        and view.used_units > 0
        and _needs_offer(view)
        and job.dispute is None
    ):
        offer = await ask_offer(engine, job, None)
        if offer.message:
            await _countersign_cancelled(engine, job, offer)
    final = {JobState.SETTLED: Stage.SETTLED, JobState.REFUNDED: Stage.REFUNDED}.get(view.state)
    if final is None or not _log_is_over(engine, await engine.job(job.job_id), view):
        await wait_for_news(engine, job.job_id, view, since)
        return await engine.job(job.job_id)
    return await finish(engine, job, final)


async def finish(engine: Engine, job: JobRow, stage: Stage) -> JobRow:
    """The money is where it belongs, which the chain itself has to say.

    :raises EnvironmentFailure: the coordinator says that it is over and our view of the chain does not know.
    """
    on_chain = await read_chain(engine, job)
    if not on_chain.status.final:
        raise EnvironmentFailure(
            "not_on_chain_yet",
            f"The coordinator says that the job is {stage.value}; the chain does not show it yet.",
            "The money is in the escrow until it does.",
            "It is looked up again by itself.",
        )
    if job.fetched_at_s is None:
        await trio.to_thread.run_sync(remove_partial, Path(job.out_folder), job.job_id)
    await write_cost(engine, job, on_chain)
    engine.source.revoke(job.job_id)
    charged, held = charged_units(on_chain), on_chain.deposit_units
    return await _advance(engine, job, stage, charged_units=charged, escrow_units=held)


async def read_chain(engine: Engine, job: JobRow) -> OnChainJob | PastJob:
    """The job on chain, whether its account is still there or was closed since it ended.

    :raises Bug: there is none, though it was opened.
    """
    async with engine.chain() as chain:
        found = await chain.seen_job(Wallet(job.wallet), JobId(job.job_id))
    if found is None:
        raise Bug(f"job {job.job_id} is not on the chain any more")
    return found


async def ask_offer(engine: Engine, job: JobRow, request: ReceiptRequest | None) -> SettleOffer:
    """Ask for the settlement: with a receipt, or (None) of a job that was cancelled while it ran."""
    request = request or ReceiptRequest(job.job_id, None, job.signer)
    offer = await engine.link.call("job.receipt", request, SettleOffer)
    await engine.keep_view(job.job_id, offer.view)
    return offer


async def wait_for_news(engine: Engine, job_id: str, view: JobView, since: int) -> None:
    """Until there was news after ``since``, or it is worth looking again by itself."""
    busy = view.state.is_leased or view.state.is_over
    await engine.live[job_id].news.wait(since, ENGINE_POLL_S if busy else SETTLE_AGAIN_S)


async def _countersign_cancelled(engine: Engine, job: JobRow, offer: SettleOffer) -> None:
    _, terms = terms_of(job)
    events = await engine.tables.events(job.job_id)
    check_cancelled(offer, terms, events)
    await accept_offer(engine, job, offer)


async def _advance(engine: Engine, job: JobRow, stage: Stage, detail: str = "", **values: object) -> JobRow:
    # Notes were taken meanwhile, but only this job's supervisor takes steps.
    current = await engine.job(job.job_id)
    if current.revision != job.revision:
        raise Bug(f"job {job.job_id} has two supervisors")
    done = await engine.tables.advance(current, stage, detail, **values)
    engine.live.ring(job.job_id)
    return done


def _is_unpaid(view: JobView) -> bool:
    """Whether the arbiter gave everything back: the results are not the buyer's then."""
    return view.state is JobState.SETTLED and view.review is not None and view.review.decided_units == 0


def _needs_offer(view: JobView) -> bool:
    """Whether the coordinator still waits for our signature."""
    settles = [entry for entry in view.chain if entry.action == "settle"]
    return not settles or settles[-1].status in ("waiting", "expired")


def _log_is_over(engine: Engine, job: JobRow, view: JobView) -> bool:
    """Whether the log is complete, never began, or has been waited for long enough."""
    if job.log_complete or not view.node_peer_id:
        return True
    return engine.clock.now_s() - view.updated_at_s > LOG_TAIL_PATIENCE_S
