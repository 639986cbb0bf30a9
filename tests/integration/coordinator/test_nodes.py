"""Nodes: assignment, refusal, leases and fencing, reports, restarts of the coordinator."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from p2p.core.errors import UserError
from p2p.core.limits import LEASE_S, LOST_EXCLUDE_S, REFUSED_EXCLUDE_S
from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import (
    EarningsReply,
    EarningsRequest,
    GpuInfo,
    HeldJob,
    LeaveRequest,
    RegisterReply,
    RegisterRequest,
    StateReport,
)
from p2p.core.signing import Domain
from p2p.core.states import FailureCode, JobState
from p2p.wire.codec import encode


async def test_a_refusal_frees_the_job_for_another_node(world: Any) -> None:
    buyer, rude, kind = await world.buyer(), world.node(refusal="disk is full\x07"), world.node()
    await rude.join()
    view = await buyer.submit()

    async def refused_once() -> bool:
        return any(
            row["code"] == "node_refused" for row in world.query("jobs.job_events_after", **_all(view))
        )

    await world.until(refused_once, bool)
    await kind.join()
    job = await kind.next_job()
    assert (job.epoch, (await buyer.show(view.job_id)).attempt) == (2, 1)
    codes = [(row["code"], row["detail"]) for row in world.query("jobs.job_events_after", **_all(view))]
    assert ("node_refused", "disk is full") in codes


def _all(view: Any) -> dict[str, Any]:
    return {"job_id": view.job_id, "after_seq": 0, "limit": 100}


async def test_a_node_that_cannot_be_reached_is_passed_over(world: Any) -> None:
    buyer, gone, here = await world.buyer(), world.node(), world.node()
    await gone.join()
    gone.vanish()
    view = await buyer.submit()
    await here.join()
    assert (await here.next_job()).job_id == view.job_id
    assert gone.assigned == []


async def test_silence_loses_the_lease_and_the_third_time_the_job(still_world: Any, refused: Any) -> None:
    world = still_world
    buyer, nodes = await world.buyer(), [world.node() for _ in range(3)]
    view = await buyer.submit()
    for attempt, node in enumerate(nodes, 1):
        await node.join()
        job = await _claimed(world, node)
        assert (job.attempt, job.epoch) == (attempt, attempt)
        await node.report(view.job_id, attempt, JobState.RUNNING)
        world.clock.ahead_s += LEASE_S - 5
        await node.beat(HeldJob(view.job_id, attempt, JobState.RUNNING, 40.0))
        world.clock.ahead_s += LEASE_S - 1
        assert await world.coordinator.sweeps.lose_leases() == 0  # renewed
        world.clock.ahead_s += 2
        assert await world.coordinator.sweeps.lose_leases() == 1
        for action in world.actions(view.job_id):
            if action.kind == "assign" and action.state in ("prepared", "sent"):
                await world.coordinator.settler.work_on(action.action_id)
        late = StateReport(view.job_id, attempt, JobState.STAGING, 0.0)
        with refused("superseded"):
            await node.call("job.report", late, Ack)
    done = world.job(view.job_id)
    assert (done.status, done.failure_code) == (JobState.FAILED, FailureCode.NODE_LOST)
    assert done.used_units == 0
    reply = await nodes[0].beat(HeldJob(view.job_id, 1, JobState.RUNNING, 60.0))
    assert [(order.epoch, order.reason) for order in reply.stop] == [(1, "superseded")]
    assert reply.leases == ()


async def test_a_slow_database_loses_no_lease_of_a_node_that_beats(still_world: Any) -> None:
    """Nobody is judged by a time until which not all is written that was heard."""
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    await _claimed(world, node)
    held, lost = HeldJob(view.job_id, 1, JobState.ASSIGNED), []

    async def sweep() -> None:
        lost.append(await world.coordinator.sweeps.lose_leases())

    async def is_held_up() -> bool:
        with world.db.raw() as other:
            (found,) = other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return bool(found)

    async with trio.open_nursery() as nursery:
        with world.db.raw() as slow, slow.transaction():
            slow.execute("SELECT 1 FROM jobs FOR UPDATE")
            await node.beat(held)
            nursery.start_soon(sweep)
            await world.until(is_held_up, bool)
            for _ in range(3):
                world.clock.ahead_s += LEASE_S / 2
                await node.beat(held)
    assert lost == [0]
    assert await world.coordinator.sweeps.lose_leases() == 0
    assert world.job(view.job_id).status is JobState.ASSIGNED


async def _claimed(world: Any, node: Any) -> Any:
    """One pass of the dispatcher must give the only job to this node."""
    await world.coordinator.registry.flush()
    assert await world.coordinator.dispatcher.dispatch() == 1
    (row,) = world.query("jobs.held_by", peer_id=node.identity.peer_id)
    return world.job(row["job_id"])


@pytest.mark.parametrize("pause_s", [REFUSED_EXCLUDE_S, LOST_EXCLUDE_S])
async def test_the_node_that_failed_is_tried_again_later(still_world: Any, pause_s: float) -> None:
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    await _claimed(world, node)
    job = world.job(view.job_id)
    if pause_s == LOST_EXCLUDE_S:
        await node.report(view.job_id, 1, JobState.FAILED, failure=FailureCode.NODE, detail="no GPU")
    else:
        from coordinator.domain.reasons import Reason

        await world.coordinator.dispatcher._release(job, Reason.NODE_REFUSED, "busy")
    assert await world.coordinator.dispatcher.dispatch() == 0
    world.clock.ahead_s += pause_s + 1
    await node.beat()
    job = await _claimed(world, node)
    assert job.epoch == 2


async def test_one_job_per_gpu(world: Any) -> None:
    gpus = tuple(GpuInfo(f"gpu-{n}", "RTX 4090", "rtx4090", 24 << 30) for n in range(2))
    buyer, node = await world.buyer(), world.node(gpus=gpus)
    await node.join()
    views = [await buyer.submit(gpu_type="rtx4090", timeout_s=600) for _ in range(3)]
    taken = {(await node.next_job()).job_id, (await node.next_job()).job_id}
    assert taken == {view.job_id for view in views[:2]}
    why = await buyer.show(views[2].job_id)
    assert [(count.rule, count.nodes) for count in why.misfits] == [("busy", 1)]
    first = views[0].job_id
    await node.report(first, 1, JobState.FAILED, failure=FailureCode.SCRIPT_ERROR)
    assert (await node.next_job()).job_id == views[2].job_id


async def test_a_restart_keeps_leases_and_tells_a_node_again(make_world: Any) -> None:
    """A coordinator that died between claim and assignment tells the node when it comes back."""
    async with make_world(run=False) as world:
        buyer, node = await world.buyer(), world.node()
        await node.join()
        view = await buyer.submit()
        await _claimed(world, node)
        assert node.assigned == []  # it "died" here: nobody told the node
    async with make_world() as again:
        again.clock.ahead_s = LEASE_S * 3
        await again.coordinator.sweeps.refresh_leases()
        node.world = buyer.world = again
        node.connect()
        assert (await node.beat()).register_again
        await node.join()
        job = await node.next_job()
        assert (job.job_id, job.epoch) == (view.job_id, 1)
        await node.report(view.job_id, 1, JobState.RUNNING)
        assert await again.coordinator.sweeps.lose_leases() == 0


async def test_the_length_of_lists_limits_no_matching(still_world: Any, monkeypatch: Any) -> None:
    """Else strangers could keep everybody from work by registering nodes that sort first."""
    monkeypatch.setattr("coordinator.store.nodes.NODES_LISTED_MAX", 1, raising=False)
    buyer, nodes = await still_world.buyer(), [still_world.node() for _ in range(3)]
    for node in nodes:
        await node.join()
    for _ in nodes:
        await buyer.submit(gpu_type="cpu", timeout_s=60)
    assert await still_world.coordinator.dispatcher.dispatch() == 3


async def test_a_lost_report_leaves_no_gap_and_a_repeated_one_does_nothing(world: Any) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    job = await node.next_job()
    await node.report(view.job_id, 1, JobState.RUNNING)
    await node.report(view.job_id, 1, JobState.RUNNING)
    await node.report(view.job_id, 1, JobState.STAGING)
    statement = await node.deliver(job, 1.0)
    await node.report(view.job_id, 1, JobState.DELIVERING, 1.0, statement=statement)
    events = world.query("jobs.job_events_after", **_all(view))
    assert [row["new_state"] for row in events] == ["queued", "assigned", "staging", "running", "delivering"]
    await buyer.until_assigned_on_chain(view.job_id)
    await buyer.accept(view.job_id, statement)
    await node.report(view.job_id, 1, JobState.DELIVERING, 1.0, statement=statement)  # answer was lost
    reply = await node.beat(HeldJob(view.job_id, 1, JobState.DELIVERING, 1.0))
    assert [order.reason for order in reply.stop] == ["completed"]


async def test_a_node_is_paid_for_no_more_than_was_seen(world: Any) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit(gpu_type="cpu")
    job = await node.next_job()
    await node.report(job.job_id, 1, JobState.RUNNING)
    world.clock.ahead_s += 10
    await node.beat(HeldJob(job.job_id, 1, JobState.RUNNING, 5000.0))
    await world.coordinator.registry.flush()
    assert 10 <= (await buyer.show(view.job_id)).used_seconds <= 15
    await node.deliver(job, 5000.0)
    assert 10 <= (await buyer.show(view.job_id)).used_seconds <= 20


async def test_receipts_that_are_not_believed(world: Any, refused: Any) -> None:
    from p2p.core.messages.jobs import CountersignRequest, JobView, Receipt

    buyer, node, spy = await world.buyer(), world.node(), await world.buyer()
    await node.join()
    view = await buyer.submit()
    job = await node.next_job()
    with refused("nothing_to_settle"):
        await buyer.offer(view.job_id)
    statement = await node.deliver(job, 1.0)
    with refused("unknown_job"):
        await spy.accept(view.job_id, statement)
    wrong = encode(Receipt(view.job_id, 1, b"x" * 32))
    with refused("receipt_differs"):
        await buyer.offer(view.job_id, buyer.sign(Domain.RECEIPT, wrong))
    with refused("bad_signature"):
        await buyer.offer(view.job_id, node.sign(Domain.RECEIPT, wrong))
    await buyer.until_assigned_on_chain(view.job_id)
    first = await buyer.accept(view.job_id, statement)
    second = await buyer.offer(view.job_id)
    assert second.used_units == first.used_units
    with refused("offer_changed"):
        forged = CountersignRequest(view.job_id, b"message", b"")
        await buyer.call("job.countersign", forged, JobView)
    with refused("bad_signature"):
        unsigned = CountersignRequest(view.job_id, second.message, b"\0" * 64)
        await buyer.call("job.countersign", unsigned, JobView)
    await buyer.countersign(view.job_id, second)
    await buyer.countersign(view.job_id, second)  # the answer was lost
    await buyer.until(view.job_id, JobState.SETTLED)
    assert (await buyer.offer(view.job_id)).message == b""
    pay = (await node.call("node.earnings", EarningsRequest(10), EarningsReply)).earnings
    assert [(earning.job_id, earning.state) for earning in pay] == [(view.job_id, JobState.SETTLED)]
    assert pay[0].net_units == await world.balance(node.signer.address)
    assert pay[0].signature


async def test_a_stranger_cannot_sign_for_the_buyer(world: Any, refused: Any) -> None:
    from p2p.chain.keys import Signer

    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    statement = await node.deliver(await node.next_job(), 1.0)
    wallet, buyer.signer = buyer.signer, Signer.generate()
    with refused("unknown_session"):
        await buyer.accept(view.job_id, statement)
    buyer.signer = wallet
    await buyer.until_assigned_on_chain(view.job_id)
    offer = await buyer.offer(view.job_id)
    await buyer.countersign(view.job_id, offer)
    await buyer.until(view.job_id, JobState.SETTLED)


async def test_leaving_takes_no_more_jobs_but_keeps_those_held(world: Any) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    await node.next_job()
    await node.call("node.leave", LeaveRequest("going home"), Ack)
    reply = await node.beat(HeldJob(view.job_id, 1, JobState.RUNNING, 1.0))
    assert reply.register_again
    assert [lease.job_id for lease in reply.leases] == [view.job_id]
    assert (await buyer.quote(buyer.spec())).nodes_online == 0


async def test_adverts_that_are_refused(still_world: Any, refused: Any) -> None:
    node = still_world.node()
    await node.login()
    gpu = GpuInfo("g", "x", "rtx4090", 1)

    async def register(**changes: Any) -> None:
        await node.call("node.register", RegisterRequest(node.advert(**changes), ()), RegisterReply)

    with refused("wrong_advert"):
        await register(wallet=still_world.node().signer.address)
    with refused("wrong_advert"):
        await register(peer_id=still_world.node().identity.peer_id)
    from dataclasses import replace

    for gpus in ((gpu, gpu), (gpu,) * 17, (replace(gpu, uuid="a b"),), (replace(gpu, vram_bytes=-1),)):
        hardware = replace(node.advert().hardware, gpus=gpus)
        with refused("bad_message"):
            await register(hardware=hardware)
    for changes in ({"addresses": ("http://x",)}, {"networks": ()}, {"min_price_usd_micros_per_hour": -1}):
        with refused("bad_message"):
            await register(**changes)
    with pytest.raises(UserError):
        await register(hardware=replace(node.advert().hardware, gpus=(replace(gpu, gpu_class="A B"),)))


async def test_a_heartbeat_touches_no_database_when_idle(still_world: Any, monkeypatch: Any) -> None:
    node = still_world.node()
    await node.join()

    async def broken(work: Any) -> None:
        raise AssertionError("an idle heartbeat went to the database")

    with monkeypatch.context() as patch:
        patch.setattr(still_world.db, "run", broken)
        for _ in range(3):
            await node.beat()
    still_world.clock.ahead_s += 60
    await node.beat(available=False)
    await still_world.coordinator.registry.flush()
    (row,) = still_world.query("nodes.listing", since_s=still_world.clock.now_s() - 20, limit=9)
    assert (row["online"], row["available"]) == (True, False)


async def test_a_database_outage_loses_no_heartbeat(still_world: Any, monkeypatch: Any) -> None:
    from p2p.core.errors import EnvironmentFailure

    node = still_world.node()
    await node.join()
    still_world.clock.ahead_s += 60
    await node.beat()

    async def down(work: Any) -> None:
        raise EnvironmentFailure("database_unavailable", "down")

    with monkeypatch.context() as patch:
        patch.setattr(still_world.db, "run", down)
        with pytest.raises(EnvironmentFailure):
            await still_world.coordinator.registry.flush()
    await still_world.coordinator.registry.flush()
    (row,) = still_world.query("nodes.listing", since_s=still_world.clock.now_s() - 20, limit=9)
    assert row["online"]


async def test_two_dispatchers_never_give_one_job_twice(make_world: Any) -> None:
    """Two coordinators on one database, both awake at once."""
    async with make_world(run=False) as one, make_world(run=False) as two:
        buyer = await one.buyer()
        views = [await buyer.submit(timeout_s=60) for _ in range(4)]
        nodes = [one.node() for _ in range(4)]
        for node in nodes:
            await node.join()
        two.wire.peers = one.wire.peers
        counts: list[int] = []

        async def pass_of(world: Any) -> None:
            counts.append(await world.coordinator.dispatcher.dispatch())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pass_of, one)
            nursery.start_soon(pass_of, two)
        while sum(counts) < 4:  # a slot that both wanted is given in the next pass
            counts.append(await one.coordinator.dispatcher.dispatch())
        held = [one.job(view.job_id) for view in views]
        assert {job.status for job in held} == {JobState.ASSIGNED}
        assert len({job.node_peer_id for job in held}) == 4
        assert sum(counts) == 4


async def test_a_cancelled_job_pays_only_from_when_its_buyer_was_told(world: Any) -> None:
    """A late report is believed for a result, which the node swears to; for a cancelled job nobody does."""
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit(gpu_type="cpu")
    await node.next_job()
    world.clock.ahead_s += 30
    await node.report(view.job_id, 1, JobState.RUNNING, 25.0)
    world.clock.ahead_s += 10
    await node.beat(HeldJob(view.job_id, 1, JobState.RUNNING, 35.0))
    await world.coordinator.registry.flush()
    assert (await buyer.show(view.job_id)).used_seconds >= 35
    offer = await buyer.cancel(view.job_id)
    assert 10 <= offer.view.used_seconds <= 20
