"""The outbox: a crash at any boundary neither loses nor doubles a chain action."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from coordinator.service.audit import audit
from coordinator.service.effects import Boundary
from p2p.chain.errors import ProgramRefused, chain_unreachable
from p2p.chain.transaction import Outcome, OutcomeKind
from p2p.core.ids import JobId
from p2p.core.limits import SETTLER_TAKE_S
from p2p.core.states import FailureCode, JobState


class Crash(BaseException):
    """The process ends here."""


def crash_at(boundary: str) -> Any:
    """An effect hook that ends the process the first time a boundary is reached."""
    armed = [boundary]

    async def effect(reached: Boundary) -> None:
        if armed and reached.step == armed[0]:
            armed.clear()
            raise Crash(reached)

    return effect


BOUNDARIES = ["taken", "signed", "stored", "sent", "landed", "done"]


async def _work(world: Any, job_id: str) -> None:
    """Step the settler until nothing of the job is left to do."""
    with trio.fail_after(30):
        while live := [a for a in world.actions(job_id) if a.state in ("prepared", "sent")]:
            world.clock.ahead_s += SETTLER_TAKE_S + 1
            await world.coordinator.settler.work_on(live[0].action_id)


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_a_refund_survives_a_crash_at(make_world: Any, boundary: str) -> None:
    async with make_world(crash_at(boundary), run=False) as world:
        buyer = await world.buyer()
        view = await buyer.submit()
        await buyer.cancel(view.job_id)
        with pytest.raises(Crash):
            await _work(world, view.job_id)
        left = world.actions(view.job_id)[0]
    async with make_world(run=False) as again:
        await _work(again, view.job_id)
        assert again.job(view.job_id).status is JobState.REFUNDED
        (done,) = again.actions(view.job_id)
        assert done.state == "confirmed"
        if left.signature:
            assert done.signature == left.signature  # the same bytes, not another transaction
        history = await again.chain.history(buyer.signer.address, limit=20)
        assert sorted(entry.kind for entry in history) == ["deposit", "open", "refund"]
        assert await again.balance(buyer.signer.address) == 5_000_000
        await _agrees(again, view.job_id)


@pytest.mark.parametrize("boundary", ["taken", "sent", "landed", "done"])
async def test_a_settlement_survives_a_crash_at(make_world: Any, boundary: str) -> None:
    async with make_world(run=False) as world:
        buyer, node, view = await _delivered(world)
        await _work(world, view.job_id)
        offer = await buyer.accept(view.job_id, (await buyer.show(view.job_id)).statement)
        await buyer.countersign(view.job_id, offer)
        action = world.actions(view.job_id)[-1]
        assert (action.kind, action.state) == ("settle", "sent")
        world.coordinator.settler._context.effect = crash_at(boundary)
        with pytest.raises(Crash):
            await world.coordinator.settler.work_on(action.action_id)
    async with make_world(run=False) as again:
        await _work(again, view.job_id)
        assert again.job(view.job_id).status is JobState.SETTLED
        assert again.actions(view.job_id)[-1].signature == action.signature
        fee = offer.used_units // 10
        assert await again.balance(node.signer.address) == offer.used_units - fee
        kinds = [entry.kind for entry in await again.chain.history(node.signer.address, limit=20)]
        assert kinds.count("settle") == 1
        await _agrees(again, view.job_id)


async def _delivered(world: Any) -> tuple[Any, Any, Any]:
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    assert await world.coordinator.dispatcher.dispatch() == 1
    job = world.job(view.job_id)
    from p2p.core.messages.nodes import Assignment

    assignment = Assignment(view.job_id, 1, job.job_spec, "", (), 45.0, job.gpu_class, 1)
    await node.report(view.job_id, 1, JobState.RUNNING)
    await node.deliver(assignment, 1.0)
    return buyer, node, view


async def _agrees(world: Any, job_id: str) -> None:
    differences = (await audit(world.db, world.chain)).differences
    assert differences == []


async def test_the_same_bytes_are_sent_until_they_can_never_land(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()
    await buyer.cancel(view.job_id)
    (action,) = world.actions(view.job_id)
    sent: list[bytes] = []
    outcomes = [OutcomeKind.PENDING] * 4 + [OutcomeKind.EXPIRED]

    async def lost(raw: bytes) -> str:
        sent.append(raw)
        return "sig"

    async def outcome(signature: str, height: int, **_: Any) -> Outcome:
        return Outcome(outcomes.pop(0))

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "broadcast", lost)
        patch.setattr(world.chain, "outcome", outcome)
        while outcomes:
            world.clock.ahead_s += SETTLER_TAKE_S + 1
            await world.coordinator.settler.work_on(action.action_id)
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert world.actions(view.job_id)[0].state == "prepared"  # to be signed anew
    await _work(world, view.job_id)
    assert world.job(view.job_id).status is JobState.REFUNDED


@pytest.mark.parametrize("landed", [False, True], ids=["before-landing", "after-landing"])
async def test_a_send_that_times_out(still_world: Any, monkeypatch: Any, landed: bool) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()
    await buyer.cancel(view.job_id)
    (action,) = world.actions(view.job_id)
    real = world.chain.broadcast

    async def times_out(raw: bytes) -> str:
        if landed:
            await real(raw)
        raise chain_unreachable("timed out")

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "broadcast", times_out)
        await world.coordinator.settler.work_on(action.action_id)
    (waiting,) = world.actions(view.job_id)
    assert waiting.state == "sent"
    assert "timed out" in waiting.last_error
    assert world.job(view.job_id).status is JobState.CANCELLED
    await _work(world, view.job_id)
    assert world.actions(view.job_id)[0].signature == waiting.signature
    assert world.job(view.job_id).status is JobState.REFUNDED


async def test_an_unreachable_chain_only_delays(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()
    await buyer.cancel(view.job_id)

    async def down(*_: Any, **__: Any) -> Any:
        raise chain_unreachable("down")

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "job", down)
        await world.coordinator.settler.work_on(world.actions(view.job_id)[0].action_id)
    assert world.actions(view.job_id)[0].state == "prepared"
    await _work(world, view.job_id)
    assert world.job(view.job_id).status is JobState.REFUNDED


async def test_an_expired_offer_can_be_asked_for_again(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    buyer, _, view = await _delivered(world)
    await _work(world, view.job_id)
    statement = (await buyer.show(view.job_id)).statement
    offer = await buyer.accept(view.job_id, statement)
    await buyer.countersign(view.job_id, offer)

    async def expired(signature: str, height: int, **_: Any) -> Outcome:
        return Outcome(OutcomeKind.EXPIRED)

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "outcome", expired)
        await world.coordinator.settler.work_on(world.actions(view.job_id)[-1].action_id)
    shown = await buyer.show(view.job_id)
    assert [(entry.action, entry.status) for entry in shown.chain][-1] == ("settle", "expired")
    offer = await buyer.accept(view.job_id, statement)
    assert offer.message
    await buyer.countersign(view.job_id, offer)
    await _work(world, view.job_id)
    assert world.job(view.job_id).status is JobState.SETTLED


async def test_a_failed_job_is_assigned_before_it_is_refunded_or_not_at_all(still_world: Any) -> None:
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    assert await world.coordinator.dispatcher.dispatch() == 1
    await node.report(view.job_id, 1, JobState.FAILED, failure=FailureCode.INPUT)
    await _work(world, view.job_id)
    states = [(action.kind, action.state) for action in world.actions(view.job_id)]
    assert states == [("assign", "superseded"), ("refund", "confirmed")]


async def test_actions_of_a_job_keep_their_order(still_world: Any) -> None:
    world = still_world
    buyer, _, view = await _delivered(world)
    assert [action.kind for action in world.actions(view.job_id)] == ["assign"]
    statement = (await buyer.show(view.job_id)).statement
    from p2p.core.errors import EnvironmentFailure

    with pytest.raises(EnvironmentFailure) as caught:  # the chain does not know the node yet
        await buyer.accept(view.job_id, statement)
    assert caught.value.code == "assign_pending"
    assert caught.value.retryable
    assert world.job(view.job_id).status is JobState.COMPLETED


# -- the buyer acts on chain without us


async def test_an_escrow_cancelled_on_chain_ends_the_job(still_world: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()
    await world.chain.cancel(buyer.signer, buyer.signer.address, JobId(view.job_id))
    await world.coordinator.sweeps.reconcile()
    assert world.job(view.job_id).status is JobState.REFUNDED
    await _agrees(world, view.job_id)
    await world.coordinator.sweeps.reconcile()  # nothing more to do
    await _agrees(world, view.job_id)


async def test_an_assignment_that_finds_the_escrow_cancelled(still_world: Any) -> None:
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    await world.chain.cancel(buyer.signer, buyer.signer.address, JobId(view.job_id))
    assert await world.coordinator.dispatcher.dispatch() == 1
    await _work(world, view.job_id)
    assert world.job(view.job_id).status is JobState.REFUNDED
    await _agrees(world, view.job_id)


async def test_deposits_and_withdrawals_are_noticed(still_world: Any) -> None:
    from p2p.core.money import Asset

    world = still_world
    buyer = await world.buyer()
    await buyer.submit(gpu_type="cpu")
    await world.chain.withdraw(buyer.signer, Asset.USDC, 1_000_000)
    await world.chain.deposit(buyer.signer, Asset.USDC, 400_000)
    await world.coordinator.sweeps.reconcile()
    await _agrees(world, buyer.signer.address)
    rows = world.query("ledger.of_account", account=f"user:{buyer.signer.address}", limit=9)
    assert sorted((row["kind"], row["units"]) for row in rows) == [
        ("deposit", 400_000),
        ("deposit", 5_000_000),
        ("open", -40_000),
        ("withdraw", -1_000_000),
    ]


async def test_a_refusal_by_the_program_is_kept_and_tried_again(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit()
    await buyer.cancel(view.job_id)
    (action,) = world.actions(view.job_id)

    async def paused(raw: bytes) -> str:
        raise ProgramRefused(6007, "paused")

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "broadcast", paused)
        await world.coordinator.settler.work_on(action.action_id)
    assert "paused" in world.actions(view.job_id)[0].last_error
    await _work(world, view.job_id)
    assert world.job(view.job_id).status is JobState.REFUNDED


async def test_a_mistake_with_one_job_holds_up_no_other(make_world: Any, monkeypatch: Any) -> None:
    from coordinator.service import verdicts
    from p2p.core.errors import Bug

    async with make_world(run=False) as world:
        buyer = await world.buyer()
        views = [await buyer.submit(gpu_type="cpu", timeout_s=60) for _ in range(2)]
        for view in views:
            await buyer.cancel(view.job_id)
        cursed, lucky = (view.job_id for view in views)
        real = verdicts.confirm

        def confirm(tx: Any, action: Any, *more: Any) -> Any:
            if action.job_id == cursed:
                raise Bug("the ledger says no")
            return real(tx, action, *more)

        monkeypatch.setattr(verdicts, "confirm", confirm)
        async with trio.open_nursery() as nursery:
            await nursery.start(world.coordinator.run)
            await buyer.until(lucky, JobState.REFUNDED)
            nursery.cancel_scope.cancel()
        monkeypatch.undo()
        (action,) = world.actions(cursed)
        assert "the ledger says no" in action.last_error
        await _work(world, cursed)
        assert world.job(cursed).status is JobState.REFUNDED
