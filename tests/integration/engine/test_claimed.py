"""Jobs that were paid by a claim because the engine was away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from p2p.chain.keys import load_keypair
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.limits import OUTPUTS_KEPT_S
from p2p.core.money import cost_units
from p2p.store.stages import Stage

START_UNITS = 10**6
USED_UNITS = cost_units(40_000, 10)


@pytest.fixture(scope="module")
def deployed(run_chain: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with run_chain(tmp_path_factory.mktemp("claimed")) as made:
        yield made


async def check_fetched_and_paid(world: Any, running: Any, job_id: str) -> None:
    job = await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
    out = world.folder / "out"
    assert (out / "outputs" / "model.pt").read_bytes() == world.node.outputs["model.pt"]
    assert (out / "log.txt").read_bytes() == world.node.log
    cost = json.loads((out / "cost.json").read_text())
    assert cost["final"]
    assert cost["used_units"] == job.charged_units == USED_UNITS
    assert await world.balance() == START_UNITS - USED_UNITS
    assert (await running.api.show({"job": job_id}))["succeeded"] is True


async def test_an_engine_that_was_away_fetches_what_it_paid_for(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
    await world.coordinator.run(job_id)
    world.coordinator.deliver(job_id)
    await world.coordinator.finalize(job_id)
    async with world.engine() as running:
        await check_fetched_and_paid(world, running, job_id)
    assert "job.receipt" not in world.coordinator.calls
    assert job_id in world.node.received


@pytest.mark.parametrize("stage", [Stage.FETCHING, Stage.RECEIPTED])
async def test_a_job_that_is_paid_while_its_results_come(world: Any, stage: Stage) -> None:
    if stage is Stage.FETCHING:
        world.node.log_ended = False
    else:
        world.coordinator.fail["job.receipt"] = EnvironmentFailure("peer_busy", "busy")
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, lambda job: job.stage is stage)
    await world.coordinator.finalize(job_id)
    world.node.log_ended = True
    async with world.engine() as running:
        await check_fetched_and_paid(world, running, job_id)
    assert job_id in world.node.received


async def test_a_job_whose_account_was_closed_meanwhile(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
    await world.coordinator.run(job_id)
    world.coordinator.deliver(job_id)
    await world.coordinator.finalize(job_id)
    job = await world.chain.existing_job(world.buyer, job_id)
    await world.chain.send_and_confirm(await world.chain.prepare_close(world.coordinator.signer, [job]))
    async with world.engine() as running:
        await check_fetched_and_paid(world, running, job_id)


async def test_a_refused_job_whose_escrow_is_gone_is_over(world: Any) -> None:
    """The buyer's wallet took the deposit back and closed the account before the engine did."""
    world.coordinator.fail["job.submit"] = EnvironmentFailure("peer_busy", "busy")
    async with world.engine() as running:
        job_id = (await world.plan(running))["job_id"]
        await running.api.start({"job": job_id})
        await running.until(job_id, lambda job: job.stage is Stage.OPENED)
    chain, buyer = world.chain, load_keypair(world.keypair)
    await chain.cancel(buyer, world.buyer, job_id)
    await chain.send_and_confirm(
        await chain.prepare_close(buyer, [await chain.existing_job(world.buyer, job_id)])
    )
    world.coordinator.fail["job.submit"] = Refused("job_closed", "The escrow has ended and was closed.")
    async with world.engine() as running:
        await running.until(job_id, lambda job: job.stage is Stage.REFUNDED)
    assert await world.balance() == START_UNITS


async def test_results_that_nobody_fetched_in_time_are_gone(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
    await world.coordinator.run(job_id)
    world.coordinator.deliver(job_id)
    long_ago_s = SYSTEM_CLOCK.now_s() - OUTPUTS_KEPT_S - 60
    await world.coordinator.finalize(job_id, updated_at_s=long_ago_s)
    async with world.engine() as running:
        job = await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        shown = await running.api.show({"job": job_id})
    assert (job.charged_units, shown["succeeded"]) == (USED_UNITS, False)
    assert any("not fetched while the node kept them" in event["detail"] for event in shown["events"])
    assert not (world.folder / "out").exists()
