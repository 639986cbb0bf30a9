"""Jobs from quote to the last unit of money, on a real database and a real chain."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from coordinator.service.audit import audit
from p2p.core.messages.nodes import HeldJob
from p2p.core.money import Asset, split
from p2p.core.states import FailureCode, JobState


async def check_money(world: Any) -> None:
    differences = (await audit(world.db, world.chain)).differences
    assert differences == []


@pytest.mark.parametrize("asset", list(Asset))
async def test_success_pays_exactly(world: Any, asset: Asset) -> None:
    units = 10**9 if asset is Asset.SOL else 5_000_000
    buyer, node = await world.buyer(asset, units), world.node()
    await node.join()
    fees_before = await world.balance(world.on_chain.fee_owner, asset)
    view = await buyer.submit(asset=asset, gpu_type="cpu")
    assert view.state is JobState.QUEUED
    job = await node.next_job()
    assert (job.job_id, job.epoch, job.gpu_class) == (view.job_id, 1, "cpu")
    await node.report(job.job_id, 1, JobState.STAGING)
    await node.report(job.job_id, 1, JobState.RUNNING)
    world.clock.ahead_s += 20
    await node.beat(HeldJob(job.job_id, 1, JobState.RUNNING, 20.0))
    world.clock.ahead_s += 17.5
    statement = await node.deliver(job, 37.2)
    assert (await buyer.show(job.job_id)).statement == statement
    await buyer.until_assigned_on_chain(job.job_id)
    offer = await buyer.accept(job.job_id, statement)
    assert offer.view.state is JobState.COMPLETED
    assert offer.used_units == -(-job.rate_units_per_hour * 38 // 3600)
    await buyer.countersign(job.job_id, offer)
    done = await buyer.until(job.job_id, JobState.SETTLED)
    parts = split(done.deposit_units, offer.used_units, world.on_chain.fee_bps)
    assert await world.balance(node.signer.address, asset) == parts.node_units > 0
    assert await world.balance(world.on_chain.fee_owner, asset) - fees_before == parts.fee_units > 0
    assert await world.balance(buyer.signer.address, asset) == units - offer.used_units
    await check_money(world)
    assert [(entry.action, entry.status) for entry in done.chain] == [
        ("assign", "confirmed"),
        ("settle", "confirmed"),
    ]


@pytest.mark.parametrize("code", [FailureCode.SCRIPT_ERROR, FailureCode.OUT_OF_MEMORY])
async def test_a_buyers_failure_is_refunded_in_full(world: Any, code: FailureCode) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    job = await node.next_job()
    await node.report(job.job_id, 1, JobState.RUNNING)
    await node.fail(job, code, "exit code 1\x1b[31m")
    done = await buyer.until(view.job_id, JobState.REFUNDED)
    assert (done.failure, done.detail, done.used_units) == (code, "exit code 1", 0)
    assert await world.balance(buyer.signer.address) == 5_000_000
    await check_money(world)


async def test_cancel_while_queued_refunds(world: Any) -> None:
    buyer = await world.buyer()
    view = await buyer.submit()
    await buyer.cancel(view.job_id)
    await buyer.until(view.job_id, JobState.REFUNDED)
    assert await world.balance(buyer.signer.address) == 5_000_000
    await check_money(world)
    assert (await buyer.cancel(view.job_id)).view.state is JobState.REFUNDED


async def test_cancel_while_running_pays_the_metered_time(world: Any) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit(gpu_type="cpu")
    job = await node.next_job()
    await node.report(job.job_id, 1, JobState.RUNNING)
    world.clock.ahead_s += 100
    await node.beat(HeldJob(job.job_id, 1, JobState.RUNNING, 100.0))
    await world.coordinator.registry.flush()
    offer = await buyer.cancel(view.job_id)
    assert offer.view.state is JobState.CANCELLED
    assert offer.used_units == -(-job.rate_units_per_hour * offer.view.used_seconds // 3600)
    assert 100 <= offer.view.used_seconds <= 110
    assert (await node.next_stop()).job_id == view.job_id
    await buyer.until_assigned_on_chain(job.job_id)
    offer = await buyer.offer(view.job_id)
    await buyer.countersign(view.job_id, offer)
    done = await buyer.until(view.job_id, JobState.SETTLED)
    assert await world.balance(buyer.signer.address) == 5_000_000 - done.used_units
    await check_money(world)


@pytest.mark.parametrize("state", [None, JobState.STAGING])
async def test_cancel_before_it_runs_refunds_and_stops(world: Any, state: JobState | None) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    job = await node.next_job()
    if state is not None:
        await node.report(job.job_id, 1, state)
    await buyer.cancel(view.job_id)
    assert (await node.next_stop()).epoch == 1
    await buyer.until(view.job_id, JobState.REFUNDED)
    assert await world.balance(buyer.signer.address) == 5_000_000
    reply = await node.beat(HeldJob(job.job_id, 1, JobState.STAGING))
    assert [order.job_id for order in reply.stop] == [job.job_id]
    await check_money(world)


async def test_cancel_while_delivering_is_too_late(world: Any, refused: Any) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    await node.deliver(await node.next_job(), 1.0)
    with refused("too_late_to_cancel"):
        await buyer.cancel(view.job_id)


async def test_events_are_waited_for(world: Any) -> None:
    from p2p.core.messages.jobs import EventList, EventsRequest

    buyer, node = await world.buyer(), world.node()
    view = await buyer.submit()
    first = await buyer.call("job.events", EventsRequest(view.job_id, 0, 0.0), EventList)
    assert [event.new for event in first.events] == [JobState.QUEUED]
    found: list[Any] = []

    async def watch() -> None:
        request = EventsRequest("", first.events[-1].seq, 20.0)
        found.extend((await buyer.call("job.events", request, EventList)).events)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await node.join()
    assert [event.new for event in found] == [JobState.ASSIGNED]
