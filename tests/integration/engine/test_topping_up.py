"""A buyer gives a running job more time: written down, paid into the escrow once, granted, charged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from p2p.chain.accounts import JobStatus
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused
from p2p.core.money import Asset, cost_units
from p2p.core.states import JobState
from p2p.store.stages import Stage
from p2p.testing.scripted_extensions import ScriptedExtensions
from p2p.testing.scripted_network import RATE

START_UNITS = 10**6
FIRST_S, MORE_S = 600, 3600
FIRST_UNITS = cost_units(RATE.units_per_hour, FIRST_S)
MOST_UNITS = cost_units(RATE.units_per_hour, FIRST_S + MORE_S)


@pytest.fixture
def extensions(world: Any) -> ScriptedExtensions:
    return ScriptedExtensions(world.coordinator)


async def running_job(world: Any, running: Any) -> str:
    job_id = str(await world.submit(running))
    await world.coordinator.run(job_id)
    return job_id


async def held(world: Any, job_id: str) -> Any:
    return await world.chain.existing_job(world.buyer, job_id)


async def top_ups(world: Any) -> int:
    kinds = [entry.kind for entry in await world.chain.history(world.buyer, 50)]
    return kinds.count("top_up")


async def refusal(running: Any, **params: Any) -> CyxWizError:
    for command in (running.api.topup_terms, running.api.topup):
        with pytest.raises(CyxWizError) as caught:
            await command(params)
        assert caught.value.what
        assert caught.value.meaning
    return caught.value


async def events(running: Any, job_id: str) -> list[tuple[str, str]]:
    return [(event.state, event.detail) for event in await running.engine.tables.events(job_id)]


async def test_more_time_is_paid_for_granted_and_charged(world: Any, extensions: Any) -> None:
    async with world.engine() as running:
        job_id = await running_job(world, running)
        terms = await running.api.topup_terms({"job": job_id, "seconds": MORE_S})
        assert (terms["timeout_s"], terms["deposit_units"]) == (FIRST_S + MORE_S, MOST_UNITS)
        assert terms["units"] == MOST_UNITS - FIRST_UNITS
        assert (terms["balance_units"], terms["underway"]) == (START_UNITS - FIRST_UNITS, False)
        assert (await running.api.topup({"job": job_id, "seconds": MORE_S}))["topping_up"]
        await running.until(job_id, lambda job: job.topup is None)
        assert (await held(world, job_id)).deposit_units == MOST_UNITS
        shown = await running.api.show({"job": job_id})
        assert (shown["timeout_s"], shown["deposit_units"]) == (FIRST_S + MORE_S, MOST_UNITS)
        assert [each["action"] for each in shown["transactions"]][:2] == ["open", "top_up"]
        # It runs for longer than was agreed first; the newest terms allow the charge, and no more.
        ran_s = FIRST_S + 1200
        world.coordinator.deliver(job_id, ran_s)
        job = await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        assert job.charged_units == cost_units(RATE.units_per_hour, ran_s) > FIRST_UNITS
        cost = (await running.api.show({"job": job_id}))["cost"]
        assert cost["refund_units"] == MOST_UNITS - job.charged_units
        assert ("topped_up", "") in await events(running, job_id)
    assert await world.balance() == START_UNITS - job.charged_units
    assert await top_ups(world) == 1


async def test_twice_is_two_extensions_and_once_agreed_is_one(world: Any, extensions: Any) -> None:
    async with world.engine(resume=False) as running:
        job_id = str((await world.plan(running))["job_id"])
        await running.api.start({"job": job_id})
        await running.until(job_id, lambda job: job.stage is Stage.FOLLOWING)
        await world.coordinator.run(job_id)
    async with world.engine(resume=False) as running:
        await running.api.topup({"job": job_id, "seconds": MORE_S})
        kept = await running.engine.job(job_id)
        await running.api.topup({"job": job_id, "seconds": MORE_S})
        assert (await running.engine.job(job_id)).topup_signature == kept.topup_signature
        assert (await running.api.topup_terms({"job": job_id, "seconds": MORE_S}))["underway"]
        assert (await refusal(running, job=job_id, seconds=60)).code == "top_up_underway"
        assert (await held(world, job_id)).deposit_units == FIRST_UNITS  # nothing is sent by a command
    async with world.engine() as running:  # the same bytes go out after a crash
        await running.until(job_id, lambda job: job.topup is None)
        outcome = await world.chain.outcome(kept.topup_signature, kept.topup_last_valid)
        assert outcome.kind.value == "confirmed"
        await running.api.topup({"job": job_id, "seconds": 60})
        await running.until(job_id, lambda job: job.topup is None)
        shown = await running.api.show({"job": job_id})
        assert shown["timeout_s"] == FIRST_S + MORE_S + 60
    assert await top_ups(world) == 2
    assert (await held(world, job_id)).deposit_units == shown["deposit_units"]


async def test_it_is_paid_once_though_the_answer_is_lost(world: Any, extensions: Any) -> None:
    world.coordinator.fail["job.extended"] = EnvironmentFailure("deposit_not_seen", "Not yet.")
    async with world.engine() as running:
        job_id = await running_job(world, running)
        await running.api.topup({"job": job_id, "seconds": MORE_S})
        await running.until(job_id, lambda job: job.escrow_units == MOST_UNITS)
    del world.coordinator.fail["job.extended"]
    async with world.engine() as running:
        await running.until(job_id, lambda job: job.topup is None)
        assert (await running.api.show({"job": job_id}))["timeout_s"] == FIRST_S + MORE_S
    assert await top_ups(world) == 1


async def test_what_was_paid_in_vain_comes_back_with_the_rest(world: Any, extensions: Any) -> None:
    """The job ends between the chain and the coordinator."""
    world.coordinator.fail["job.extended"] = Refused("not_extendable", "The job gets no more time: it ended.")
    async with world.engine() as running:
        job_id = await running_job(world, running)
        await running.api.topup({"job": job_id, "seconds": MORE_S})
        await running.until(job_id, lambda job: job.topup is None)
        (why,) = [detail for state, detail in await events(running, job_id) if state == "not_topped_up"]
        assert "it ended" in why
        assert "come back" in why
        shown = await running.api.show({"job": job_id})
        assert (shown["timeout_s"], shown["deposit_units"]) == (FIRST_S, MOST_UNITS)
        # What is in the escrow is not paid a second time.
        del world.coordinator.fail["job.extended"]
        assert (await running.api.topup_terms({"job": job_id, "seconds": MORE_S}))["units"] == 0
        world.coordinator.deliver(job_id)
        job = await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        cost = (await running.api.show({"job": job_id}))["cost"]
        assert cost["refund_units"] == MOST_UNITS - job.charged_units
    assert await world.balance() == START_UNITS - job.charged_units


async def test_an_escrow_that_ended_takes_no_more(world: Any, extensions: Any) -> None:
    async with world.engine() as running:
        job_id = await running_job(world, running)
    async with world.engine(resume=False) as running:
        await running.api.topup({"job": job_id, "seconds": MORE_S})
    await world.coordinator.refund(job_id)
    async with world.engine() as running:
        await running.until(job_id, lambda job: job.stage is Stage.REFUNDED)
        (why,) = [detail for state, detail in await events(running, job_id) if state == "not_topped_up"]
        assert "nothing was added" in why
    assert await world.balance() == START_UNITS
    assert await top_ups(world) == 0


async def test_only_longer_terms_of_the_same_job_are_paid(world: Any, extensions: Any) -> None:
    async with world.engine() as running:
        job_id = await running_job(world, running)
        for bend in (
            lambda terms: replace(terms, deposit_units=terms.deposit_units + 1),
            lambda terms: replace(terms, timeout_s=terms.timeout_s - 1),
            lambda terms: replace(terms, fee_bps=terms.fee_bps + 1),
            lambda terms: replace(terms, rates=(replace(RATE, units_per_hour=1),)),
        ):
            extensions.bend = bend
            assert (await refusal(running, job=job_id, seconds=MORE_S)).code == "bad_terms"
    assert (await held(world, job_id)).deposit_units == FIRST_UNITS


async def test_what_cannot_be_paid_or_has_ended_is_refused(world: Any, extensions: Any) -> None:
    async with world.engine() as running:
        job_id = await running_job(world, running)
        await running.api.handlers()["wallet_withdraw"]({"asset": "usdc", "units": 990_000 - FIRST_UNITS})
        with pytest.raises(Refused) as caught:
            await running.api.topup({"job": job_id, "seconds": MORE_S})
        assert caught.value.code == "balance_too_low"
        world.coordinator.deliver(job_id)
        await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        assert (await refusal(running, job=job_id, seconds=MORE_S)).code == "not_extendable"
    assert (await held(world, job_id)).status is JobStatus.SETTLED
    assert await world.chain.balance(world.buyer, Asset.USDC) < START_UNITS


async def test_the_warning_comes_again_at_the_longer_limit(world: Any, extensions: Any) -> None:
    async with world.engine() as running:
        job_id = await running_job(world, running)
        tables = running.engine.tables
        for used_s in (500, 550):
            world.coordinator.move(job_id, JobState.RUNNING, used_seconds=used_s)
            await running.engine.refresh(job_id)
        await running.api.topup({"job": job_id, "seconds": MORE_S})
        await running.until(job_id, lambda job: job.topup is None)
        world.coordinator.move(job_id, JobState.RUNNING, used_seconds=4000)
        await running.engine.refresh(job_id)
        news = [row.detail for row in await tables.news_after(0, 50) if row.kind == "low_budget"]
    assert news == ["500 s of 600 s", "4000 s of 4200 s"]
