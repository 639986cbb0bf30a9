"""A marketplace whose buyers fall silent: what the tests of claims do over and over."""

from __future__ import annotations

from typing import Any

import trio

from coordinator.service.audit import audit
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CLAIM_AFTER_S, LEASE_S
from p2p.core.messages.nodes import Assignment, HeldJob
from p2p.core.money import split
from p2p.core.states import JobState

WINDOW_S = 24 * 3600
"""The localnet's review window."""
START_UNITS = 5_000_000
"""What a buyer of the marketplace has in escrow at first."""


async def move(world: Any, seconds: float) -> None:
    """Time passes, here and on the chain."""
    world.clock.ahead_s += seconds
    await world.chain.ask("cyxwizAdvanceClock", int(seconds))


async def work(world: Any, job_id: str) -> None:
    """Let the settler do everything that can be done now."""
    with trio.fail_after(30):
        while due := world.db.transact(
            lambda tx: [
                row["action_id"]
                for row in tx.rows("outbox.due", now_s=world.clock.now_s(), limit=50)
                if row["job_id"] == job_id
            ]
        ):
            await world.coordinator.settler.work_on(due[0])


async def assigned(world: Any) -> tuple[Any, Any, str, Assignment]:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit(gpu_type="cpu")
    assert await world.coordinator.dispatcher.dispatch() == 1
    job = world.job(view.job_id)
    assignment = Assignment(view.job_id, 1, job.job_spec, "", (), LEASE_S, "cpu", 1)
    await node.report(view.job_id, 1, JobState.RUNNING)
    return buyer, node, view.job_id, assignment


async def delivered(world: Any, **statement: Any) -> tuple[Any, Any, str]:
    """A job whose node has delivered, known on chain; its buyer is silent. ``statement``: of it."""
    buyer, node, job_id, assignment = await assigned(world)
    await move(world, 100)
    await node.beat(HeldJob(job_id, 1, JobState.RUNNING, 100.0))
    await node.deliver(assignment, 100.0, **statement)
    await work(world, job_id)
    return buyer, node, job_id


async def claimed(world: Any, **statement: Any) -> tuple[Any, Any, str]:
    buyer, node, job_id = await delivered(world, **statement)
    await move(world, CLAIM_AFTER_S)
    assert await world.coordinator.claims.sweep() == 1
    await work(world, job_id)
    return buyer, node, job_id


async def window_passes(world: Any, job_id: str) -> None:
    await move(world, WINDOW_S + 1)
    await world.coordinator.claims.sweep()
    await work(world, job_id)


def entries(world: Any, job_id: str) -> list[tuple[str, str]]:
    return [(action.kind, action.state) for action in world.actions(job_id)]


async def on_chain(world: Any, job_id: str) -> Any:
    return await world.chain.existing_job(Wallet(world.job(job_id).buyer), JobId(job_id))


async def check_paid(world: Any, buyer: Any, node: Any, job_id: str, used_units: int) -> None:
    """Node, platform and buyer have theirs, once, on chain and in the ledger alike."""
    job = world.job(job_id)
    parts = split(job.deposit_units, used_units, job.fee_bps)
    assert job.status is JobState.SETTLED, entries(world, job_id)
    assert job.used_units == used_units
    assert await world.balance(node.signer.address) == parts.node_units
    assert await world.balance(buyer.signer.address) == START_UNITS - used_units
    await agrees(world, job_id)
    await world.coordinator.follower.follow()
    lines = world.query("ledger.of_account", account=f"user:{node.signer.address}", limit=9)
    assert [line["units"] for line in lines] == ([parts.node_units] if parts.node_units else [])
    node_kinds = [entry.kind for entry in await world.chain.history(node.signer.address)]
    assert sum(kind in ("settle", "finalize", "resolve") for kind in node_kinds) == 1


async def agrees(world: Any, job_id: str) -> None:
    differences = (await audit(world.db, world.chain)).differences
    assert differences == []
