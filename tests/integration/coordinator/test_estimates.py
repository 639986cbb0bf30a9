"""An estimate says what a quote would, without a job; and how long such a job would wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from p2p.core.errors import UserError
from p2p.core.messages.estimates import Estimate, EstimateRequest
from p2p.core.messages.jobs import Terms
from p2p.core.messages.nodes import GpuInfo
from p2p.core.money import Asset
from p2p.core.states import JobState
from p2p.wire.codec import decode

GIB = 2**30


async def estimate(buyer: Any, spec: Any, asset: Asset = Asset.USDC) -> Estimate:
    request = EstimateRequest(spec.config, asset, spec.input_bytes)
    found = await buyer.call("offers.estimate", request, Estimate)
    assert isinstance(found, Estimate)
    return found


async def test_it_agrees_with_the_quote(still_world: Any) -> None:
    buyer = still_world.stranger()
    await buyer.login()
    await still_world.node().join()
    await still_world.node(gpus=(GpuInfo("g", "RTX 4090", "rtx4090", 24 * GIB),)).join(available=False)
    spec = buyer.spec(gpu_type="rtx4090")
    found, quote = await estimate(buyer, spec), await buyer.quote(spec)
    terms = decode(Terms, quote.terms.payload)
    assert (found.rates, found.deposit_units, found.fee_bps) == (
        terms.rates,
        terms.deposit_units,
        terms.fee_bps,
    )
    assert (found.nodes_online, found.nodes_matching, found.misfits) == (
        quote.nodes_online,
        quote.nodes_matching,
        quote.misfits,
    )
    assert (found.slots, found.wait_s) == (0, None)


async def test_a_free_node_means_no_wait_and_a_busy_one_as_long_as_jobs_take(world: Any) -> None:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    free = await estimate(buyer, buyer.spec())
    assert (free.wait_s, free.slots, free.slots_free) == (0.0, 1, 1)
    await buyer.submit(gpu_type="cpu")
    job = await node.next_job()
    busy = await estimate(buyer, buyer.spec())
    assert (busy.slots, busy.slots_free, busy.nodes_matching) == (1, 0, 0)
    assert (busy.wait_s, busy.sampled_jobs) == (None, 0)
    await node.report(job.job_id, 1, JobState.STAGING)
    await node.report(job.job_id, 1, JobState.RUNNING)
    world.clock.ahead_s += 38
    await buyer.until_assigned_on_chain(job.job_id)
    await buyer.accept(job.job_id, await node.deliver(job, 37.2))
    await node.join()  # it was not heard of for 38 seconds
    assert (await estimate(buyer, buyer.spec())).wait_s == 0.0
    await buyer.submit(gpu_type="cpu")
    await node.next_job()
    again = await estimate(buyer, buyer.spec())
    assert (again.slots_free, again.sampled_jobs, again.mean_run_s) == (0, 1, 38.0)
    assert (again.jobs_ahead, again.wait_s) == (0, 38.0)


async def test_what_cannot_be_is_refused_as_by_a_quote(still_world: Any, refused: Any) -> None:
    buyer = still_world.stranger()
    await buyer.login()
    with refused("price_too_low"):
        await estimate(buyer, buyer.spec(max_price_usd_micros_per_hour=1))
    with pytest.raises(UserError, match="rtx9999"):
        await estimate(buyer, buyer.spec(gpu_type="rtx9999"))
    with pytest.raises(UserError):
        await estimate(buyer, replace(buyer.spec(), input_bytes=-1))
