"""Jobs that nobody moves on: a node that only beats, a buyer who is gone, an escrow past its deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from coordinator.service.audit import audit
from coordinator.service.overdue import end_expired
from p2p.core.ids import JobId
from p2p.core.limits import (
    ATTEMPT_SLACK_S,
    CHAIN_CLOCK_SLACK_S,
    ESCROW_GONE_S,
    LEASE_S,
    REQUIREMENTS_INSTALL_MAX_S,
    SETTLER_TAKE_S,
    STAGING_MAX_S,
    SWEEP_BATCH_MAX,
)
from p2p.core.messages.nodes import Assignment, HeldJob
from p2p.core.states import FailureCode, JobState
from p2p.testing.claiming import move
from p2p.testing.marketplace import MovableClock


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with new_localnet(tmp_path_factory.mktemp("overdue")) as opened:
        yield opened


@pytest.fixture
async def still_world(make_world: Any, chain_clock: MovableClock) -> AsyncIterator[Any]:
    async with make_world(run=False, clock=chain_clock) as world:
        yield world


async def _assigned(world: Any, **config: Any) -> tuple[Any, Any, Any]:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit(**config)
    assert await world.coordinator.dispatcher.dispatch() == 1
    return buyer, node, view


async def _work(world: Any, job_id: str) -> None:
    while live := [a for a in world.actions(job_id) if a.state in ("prepared", "sent")]:
        world.clock.ahead_s += SETTLER_TAKE_S + 1
        await world.coordinator.settler.work_on(live[0].action_id)


@pytest.mark.parametrize(
    ("state", "allowed_s"),
    [
        (JobState.ASSIGNED, STAGING_MAX_S + REQUIREMENTS_INSTALL_MAX_S),
        (JobState.STAGING, STAGING_MAX_S + REQUIREMENTS_INSTALL_MAX_S),
        (JobState.RUNNING, 600),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
async def test_a_node_that_beats_and_does_nothing_loses_the_job(
    still_world: Any, state: JobState, allowed_s: float
) -> None:
    world = still_world
    _, node, view = await _assigned(world, timeout_s=600)
    if state is not JobState.ASSIGNED:
        await node.report(view.job_id, 1, state)
    world.clock.ahead_s += allowed_s + ATTEMPT_SLACK_S - 30
    held = HeldJob(view.job_id, 1, state, 600.0)
    await node.beat(held)
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is state
    world.clock.ahead_s += 31
    await node.beat(held)
    assert await world.coordinator.sweeps.lose_leases() == 0
    await world.coordinator.sweeps.reconcile()
    job = world.job(view.job_id)
    assert (job.status, job.attempt) == (JobState.QUEUED, 2)
    reply = await node.beat(held)
    assert [order.reason for order in reply.stop] == ["superseded"]


async def test_after_a_restart_nodes_are_heard_first(still_world: Any) -> None:
    world = still_world
    _, node, view = await _assigned(world, timeout_s=600)
    await node.report(view.job_id, 1, JobState.RUNNING)
    world.clock.ahead_s += 600 + ATTEMPT_SLACK_S + 60  # nobody listened
    await world.coordinator.sweeps.refresh_leases()
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is JobState.RUNNING
    world.clock.ahead_s += LEASE_S
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is JobState.QUEUED


async def _past_the_deadline(world: Any, buyer: Any, job_id: str) -> None:
    on_chain = await world.chain.existing_job(buyer.signer.address, JobId(job_id))
    await move(world, on_chain.deadline_s + CHAIN_CLOCK_SLACK_S - world.clock.now_s() + 2)


async def _is_given_back(world: Any, buyer: Any, job_id: str) -> None:
    await _work(world, job_id)
    assert world.job(job_id).status is JobState.REFUNDED
    assert world.job(job_id).used_units == 0
    assert await world.balance(buyer.signer.address) == 5_000_000
    differences = (await audit(world.db, world.chain)).differences
    assert differences == []


async def test_a_job_that_no_node_took_before_its_deadline_is_given_back(still_world: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is JobState.QUEUED
    await _past_the_deadline(world, buyer, view.job_id)
    await world.coordinator.sweeps.reconcile()
    job = world.job(view.job_id)
    assert (job.status, job.failure_code) == (JobState.FAILED, FailureCode.EXPIRED)
    await _is_given_back(world, buyer, view.job_id)


async def test_a_clock_of_ours_that_is_wrong_ends_no_job(still_world: Any) -> None:
    world = still_world
    view = await (await world.buyer()).submit()
    world.clock.ahead_s += 400 * 24 * 3600
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is JobState.QUEUED


async def _delivered(world: Any) -> tuple[Any, Any, Any]:
    buyer, node, view = await _assigned(world)
    await _work(world, view.job_id)
    await node.report(view.job_id, 1, JobState.RUNNING)
    job = world.job(view.job_id)
    await node.deliver(Assignment(view.job_id, 1, job.job_spec, "", (), 45.0, job.gpu_class, 1), 1.0)
    return buyer, node, view


async def test_the_results_of_a_buyer_who_never_answers_are_let_go_at_the_deadline(still_world: Any) -> None:
    world = still_world
    buyer, node, view = await _delivered(world)
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is JobState.DELIVERING
    await _past_the_deadline(world, buyer, view.job_id)
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).failure_code is FailureCode.EXPIRED
    reply = await node.beat(HeldJob(view.job_id, 1, JobState.DELIVERING, 1.0))
    assert [order.reason for order in reply.stop] == ["failed"]
    await _is_given_back(world, buyer, view.job_id)


async def test_a_settlement_that_was_never_signed_ends_at_the_deadline(still_world: Any) -> None:
    world = still_world
    buyer, _, view = await _delivered(world)
    offer = await buyer.accept(view.job_id, (await buyer.show(view.job_id)).statement)
    assert offer.message
    await _past_the_deadline(world, buyer, view.job_id)
    await world.coordinator.sweeps.reconcile()
    await buyer.countersign(view.job_id, offer)  # too late
    assert (await buyer.offer(view.job_id)).message == b""
    await _is_given_back(world, buyer, view.job_id)


async def test_a_settlement_under_way_is_left_alone(still_world: Any) -> None:
    world = still_world
    buyer, _, view = await _delivered(world)
    offer = await buyer.accept(view.job_id, (await buyer.show(view.job_id)).statement)
    await buyer.countersign(view.job_id, offer)
    now_s = world.clock.now_s()
    assert world.db.transact(lambda tx: end_expired(tx, view.job_id, now_s)) is None
    await _work(world, view.job_id)
    assert world.job(view.job_id).status is JobState.SETTLED


async def test_every_unfinished_job_is_looked_at_in_turn(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    monkeypatch.setattr("coordinator.service.sweeps.SWEEP_BATCH_MAX", 2)
    assert SWEEP_BATCH_MAX > 2
    buyer = await world.buyer()
    views = [await buyer.submit(gpu_type="cpu", timeout_s=60) for _ in range(5)]
    for view in views:
        await world.chain.cancel(buyer.signer, buyer.signer.address, JobId(view.job_id))
    for left in (3, 1, 0):
        await world.coordinator.sweeps.reconcile()
        states = [world.job(view.job_id).status for view in views]
        assert sum(state is JobState.QUEUED for state in states) == left


async def test_a_job_whose_escrow_a_fork_dropped_fails_with_words(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()

    async def nothing(*_: object) -> None:
        return None

    async def no_account(*_: object) -> Any:
        return {"context": {"slot": 1}, "value": None}

    with monkeypatch.context() as patch:
        patch.setattr("p2p.chain.escrow.EscrowClient.seen_job", nothing)
        await world.coordinator.sweeps.reconcile()
        assert world.job(view.job_id).status is JobState.QUEUED  # it may still come
        world.clock.ahead_s += ESCROW_GONE_S
        await world.coordinator.sweeps.reconcile()
        assert world.job(view.job_id).status is JobState.QUEUED  # one node says so, another knows it
        patch.setattr("p2p.chain.escrow.EscrowClient._ask_at", no_account)
        await world.coordinator.sweeps.reconcile()
    job = world.job(view.job_id)
    assert (job.status, job.failure_code) == (JobState.REFUNDED, FailureCode.EXPIRED)
    assert "No money was taken" in job.detail
    assert world.actions(view.job_id) == []
    assert (await buyer.show(view.job_id)).state is JobState.REFUNDED
