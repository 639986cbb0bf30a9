"""Jobs from plan to money, with everything that may go wrong on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.manifest import Manifest
from p2p.core.messages.jobs import Receipt
from p2p.core.money import cost_units
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import FailureCode, JobState
from p2p.engine.supervisor import STEPS
from p2p.net.identity import verify_peer_signature
from p2p.store.stages import Stage
from p2p.wire.codec import decode

START_UNITS = 10**6
USED_UNITS = cost_units(40_000, 10)


def problem_is(code: str) -> Any:
    return lambda job: job.problem is not None and json.loads(job.problem)["code"] == code


def in_stage(stage: Stage) -> Any:
    return lambda job: job.stage is stage


def test_every_stage_that_needs_work_has_a_step() -> None:
    assert set(STEPS) == {stage for stage in Stage if stage.needs_work}


async def test_a_job_from_plan_to_settlement(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        job = await running.until(job_id, in_stage(Stage.SETTLED))
    out = world.folder / "out"
    assert (out / "outputs" / "model.pt").read_bytes() == world.node.outputs["model.pt"]
    assert (out / "outputs" / "a" / "b.txt").read_bytes() == b"x"
    assert (out / "log.txt").read_bytes() == world.node.log
    assert (out / "metrics.csv").read_text().splitlines()[0] == "line,epoch,epochs,loss"
    cost = json.loads((out / "cost.json").read_text())
    assert cost["final"]
    assert cost["used_units"] == job.charged_units == USED_UNITS
    assert cost["node_units"] + cost["fee_units"] + cost["refund_units"] == cost["deposit_units"]
    assert await world.balance() == START_UNITS - USED_UNITS
    signed = json.loads((out / "statement.json").read_text())
    assert signed["node_peer_id"] == world.node.peer.peer_id
    receipt = world.coordinator.views[job_id].receipt
    body = decode(Receipt, receipt.payload)
    statement = world.coordinator.views[job_id].statement
    assert body.statement_hash == statement_hash(Domain.RESULT, statement.payload)
    assert verify_peer_signature(
        receipt.signer, signing_input(Domain.RECEIPT, receipt.payload), receipt.signature
    )


async def test_it_goes_on_after_a_crash_at_every_stage(world: Any) -> None:
    """The engine is torn down in each stage and started again on the same journal; all is paid once."""
    async with world.engine() as running:
        job_id = (await world.plan(running))["job_id"]
        world.coordinator.fail["job.submit"] = EnvironmentFailure("peer_busy", "busy")
        await running.api.start({"job": job_id})
        await running.until(job_id, in_stage(Stage.OPENED))
    after_open = await world.balance()
    del world.coordinator.fail["job.submit"]
    async with world.engine() as running:
        await running.until(job_id, in_stage(Stage.FOLLOWING))
    await world.coordinator.run(job_id)
    world.coordinator.deliver(job_id)
    world.node.log_ended = False
    async with world.engine() as running:
        await running.until(job_id, in_stage(Stage.FETCHING))
    world.node.log_ended = True
    world.coordinator.fail["job.receipt"] = EnvironmentFailure("peer_busy", "busy")
    async with world.engine() as running:
        await running.until(job_id, in_stage(Stage.RECEIPTED))
    del world.coordinator.fail["job.receipt"]
    world.coordinator.fail["job.countersign"] = EnvironmentFailure("peer_busy", "busy")
    async with world.engine() as running:
        await running.until(job_id, problem_is("peer_busy"))
    del world.coordinator.fail["job.countersign"]
    async with world.engine() as running:
        await running.until(job_id, in_stage(Stage.SETTLED))
    assert after_open == START_UNITS - cost_units(40_000, 600)
    assert await world.balance() == START_UNITS - USED_UNITS
    assert (world.folder / "out" / "log.txt").read_bytes() == world.node.log


async def test_a_transaction_that_was_signed_but_never_sent_is_sent_after_the_crash(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        raise EnvironmentFailure("chain_unreachable", "The chain cannot be reached.")

    with monkeypatch.context() as patched:
        patched.setattr("p2p.chain.sending.ChainSending.send_and_confirm", never)
        async with world.engine() as running:
            job_id = (await world.plan(running))["job_id"]
            await running.api.start({"job": job_id})
            job = await running.until(job_id, problem_is("chain_unreachable"))
            assert job.stage is Stage.OPENING
            signature = job.open_signature
    assert await world.balance() == START_UNITS
    async with world.engine() as running:
        job = await running.until(job_id, in_stage(Stage.FOLLOWING))
        assert job.open_signature == signature
    assert await world.balance() == START_UNITS - cost_units(40_000, 600)


async def test_a_job_that_the_coordinator_refuses_is_taken_back_from_the_chain(world: Any) -> None:
    world.coordinator.fail["job.submit"] = Refused("escrow_differs", "The escrow differs.")
    async with world.engine() as running:
        job_id = (await world.plan(running))["job_id"]
        await running.api.start({"job": job_id})
        await running.until(job_id, in_stage(Stage.REFUNDED))
        shown = await running.api.show({"job": job_id})
    assert await world.balance() == START_UNITS
    assert any("The escrow differs." in event["detail"] for event in shown["events"])
    assert shown["succeeded"] is False


async def test_a_job_cancelled_before_it_is_queued_is_taken_back(world: Any) -> None:
    world.coordinator.fail["job.submit"] = EnvironmentFailure("peer_busy", "busy")
    async with world.engine() as running:
        job_id = (await world.plan(running))["job_id"]
        await running.api.start({"job": job_id})
        await running.until(job_id, problem_is("peer_busy"))
        await running.api.cancel({"job": job_id})
        await running.until(job_id, in_stage(Stage.REFUNDED))
    assert await world.balance() == START_UNITS


async def test_cancel_while_queued_gives_everything_back(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await running.api.cancel({"job": job_id})
        await running.until(job_id, in_stage(Stage.CLOSING))
        await world.coordinator.refund(job_id)
        job = await running.until(job_id, in_stage(Stage.REFUNDED))
    assert job.charged_units == 0
    assert await world.balance() == START_UNITS


async def test_a_failed_job_keeps_its_log_and_is_refunded(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.move(
            job_id, JobState.FAILED, failure=FailureCode.SCRIPT_ERROR, detail="Exit code 3."
        )
        await world.coordinator.refund(job_id)
        await running.until(job_id, in_stage(Stage.REFUNDED))
        shown = await running.api.show({"job": job_id})
        lines = [line async for item in running.api.logs({"job": job_id}) for line in item["lines"]]
        with pytest.raises(Refused) as caught:
            await running.api.fetch({"job": job_id})
    assert caught.value.code == "no_results"
    assert shown["failure_words"] == FailureCode.SCRIPT_ERROR.words
    assert "\n".join(lines) + "\n" == world.node.log.decode()
    assert not (world.folder / "out").exists()
    assert await world.balance() == START_UNITS


async def test_a_second_attempt_replaces_the_first(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        world.node.log, world.node.log_ended = b"first attempt\n", False
        await world.coordinator.run(job_id)
        await running.until(job_id, lambda job: running.engine.log(job_id, 1).size_bytes() == 14)
        world.coordinator.move(job_id, JobState.QUEUED, node_peer_id="", attempt=2)
        world.node.log, world.node.log_ended = b"second attempt\n", True
        await world.coordinator.run(job_id, epoch=2)
        world.coordinator.deliver(job_id)
        await running.until(job_id, in_stage(Stage.SETTLED))
    assert (world.folder / "out" / "log.txt").read_bytes() == b"second attempt\n"


async def test_results_of_an_attempt_that_was_superseded_are_not_paid(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.fail["job.receipt"] = EnvironmentFailure("peer_busy", "busy")
        world.coordinator.deliver(job_id)
        await running.until(job_id, in_stage(Stage.RECEIPTED))
        world.coordinator.fail["job.receipt"] = Refused("bad_transition", "It is queued again.")
        world.coordinator.move(job_id, JobState.QUEUED, node_peer_id="", attempt=2, statement=None)
        await running.until(job_id, in_stage(Stage.FOLLOWING))
        del world.coordinator.fail["job.receipt"]
        world.node.outputs = {"model.pt": b"another"}
        await world.coordinator.run(job_id, epoch=2)
        world.coordinator.deliver(job_id)
        await running.until(job_id, in_stage(Stage.SETTLED))
    assert (world.folder / "out" / "outputs" / "model.pt").read_bytes() == b"another"
    assert not (world.folder / "out" / "outputs" / "a").exists()


async def test_a_settlement_that_charges_too_much_is_not_signed(world: Any) -> None:
    world.coordinator.overcharge = 1
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, problem_is("not_agreed"))
        assert "job.countersign" not in world.coordinator.calls
        world.coordinator.overcharge = 0
        running.engine.live[job_id].retry.ring()
        await running.until(job_id, in_stage(Stage.SETTLED))
    assert await world.balance() == START_UNITS - USED_UNITS


async def test_a_statement_that_the_node_did_not_sign_is_not_accepted(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id, signature=b"\0" * 64)
        job = await running.until(job_id, problem_is("bad_statement"))
    assert job.stage is Stage.FOLLOWING
    assert not (world.folder / "out").exists()


def add_file(manifest: Manifest) -> Manifest:
    first = manifest.files[0]
    return Manifest((*manifest.files, replace(first, path="zz.txt")))


def climb(manifest: Manifest) -> Manifest:
    first = manifest.files[0]
    return Manifest((replace(first, path="../../evil"), *manifest.files[1:]))


@pytest.mark.parametrize(("lie", "code"), [(add_file, "outputs_differ"), (climb, "bad_path")])
async def test_files_other_than_those_signed_are_not_fetched(world: Any, lie: Any, code: str) -> None:
    world.node.lie = lie
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, problem_is(code))
    assert not (world.folder / "out").exists()
    assert not (world.folder / "evil").exists()
    assert "job.receipt" not in world.coordinator.calls


async def test_a_log_other_than_the_one_signed_is_fetched_again_and_not_paid_for(world: Any) -> None:
    honest = world.node.log
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.node.log = honest.replace(b"0.25", b"0.99")
        await running.until(job_id, lambda job: job.log_complete)
        world.node.log = honest
        world.coordinator.deliver(job_id)
        await running.until(job_id, in_stage(Stage.SETTLED))
    assert (world.folder / "out" / "log.txt").read_bytes() == honest


async def test_a_log_stream_that_is_cut_goes_on_where_it_ended(world: Any) -> None:
    world.node.log = b"".join(b"line %d\n" % n for n in range(200))
    world.node.cut_log_after = [3, 3, 100, 1001]
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        await running.until(job_id, lambda job: job.log_complete)
        log = running.engine.log(job_id, 1)
        assert b"".join(log.blocks(0)) == world.node.log
    assert world.node.asked_offsets[0] == 0
    assert world.node.asked_offsets == sorted(world.node.asked_offsets)
    assert set(world.node.asked_offsets) >= {0, 3, 100, 1001}


async def test_results_wait_until_their_folder_is_free(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        out = world.folder / "out"
        out.mkdir()
        (out / "mine.txt").write_text("precious")
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, problem_is("out_not_empty"))
        with pytest.raises(UserError):
            await running.api.fetch({"job": job_id, "out": str(out)[:-3] + "train.py"})
        await running.api.fetch({"job": job_id, "out": str(world.folder / "elsewhere")})
        await running.until(job_id, in_stage(Stage.SETTLED))
        await running.api.fetch({"job": job_id, "out": str(world.folder / "copy")})
    assert (world.folder / "copy" / "outputs" / "model.pt").read_bytes() == world.node.outputs["model.pt"]
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


async def test_a_mistake_with_one_job_leaves_the_others_alone(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with world.engine() as running:
        first = await world.submit(running)
        with monkeypatch.context() as patched:
            patched.setitem(STEPS, Stage.FOLLOWING, broken)
            second = str((await world.plan(running, out=str(world.folder / "two")))["job_id"])
            await running.api.start({"job": second})
            await running.until(second, problem_is("internal"))
        await world.coordinator.run(first)
        world.coordinator.deliver(first)
        await running.until(first, in_stage(Stage.SETTLED))


async def test_a_signed_receipt_is_for_one_statement_only(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        job = await running.until(job_id, in_stage(Stage.SETTLED))
    sworn = decode(Signed, job.receipt)
    assert sworn.signer == running.engine.peer.peer_id
