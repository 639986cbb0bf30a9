"""Jobs whose account on chain was closed, for its rent, before the engine looked at how they ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, Wallet
from p2p.store.stages import Stage

START_UNITS = 10**6


async def _close(world: Any, job_id: str, owner: str) -> None:
    chain = world.coordinator.chain
    job = await chain.existing_job(Wallet(owner), JobId(job_id))
    await chain.send_and_confirm(await chain.prepare_close(world.coordinator.signer, [job]))


@pytest.mark.parametrize("paid", [True, False])
async def test_an_engine_that_was_away_until_the_account_was_closed(world: Any, paid: bool) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
    view = await world.coordinator.run(job_id)
    world.coordinator.deliver(job_id)
    await (world.coordinator.finalize(job_id) if paid else world.coordinator.refund(job_id))
    await _close(world, job_id, view.buyer)
    async with world.engine() as running:
        wanted = Stage.SETTLED if paid else Stage.REFUNDED
        job = await running.until(job_id, lambda job: job.stage is wanted)
    assert await world.balance() == START_UNITS - job.charged_units
    assert (job.charged_units > 0) is paid
    if paid:
        assert json.loads((world.folder / "out" / "cost.json").read_text())["used_units"] == job.charged_units


async def test_an_escrow_that_was_taken_back_and_closed_before_the_engine_knew(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> str:
        raise EnvironmentFailure("chain_unreachable", "The chain cannot be reached.")

    world.coordinator.fail["job.submit"] = EnvironmentFailure("peer_busy", "busy")
    async with world.engine() as running:
        job_id = (await world.plan(running))["job_id"]
        await running.api.start({"job": job_id})
        job = await running.until(job_id, lambda job: job.stage is Stage.OPENED)
        with monkeypatch.context() as patched:
            patched.setattr("p2p.chain.sending.ChainSending.broadcast", lost)
            await running.api.cancel({"job": job_id})
            job = await running.until(job_id, lambda job: job.cancel_transaction)
    await world.coordinator.chain.broadcast(job.cancel_transaction)  # it had arrived after all
    await _close(world, job_id, job.wallet)
    async with world.engine() as running:
        await running.until(job_id, lambda job: job.stage is Stage.REFUNDED)
    assert await world.balance() == START_UNITS
