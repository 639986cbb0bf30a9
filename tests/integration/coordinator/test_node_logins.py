"""A node's login ends while it works: its jobs go on to their end, and no new ones come."""

from __future__ import annotations

from typing import Any

from p2p.core.limits import LEASE_S, LOGIN_LIFETIME_S
from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import (
    Assignment,
    EarningsReply,
    EarningsRequest,
    HeldJob,
    LeaveRequest,
    RegisterReply,
    RegisterRequest,
)
from p2p.core.states import JobState


async def ended(world: Any) -> tuple[Any, Any, Any]:
    """A node that runs a job, and whose login has ended."""
    buyer, node = await world.buyer(), world.node()
    await node.login()
    world.clock.ahead_s = LOGIN_LIFETIME_S - LEASE_S
    await buyer.login()
    node.connect()
    await node.call("node.register", RegisterRequest(node.advert(), ()), RegisterReply)
    view = await buyer.submit(gpu_type="cpu")
    assert await world.coordinator.dispatcher.dispatch() == 1
    job = Assignment(view.job_id, 1, world.job(view.job_id).job_spec, "", (), LEASE_S, "cpu", 1)
    await node.report(job.job_id, 1, JobState.RUNNING)
    world.clock.ahead_s = LOGIN_LIFETIME_S + 1
    return buyer, node, job


async def test_what_runs_goes_on_and_is_delivered(still_world: Any, refused: Any) -> None:
    _, node, job = await ended(still_world)
    held = HeldJob(job.job_id, 1, JobState.RUNNING, 30.0)
    reply = await node.beat(held)
    assert [lease.job_id for lease in reply.leases] == [job.job_id]
    await still_world.coordinator.registry.flush()
    await node.deliver(job, 30.0)
    assert still_world.job(job.job_id).status is JobState.DELIVERING
    with refused("not_logged_in"):
        await node.call("node.earnings", EarningsRequest(1), EarningsReply)
    await node.call("node.leave", LeaveRequest("off"), Ack)


async def test_it_gets_no_new_jobs(still_world: Any) -> None:
    buyer, node, job = await ended(still_world)
    held = HeldJob(job.job_id, 1, JobState.RUNNING, 30.0)
    await node.beat(held)
    await still_world.coordinator.registry.flush()
    await node.deliver(job, 30.0)  # the slot is free
    await buyer.submit(gpu_type="cpu")
    assert await still_world.coordinator.dispatcher.dispatch() == 0
    request = RegisterRequest(node.advert(), (held,))  # as after a restart
    await node.call("node.register", request, RegisterReply)
    assert await still_world.coordinator.dispatcher.dispatch() == 0
    await node.login()
    await node.call("node.register", request, RegisterReply)
    assert await still_world.coordinator.dispatcher.dispatch() == 1


async def test_a_node_that_holds_nothing_is_told_to_log_in(still_world: Any, refused: Any) -> None:
    _, node, job = await ended(still_world)
    with refused("not_logged_in"):
        await node.beat()
    with refused("not_logged_in"):
        await node.call("node.register", RegisterRequest(node.advert(), ()), RegisterReply)
    assert (await node.beat(HeldJob(job.job_id, 1, JobState.RUNNING, 1.0))).leases


async def test_who_never_logged_in_gains_nothing_by_naming_a_job(still_world: Any, refused: Any) -> None:
    _, _, job = await ended(still_world)
    thief = still_world.node()
    with refused("not_logged_in"):
        await thief.beat(HeldJob(job.job_id, 1, JobState.RUNNING, 1.0))
    with refused("not_logged_in"):
        await thief.report(job.job_id, 1, JobState.RUNNING)
