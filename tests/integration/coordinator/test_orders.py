"""Quotes and submissions: what is refused, and that asking twice changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from p2p.chain.escrow import EscrowClient
from p2p.core.errors import CyxWizError
from p2p.core.ids import new_job_id
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import CONFIRM_POLL_S, TERMS_LIFETIME_S
from p2p.core.messages.jobs import (
    AccountRequest,
    EventList,
    EventsRequest,
    JobList,
    JobRef,
    JobView,
    ListJobsRequest,
    OfferList,
    OffersRequest,
    PostingList,
    SettleOffer,
    Terms,
)
from p2p.core.messages.nodes import GpuInfo
from p2p.core.money import Asset
from p2p.core.signing import Domain, signing_input
from p2p.core.states import JobState
from p2p.net.identity import verify_peer_signature
from p2p.wire.codec import decode, encode

GIB = 2**30


async def test_a_quote_is_signed_and_explains(still_world: Any) -> None:
    buyer = still_world.stranger()
    await buyer.login()
    await still_world.node().join()
    await still_world.node(gpus=(GpuInfo("g", "RTX 4090", "rtx4090", 24 * GIB),)).join(available=False)
    quote = await buyer.quote(buyer.spec(gpu_type="rtx4090"))
    own = still_world.identity.peer_id
    assert verify_peer_signature(own, signing_input(Domain.TERMS, quote.terms.payload), quote.terms.signature)
    terms = decode(Terms, quote.terms.payload)
    assert (terms.buyer, terms.deposit_units, terms.fee_bps) == (buyer.signer.address, 400_000, 1000)
    assert (quote.nodes_online, quote.nodes_matching, quote.jobs_ahead) == (2, 0, 0)
    assert [(count.rule, count.nodes, count.words) for count in quote.misfits] == [
        ("available", 1, "are switched off by their owners"),
        ("gpu_type", 1, "have no rtx4090"),
    ]


async def test_a_quote_for_what_nobody_can_have(still_world: Any, refused: Any) -> None:
    buyer = still_world.stranger()
    await buyer.login()
    with refused("unknown_gpu_type"):
        await buyer.quote(buyer.spec(gpu_type="rtx9999"))
    with refused("price_too_low"):
        await buyer.quote(buyer.spec(max_price_usd_micros_per_hour=1))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a\x1b[31mb"},
        {"script": "../train.py"},
        {"input_root": b"short"},
        {"input_files": 0},
        {"input_bytes": -1},
        {"data_url": "file:///etc/passwd"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_specification_out_of_range(still_world: Any, changes: dict[str, Any]) -> None:
    from p2p.core.errors import UserError

    buyer = still_world.stranger()
    await buyer.login()
    with pytest.raises(UserError):
        await buyer.quote(replace(buyer.spec(), **changes))


async def test_submitting_twice_is_submitting_once(still_world: Any) -> None:
    buyer = await still_world.buyer()
    spec = buyer.spec()
    terms = (await buyer.quote(spec)).terms
    request = buyer.submission(spec, terms, await buyer.open_escrow(terms))
    views: list[JobView] = []

    async def submit() -> None:
        views.append(await buyer.call("job.submit", request, JobView))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(submit)
    await submit()
    assert len({view.job_id for view in views}) == 1
    assert {view.revision for view in views} == {1}
    assert len((await buyer.call("job.list", ListJobsRequest(10), JobList)).jobs) == 1
    postings = (await buyer.call("account.show", AccountRequest(10), PostingList)).postings
    assert sorted(posting.kind for posting in postings) == ["deposit", "open"]
    assert sum(posting.units for posting in postings) == await still_world.balance(buyer.signer.address)


async def test_terms_that_do_not_belong(still_world: Any, refused: Any) -> None:
    buyer = await still_world.buyer()
    spec = buyer.spec()
    terms = (await buyer.quote(spec)).terms
    with refused("bad_terms"):  # another specification
        other = replace(spec, script="other.py")
        await buyer.call("job.submit", buyer.submission(other, terms, ""), JobView)
    with refused("bad_terms"):  # cheaper, signed by the buyer's own key
        cheaper = encode(replace(decode(Terms, terms.payload), deposit_units=1))
        forged = buyer.sign(Domain.TERMS, cheaper)
        await buyer.call("job.submit", buyer.submission(spec, forged, ""), JobView)
    with refused("bad_terms"):  # the coordinator's name on it
        fake = replace(forged, signer=terms.signer)
        await buyer.call("job.submit", buyer.submission(spec, fake, ""), JobView)
    thief = await still_world.buyer()
    with refused("bad_terms"):
        await thief.call("job.submit", buyer.submission(spec, terms, ""), JobView)


@pytest.mark.parametrize(
    "changes",
    [{"deposit_units": 5}, {"asset": Asset.SOL}, {"run_s": 3600 + 7200}],
    ids=lambda changes: next(iter(changes)),
)
async def test_an_escrow_that_differs(still_world: Any, refused: Any, changes: dict[str, Any]) -> None:
    asset = changes.get("asset", Asset.USDC)
    buyer = await still_world.buyer(asset, 10**9)
    spec = buyer.spec(gpu_type="cpu")
    terms = (await buyer.quote(spec)).terms
    signature = await buyer.open_escrow(terms, **changes)
    with refused("escrow_differs"):
        await buyer.call("job.submit", buyer.submission(spec, terms, signature), JobView)


async def test_an_escrow_opened_long_after_the_quote(still_world: Any, refused: Any) -> None:
    buyer = await still_world.buyer()
    spec = buyer.spec()
    still_world.clock.ahead_s = -TERMS_LIFETIME_S - 300
    terms = (await buyer.quote(spec)).terms
    still_world.clock.ahead_s = 0
    signature = await buyer.open_escrow(terms)
    with refused("escrow_differs"):
        await buyer.call("job.submit", buyer.submission(spec, terms, signature), JobView)


async def test_an_escrow_that_is_not_there(still_world: Any, refused: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.service.escrow.ESCROW_SEEN_S", 0.2)
    buyer = await still_world.buyer()
    spec = buyer.spec()
    terms = (await buyer.quote(spec)).terms
    with refused("escrow_not_seen"):
        await buyer.call("job.submit", buyer.submission(spec, terms, "sig"), JobView)
    await buyer.open_escrow(terms)
    monkeypatch.setattr("coordinator.service.escrow.ESCROWS_AWAITED_MAX", 0)
    with refused("escrow_not_seen"):  # too many others are waited for
        await buyer.call("job.submit", buyer.submission(spec, terms, "sig"), JobView)


async def test_escrows_that_are_not_there_cost_no_more_questions_than_one(
    still_world: Any, monkeypatch: Any
) -> None:
    """Who submits them pays nothing, and the coordinator's own actions need the chain as well."""
    monkeypatch.setattr("coordinator.service.escrow.ESCROW_SEEN_S", 1.0)
    buyer = await still_world.buyer()
    spec = buyer.spec()
    quotes = [(await buyer.quote(spec)).terms for _ in range(50)]
    asked: list[str] = []
    ask = EscrowClient.ask

    async def counted(chain: Any, method: str, *params: object) -> object:
        asked.append(method)
        return await ask(chain, method, *params)

    monkeypatch.setattr(EscrowClient, "ask", counted)
    answers: list[str] = []

    async def submit(terms: Any) -> None:
        try:
            await buyer.call("job.submit", buyer.submission(spec, terms, ""), JobView)
        except CyxWizError as error:
            answers.append(error.code)

    opened = quotes.pop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit, opened)
        for terms in quotes:
            nursery.start_soon(submit, terms)
        await buyer.open_escrow(opened)
    assert answers == ["escrow_not_seen"] * 49
    assert asked.count("getMultipleAccounts") <= 1 + 1.0 / CONFIRM_POLL_S + 1
    assert asked.count("getAccountInfo") < 10  # the buyer's own
    assert (await buyer.show(decode(Terms, opened.payload).job_id)).state is JobState.QUEUED


async def test_an_escrow_cancelled_before_it_was_submitted(still_world: Any, refused: Any) -> None:
    from p2p.core.ids import JobId

    buyer = await still_world.buyer()
    spec = buyer.spec()
    terms = (await buyer.quote(spec)).terms
    signature = await buyer.open_escrow(terms)
    job_id = JobId(decode(Terms, terms.payload).job_id)
    await still_world.chain.cancel(buyer.signer, buyer.signer.address, job_id)
    with refused("escrow_over"):
        await buyer.call("job.submit", buyer.submission(spec, terms, signature), JobView)
    postings = (await buyer.call("account.show", AccountRequest(10), PostingList)).postings
    assert sorted(posting.kind for posting in postings) == ["deposit", "open", "refund"]


async def test_a_job_id_is_used_once(still_world: Any, refused: Any) -> None:
    buyer = await still_world.buyer()
    view = await buyer.submit()
    spec = buyer.spec(timeout_s=60)
    terms = (await buyer.quote(spec, view.job_id)).terms
    with refused("job_exists"):
        await buyer.call("job.submit", buyer.submission(spec, terms, ""), JobView)


async def test_another_buyers_jobs_are_unknown(still_world: Any, refused: Any) -> None:
    buyer = await still_world.buyer()
    view = await buyer.submit()
    spy = still_world.stranger()
    await spy.login()
    assert (await spy.call("job.list", ListJobsRequest(10), JobList)).jobs == ()
    assert (await spy.call("job.events", EventsRequest("", 0, 0.0), EventList)).events == ()
    for job_id in (view.job_id, new_job_id(), "'; DROP TABLE jobs"):
        with refused("unknown_job"):
            await spy.show(job_id)
        with refused("unknown_job"):
            await spy.call("job.events", EventsRequest(job_id, 0, 0.0), EventList)
        with refused("unknown_job"):
            await spy.call("job.cancel", JobRef(job_id), SettleOffer)


async def test_a_waiting_job_says_why(still_world: Any) -> None:
    buyer = await still_world.buyer()
    node = still_world.node()
    await node.join(networks=(NetworkMode.NONE,))
    view = await buyer.submit(gpu_type="cpu", network=NetworkMode.OUTBOUND)
    assert await still_world.coordinator.dispatcher.dispatch() == 0
    view = await buyer.show(view.job_id)
    assert view.state is JobState.QUEUED
    assert view.nodes_online == 1
    assert [(count.rule, count.nodes) for count in view.misfits] == [("network", 1)]


async def test_offers_show_what_is_free(still_world: Any) -> None:
    buyer = still_world.stranger()
    await buyer.login()
    node = still_world.node(gpus=(GpuInfo("g", "RTX 4090", "rtx4090", 24 * GIB),))
    await node.join()
    offers = (await buyer.call("offers.list", OffersRequest(), OfferList)).offers
    assert (await node.call("node.rates", OffersRequest(), OfferList)).offers == offers
    assert (offers[0].gpu_class, offers[0].nodes_online, offers[0].nodes_free) == ("rtx4090", 1, 1)
    assert (offers[0].vram_max_bytes, offers[0].usd_micros_per_hour) == (24 * GIB, 400_000)
    assert {offer.nodes_online for offer in offers[1:]} == {0}


async def test_a_buyer_has_only_so_many_jobs(still_world: Any, refused: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.service.orders.BUYER_JOBS_MAX", 2)
    buyer, other = await still_world.buyer(), await still_world.buyer()
    spec = buyer.spec(gpu_type="cpu", timeout_s=60)
    late = (await buyer.quote(spec)).terms
    views = [await buyer.submit(gpu_type="cpu", timeout_s=60) for _ in range(2)]
    with refused("too_many_jobs"):
        await buyer.quote(spec)
    with refused("too_many_jobs"):
        signature = await buyer.open_escrow(late)
        await buyer.call("job.submit", buyer.submission(spec, late, signature), JobView)
    await other.submit(gpu_type="cpu", timeout_s=60)
    await buyer.cancel(views[0].job_id)
    for action in still_world.actions(views[0].job_id):
        await still_world.coordinator.settler.work_on(action.action_id)
    await buyer.quote(spec)


async def test_long_polls_are_counted_and_forgotten(still_world: Any, refused: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.service.signals.EVENT_WATCHERS_PER_BUYER_MAX", 2)
    buyer, other = await still_world.buyer(), await still_world.buyer()
    board = still_world.coordinator.context.events
    waiting = EventsRequest("", 0, 20.0)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(buyer.call, "job.events", waiting, EventList)
        with trio.fail_after(10):
            while not len(board):
                await trio.sleep(0.01)
        with refused("too_many_watchers"):
            await buyer.call("job.events", waiting, EventList)
        await other.call("job.events", EventsRequest("", 0, 0.0), EventList)
        nursery.cancel_scope.cancel()
    assert len(board) == 0
    await buyer.call("job.events", EventsRequest("", 0, 0.0), EventList)


async def test_text_that_no_database_holds_is_refused(still_world: Any, refused: Any) -> None:
    buyer = await still_world.buyer()
    for method, request in (
        ("job.show", JobRef("a\0b")),
        ("job.cancel", JobRef("a\0b")),
        ("job.events", EventsRequest("a\0b", 0, 0.0)),
    ):
        with refused("bad_message"):
            await buyer.call(method, request, JobView)
    spec = buyer.spec()
    terms = (await buyer.quote(spec)).terms
    signature = await buyer.open_escrow(terms)
    with refused("bad_message"):
        await buyer.call("job.submit", buyer.submission(spec, terms, f"{signature}\0"), JobView)
    await buyer.call("job.submit", buyer.submission(spec, terms, signature), JobView)
