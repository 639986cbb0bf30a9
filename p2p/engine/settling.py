"""Signing the settlement: only what was agreed, only to the job's node, only once it is earned."""

from __future__ import annotations

from collections.abc import Sequence

from p2p.chain.settlement import check_settle_message
from p2p.chain.transaction import sign_message
from p2p.core.agreement import cancelled_hash
from p2p.core.errors import Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.messages.jobs import CountersignRequest, JobView, ResultStatement, SettleOffer, Terms
from p2p.core.signing import Domain, Signed, statement_hash
from p2p.core.states import JobState
from p2p.engine.context import Engine
from p2p.engine.terms import check_charge
from p2p.store.engine import EventRow, JobRow


def check_delivered(offer: SettleOffer, terms: Terms, signed: Signed, statement: ResultStatement) -> None:
    """Whether an offer charges at most what the node itself swears to have run, for this very result.

    :raises Refused: ``not_agreed``.
    """
    check_charge(offer.used_units, terms, offer.view, statement.run_seconds)
    _require_hash(offer, statement_hash(Domain.RESULT, signed.payload))


def check_cancelled(offer: SettleOffer, terms: Terms, events: Sequence[EventRow]) -> None:
    """Whether an offer charges at most the time between the job's start and its end by cancelling.

    :raises Refused: ``not_agreed``.
    """
    check_charge(offer.used_units, terms, offer.view, _ran_s(events, offer.view))
    _require_hash(offer, cancelled_hash(terms.job_id))


async def accept_offer(engine: Engine, job: JobRow, offer: SettleOffer) -> JobView:
    """Compare the transaction with the job's own account on chain, sign it, and give it back.

    :raises Refused: ``settle_differs``, ``not_agreed``, ``disputed``.
    """
    if (await engine.job(job.job_id)).dispute is not None:
        raise Refused("disputed", "The buyer disputes what is to be paid.", "The settlement was not signed.")
    owner, signer = Wallet(job.wallet), engine.wallets.session_named(Wallet(job.wallet), job.signer)
    async with engine.chain() as chain:
        expected = await chain.settle_terms(
            owner, JobId(job.job_id), signer.address, offer.used_units, offer.result_hash
        )
        if expected.node != offer.view.node_wallet:
            raise _not_agreed("the chain names another node than the coordinator")
        check_settle_message(offer.message, expected, chain.chain)
    request = CountersignRequest(job.job_id, offer.message, sign_message(offer.message, signer))
    view = await engine.link.call("job.countersign", request, JobView)
    await engine.keep_view(job.job_id, view)
    return view


def _ran_s(events: Sequence[EventRow], view: JobView) -> float:
    """By the coordinator's own clock: from the last start to the cancelling (each told with a number)."""
    told = [event for event in events if event.remote_seq is not None]
    started = [event.at_s for event in told if event.state == JobState.RUNNING.value]
    ended = [event.at_s for event in told if event.state == JobState.CANCELLED.value]
    if not started:
        # The events have not come yet; the view has the same clock.
        return max(0.0, view.updated_at_s - view.created_at_s)
    return max(0.0, (ended[-1] if ended else view.updated_at_s) - started[-1]) + 1.0


def _require_hash(offer: SettleOffer, expected: bytes) -> None:
    if offer.result_hash != expected:
        raise _not_agreed("it is for another result")


def _not_agreed(problem: str) -> Refused:
    return Refused(
        "not_agreed",
        f"The settlement is not what was agreed: {problem}.",
        "It was not signed; the deposit stays in the escrow.",
        "Report the job to the coordinator's operator; after the deadline the deposit can be reclaimed.",
    )
