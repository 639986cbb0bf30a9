"""A buyer disputes a claim: written down, brought to the chain once, and left to the arbiter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from p2p.chain.accounts import JobStatus
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.limits import DISPUTE_TEXT_MAX_CHARS
from p2p.core.messages.disputes import DisputeStatement
from p2p.core.money import Asset, split
from p2p.core.signing import Domain, signing_input
from p2p.core.states import JobState
from p2p.net.identity import verify_peer_signature
from p2p.store.stages import Stage
from p2p.wire.codec import decode

START_UNITS = 10**6
REASON = "The files are not those that it signed."
WINDOW_S = 24 * 3600


@pytest.fixture(scope="module")
def deployed(run_chain: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with run_chain(tmp_path_factory.mktemp("disputing")) as made:
        yield made


@pytest.fixture
def arbiter(deployed: Any) -> Any:
    return deployed.keys.arbiter


def lie(world: Any) -> None:
    """The node offers other files than those that it signed."""
    world.node.lie = lambda manifest: replace(manifest, files=manifest.files[:1])


async def claimed(world: Any, running: Any) -> str:
    """A job whose results cannot be fetched, so that its pay was claimed."""
    lie(world)
    job_id = await world.submit(running)
    await world.coordinator.run(job_id)
    world.coordinator.deliver(job_id)
    await running.until(job_id, lambda job: job.problem and "outputs_differ" in job.problem)
    await world.coordinator.claim(job_id)
    return str(job_id)


async def on_chain(world: Any, job_id: str) -> Any:
    return await world.chain.existing_job(world.buyer, job_id)


async def refusal(running: Any, job_id: str, reason: str = REASON) -> str:
    for command in (running.api.dispute_terms, running.api.dispute):
        with pytest.raises(CyxWizError) as caught:
            await command({"job": job_id, "reason": reason})
        assert caught.value.what
        assert caught.value.meaning
    return caught.value.code


async def test_a_disputed_claim_is_decided_and_what_is_paid_is_fetched(world: Any, arbiter: Any) -> None:
    async with world.engine() as running:
        job_id = await claimed(world, running)
        terms = await running.api.dispute_terms({"job": job_id})
        assert (terms["claimed_units"], terms["disputed"]) == (
            (await on_chain(world, job_id)).used_units,
            False,
        )
        assert not (await running.api.dispute({"job": job_id, "reason": f"  {REASON} "}))["final"]
        await running.until(job_id, lambda job: job.dispute_known and job.stage is Stage.FOLLOWING)
        assert (await on_chain(world, job_id)).status is JobStatus.DISPUTED
        (request,) = world.coordinator.disputes
        said, signed = decode(DisputeStatement, request.statement.payload), request.statement
        assert (said.job_id, said.text, signed.signer) == (job_id, REASON, running.engine.peer.peer_id)
        assert verify_peer_signature(
            signed.signer, signing_input(Domain.DISPUTE, signed.payload), signed.signature
        )
        again = await running.api.dispute({"job": job_id, "reason": "something else"})
        assert again["disputed"]
        shown = await running.api.show({"job": job_id})
        assert (shown["review"]["dispute"], shown["review"]["reason"]) == ("open", REASON)
        world.node.lie = lambda manifest: manifest
        half = terms["claimed_units"] // 2
        await world.coordinator.resolve(job_id, arbiter, half)
        job = await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        assert job.charged_units == half
        assert (await running.api.show({"job": job_id}))["succeeded"] is True
    assert (world.folder / "out" / "outputs" / "model.pt").read_bytes() == world.node.outputs["model.pt"]
    assert await world.balance() == START_UNITS - half
    node = world.coordinator.node_wallet
    assert await world.chain.balance(node, Asset.USDC) == split(half, half, 1000).node_units
    assert "job.receipt" not in world.coordinator.calls
    assert len(world.coordinator.disputes) == 1


async def test_what_is_given_back_is_not_fetched(world: Any, arbiter: Any) -> None:
    async with world.engine() as running:
        job_id = await claimed(world, running)
        await running.api.dispute({"job": job_id, "reason": REASON})
        await running.until(job_id, lambda job: job.dispute_known)
        await world.coordinator.resolve(job_id, arbiter, 0)
        job = await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        assert (job.charged_units, job.fetched_at_s) == (0, None)
    assert await world.balance() == START_UNITS
    assert not (world.folder / "out").exists()


async def test_results_that_are_here_stay(world: Any, arbiter: Any) -> None:
    """The buyer disagrees with the price, not with the work."""
    world.coordinator.overcharge = 1
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, lambda job: job.problem and "not_agreed" in job.problem)
        used = await world.coordinator.claim(job_id)
        await running.api.dispute({"job": job_id, "reason": "That is more than agreed."})
        await running.until(job_id, lambda job: job.dispute_known and job.stage is Stage.CLOSING)
        await world.coordinator.resolve(job_id, arbiter, used)
        await running.until(job_id, lambda job: job.stage is Stage.SETTLED)
        assert (await running.api.show({"job": job_id}))["succeeded"] is True
    assert await world.balance() == START_UNITS - used


async def test_the_same_bytes_are_sent_after_a_crash(world: Any) -> None:
    async with world.engine() as running:
        job_id = await claimed(world, running)
    async with world.engine(resume=False) as running:
        await running.api.dispute({"job": job_id, "reason": REASON})
        kept = await running.engine.job(job_id)
    assert kept.dispute_signature
    assert (await on_chain(world, job_id)).status is JobStatus.CLAIMED
    world.coordinator.fail["job.dispute"] = EnvironmentFailure("dispute_not_seen", "Not yet.")
    async with world.engine() as running:
        while (await on_chain(world, job_id)).status is not JobStatus.DISPUTED:
            await running.engine.live.any.wait(running.engine.live.any.count, 0.2)
    history = await world.chain.history(world.buyer, 20)
    assert (
        await world.chain.outcome(kept.dispute_signature, kept.dispute_last_valid)
    ).kind.value == "confirmed"
    assert history
    del world.coordinator.fail["job.dispute"]
    async with world.engine() as running:
        job = await running.until(job_id, lambda job: job.dispute_known)
    assert job.dispute_signature == kept.dispute_signature


async def test_a_dispute_that_comes_too_late_leaves_the_claim(world: Any) -> None:
    """Written down, then the machine slept through the end of the window."""
    async with world.engine() as running:
        job_id = await claimed(world, running)
    async with world.engine(resume=False) as running:
        await running.api.dispute({"job": job_id, "reason": REASON})
    await world.chain.ask("cyxwizAdvanceClock", WINDOW_S + 1)
    async with world.engine() as running:
        job = await running.until(job_id, lambda job: job.dispute is None)
        assert not job.dispute_known
        events = (await running.api.show({"job": job_id}))["events"]
        assert "did not reach the chain before the review ended" in events[-1]["detail"]
    assert world.coordinator.disputes == []


async def test_what_cannot_be_disputed_is_refused_in_words(world: Any) -> None:
    async with world.engine() as running:
        lie(world)
        job_id = await world.submit(running)
        assert await refusal(running, job_id) == "no_claim"
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await world.coordinator.claim(job_id)
        for reason in (" ", "x" * (DISPUTE_TEXT_MAX_CHARS + 1)):
            with pytest.raises(CyxWizError) as caught:
                await running.api.dispute({"job": job_id, "reason": reason})
            assert caught.value.code == "bad_text"
        await world.chain.ask("cyxwizAdvanceClock", WINDOW_S + 1)
        assert await refusal(running, job_id) == "window_over"
        finalize = await world.chain.prepare_finalize(world.coordinator.signer, world.buyer, job_id)
        await world.chain.send_and_confirm(finalize)
        assert await refusal(running, job_id) == "already_final"
        assert (await running.engine.job(job_id)).dispute is None
        world.coordinator.move(job_id, JobState.SETTLED)
