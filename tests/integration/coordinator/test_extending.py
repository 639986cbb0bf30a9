"""A buyer gives a job more time: paid on the chain first, granted once, told to the node, and paid for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from coordinator.domain.ledger import user
from coordinator.service.effects import Boundary
from p2p.core.durations import format_duration
from p2p.core.limits import CLAIM_AFTER_S, EXTEND_MARGIN_S
from p2p.core.messages.jobs import Terms
from p2p.core.messages.nodes import HeldJob
from p2p.core.money import cost_units
from p2p.core.signing import Domain
from p2p.core.states import FailureCode, JobState
from p2p.testing.claiming import (
    START_UNITS,
    agrees,
    assigned,
    check_paid,
    claimed,
    entries,
    move,
    on_chain,
    window_passes,
    work,
)
from p2p.testing.marketplace import MovableClock
from p2p.wire.codec import decode, encode

FIRST_S, MORE_S = 3600, 1800


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with new_localnet(tmp_path_factory.mktemp("extending")) as opened:
        yield opened


@pytest.fixture
async def still(make_world: Any, chain_clock: MovableClock) -> AsyncIterator[Any]:
    async with make_world(run=False, clock=chain_clock) as world:
        yield world


async def running(world: Any) -> tuple[Any, Any, Any]:
    """A job that runs, as its node and the chain know too."""
    buyer, node, job_id, job = await assigned(world)
    await work(world, job_id)
    return buyer, node, job


async def test_a_job_outlives_its_first_limit_and_is_paid_for_all_of_it(still: Any) -> None:
    buyer, node, job = await running(still)
    first = (await on_chain(still, job.job_id)).deposit_units
    view = await buyer.top_up(job.job_id, MORE_S)
    held = (await on_chain(still, job.job_id)).deposit_units
    assert (view.timeout_s, view.deposit_units) == (FIRST_S + MORE_S, held)
    assert held == cost_units(view.rate_units_per_hour, FIRST_S + MORE_S) > first
    ran_s = FIRST_S + 900.0
    await move(still, ran_s)
    (grant,) = (await node.beat(HeldJob(job.job_id, job.epoch, JobState.RUNNING, ran_s))).leases
    assert grant.timeout_s == FIRST_S + MORE_S
    statement = await node.deliver(job, ran_s)
    offer = await buyer.accept(job.job_id, statement)
    assert offer.used_units == cost_units(view.rate_units_per_hour, int(ran_s)) > first
    await buyer.countersign(job.job_id, offer)
    await work(still, job.job_id)
    await check_paid(still, buyer, node, job.job_id, offer.used_units)
    lines = still.query("ledger.of_account", account=user(buyer.signer.address), limit=9)
    assert sorted(line["kind"] for line in lines) == ["deposit", "open", "settle", "top_up"]


async def test_time_is_granted_once_and_only_when_it_is_paid_for(still: Any, refused: Any) -> None:
    buyer, _, job = await running(still)
    terms = await buyer.ask_extension(job.job_id, MORE_S)
    with refused("deposit_not_seen"):
        await buyer.extended(terms)
    assert still.job(job.job_id).timeout_s == FIRST_S
    await buyer.pay_extension(terms)
    view = await buyer.extended(terms)
    assert await buyer.extended(terms) == view
    again = await buyer.top_up(job.job_id, 60)
    assert again.timeout_s == FIRST_S + MORE_S + 60
    # An answer that was lost is given again, and takes nothing back.
    assert (await buyer.extended(terms)).timeout_s == again.timeout_s
    row = still.job(job.job_id)
    assert (row.added_s, row.deposit_units) == (
        MORE_S + 60,
        (await on_chain(still, job.job_id)).deposit_units,
    )
    events = still.query("jobs.job_events_after", job_id=job.job_id, after_seq=0, limit=50)
    assert [row["code"] for row in events].count("topped_up") == 2


async def test_other_terms_are_no_extension(still: Any, refused: Any) -> None:
    buyer, _, job = await running(still)
    stranger = await still.buyer()
    terms = await buyer.ask_extension(job.job_id, MORE_S)
    await buyer.pay_extension(terms)
    agreed = decode(Terms, terms.payload)
    with refused("bad_terms"):  # by whoever
        await buyer.extended(buyer.sign(Domain.TERMS, encode(replace(agreed, timeout_s=9 * FIRST_S))))
    quoted = (await buyer.quote(buyer.spec(gpu_type="cpu", timeout_s=2 * FIRST_S), job.job_id)).terms
    with refused("bad_terms"):  # of another specification, though we signed them for this very job
        await buyer.extended(quoted)
    with refused("bad_terms"):
        await stranger.extended(terms)
    with refused("unknown_job"):
        await stranger.ask_extension(job.job_id, MORE_S)
    assert still.job(job.job_id).timeout_s == FIRST_S


async def test_nothing_moves_the_deadline_of_the_escrow(still: Any) -> None:
    buyer, _, job = await running(still)
    with pytest.raises(Exception, match="deadline") as caught:
        await buyer.ask_extension(job.job_id, 20 * 3600)
    hint = getattr(caught.value, "hint", "")
    row, found = still.job(job.job_id), await on_chain(still, job.job_id)
    most_s = int(found.deadline_s - row.running_at_s - 3600) - FIRST_S
    assert format_duration(most_s) in hint
    before_s = found.deadline_s
    view = await buyer.top_up(job.job_id, most_s)
    assert view.timeout_s == FIRST_S + most_s
    assert (await on_chain(still, job.job_id)).deadline_s == before_s


async def test_what_comes_too_late_is_given_back_with_the_rest(still: Any, refused: Any) -> None:
    """The chain has the money, and the job ends before the coordinator hears of it."""
    buyer, node, job = await running(still)
    terms = await buyer.ask_extension(job.job_id, MORE_S)
    await buyer.pay_extension(terms)
    await move(still, 10)
    statement = await node.deliver(job, 10.0)
    with refused("not_extendable"):
        await buyer.extended(terms)
    with refused("not_extendable"):
        await buyer.ask_extension(job.job_id, MORE_S)
    offer = await buyer.accept(job.job_id, statement)
    await buyer.countersign(job.job_id, offer)
    await work(still, job.job_id)
    assert still.job(job.job_id).status is JobState.SETTLED
    assert await still.balance(buyer.signer.address) == START_UNITS - offer.used_units
    await still.coordinator.follower.follow()
    await agrees(still, job.job_id)


async def test_a_job_that_fails_gives_everything_back(still: Any) -> None:
    buyer, node, job = await running(still)
    await buyer.top_up(job.job_id, MORE_S)
    await node.fail(job, FailureCode.SCRIPT_ERROR)
    await work(still, job.job_id)
    assert await still.balance(buyer.signer.address) == START_UNITS
    await still.coordinator.follower.follow()
    await agrees(still, job.job_id)


async def test_the_last_moment_and_a_claim_are_too_late(still: Any, refused: Any) -> None:
    buyer, node, job = await running(still)
    await move(still, FIRST_S - EXTEND_MARGIN_S + 1)
    await node.beat(HeldJob(job.job_id, job.epoch, JobState.RUNNING, 1.0))
    with refused("not_extendable"):
        await buyer.ask_extension(job.job_id, MORE_S)
    buyer, _, job_id = await claimed(still)
    with refused("not_extendable"):
        await buyer.ask_extension(job_id, MORE_S)


async def test_a_silent_buyer_pays_for_what_was_added_too(still: Any) -> None:
    """The claim is due by the escrow's own deadline, which is that of the first limit."""
    buyer, node, job = await running(still)
    await buyer.top_up(job.job_id, MORE_S)
    ran_s = FIRST_S + 60.0
    await move(still, ran_s)
    await node.deliver(job, ran_s)
    await move(still, CLAIM_AFTER_S)
    assert await still.coordinator.claims.sweep() == 1
    await work(still, job.job_id)
    await window_passes(still, job.job_id)
    await check_paid(still, buyer, node, job.job_id, still.job(job.job_id).used_units)
    assert ("claim", "confirmed") in entries(still, job.job_id)


async def test_a_cancelled_job_is_paid_from_its_start_not_from_the_top_up(still: Any) -> None:
    buyer, node, job = await running(still)
    await move(still, 1000)
    await node.beat(HeldJob(job.job_id, job.epoch, JobState.RUNNING, 1000.0))
    await still.coordinator.registry.flush()
    await buyer.top_up(job.job_id, MORE_S)
    offer = await buyer.cancel(job.job_id)
    assert offer.view.used_seconds >= 1000


async def test_another_attempt_begins_with_the_longer_limit(make_world: Any, chain_clock: Any) -> None:
    async with make_world(clock=chain_clock) as world:
        buyer, node, other = await world.buyer(), world.node(), world.node()
        await node.join()
        view = await buyer.submit(gpu_type="cpu")
        job = await node.next_job()
        assert job.limit_s == FIRST_S
        await buyer.until_assigned_on_chain(view.job_id)
        await buyer.top_up(view.job_id, MORE_S)
        await other.join()
        await node.fail(job, FailureCode.NODE)
        assert (await other.next_job()).limit_s == FIRST_S + MORE_S


async def test_a_waiting_job_may_be_topped_up(still: Any) -> None:
    buyer = await still.buyer()
    view = await buyer.submit(gpu_type="cpu")
    extended = await buyer.top_up(view.job_id, MORE_S)
    assert (extended.state, extended.timeout_s) == (JobState.QUEUED, FIRST_S + MORE_S)


async def test_the_grant_outlives_the_coordinator_that_gave_it(make_world: Any, chain_clock: Any) -> None:
    class Died(Exception):
        pass

    async def die(boundary: Boundary) -> None:
        if boundary is Boundary.EXTENDED:
            raise Died

    async with make_world(die, run=False, clock=chain_clock) as world:
        buyer, _, job = await running(world)
        terms = await buyer.ask_extension(job.job_id, MORE_S)
        await buyer.pay_extension(terms)
        with pytest.raises(Died):
            await buyer.extended(terms)
    async with make_world(run=False, clock=chain_clock) as world:
        buyer.world = world
        assert (await buyer.extended(terms)).timeout_s == FIRST_S + MORE_S
        assert world.job(job.job_id).added_s == MORE_S
