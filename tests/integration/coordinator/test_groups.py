"""Actions that are due together share a transaction, and one of them that fails stops none of the others."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio

from coordinator.service import signing
from coordinator.service.effects import Boundary, no_effect
from coordinator.service.settler import groups_of
from coordinator.store import jobs, outbox
from coordinator.store.database import Database, Tx
from coordinator.store.records import ActionRow
from p2p.chain.instructions import Step
from p2p.core.errors import Bug
from p2p.core.ids import JobId
from p2p.core.limits import GROUP_ACTIONS_MAX, SETTLER_TAKE_S
from p2p.core.states import JobState
from p2p.testing.claiming import agrees
from p2p.testing.queue import NOW_S, queue


class Crash(BaseException):
    """The process ends here."""


async def cancelled(world: Any, count: int) -> tuple[Any, list[str]]:
    """A buyer whose jobs are to be refunded."""
    buyer = await world.buyer()
    found = []
    for _ in range(count):
        view = await buyer.submit(gpu_type="cpu", timeout_s=60)
        await buyer.cancel(view.job_id)
        found.append(view.job_id)
    return buyer, found


def due(world: Any) -> list[list[ActionRow]]:
    return groups_of(
        world.db.transact(lambda tx: tx.all_as(ActionRow, "outbox.due", now_s=world.clock.now_s(), limit=50))
    )


async def work(world: Any) -> None:
    """One pass of the settler over what is due now."""
    for group in due(world):
        await world.coordinator.settler.work_on(*(action.action_id for action in group))


async def work_to_the_end(world: Any, job_ids: list[str]) -> None:
    with trio.fail_after(30):
        while any(world.job(job_id).status is not JobState.REFUNDED for job_id in job_ids):
            world.clock.ahead_s += SETTLER_TAKE_S + 1
            await work(world)


def first(world: Any, job_ids: list[str]) -> list[ActionRow]:
    return [world.actions(job_id)[0] for job_id in job_ids]


async def check_all_refunded(world: Any, buyer: Any, job_ids: list[str]) -> None:
    assert await world.balance(buyer.signer.address) == 5_000_000
    history = await world.chain.history(buyer.signer.address, limit=100)
    assert sum(entry.kind == "refund" for entry in history) == len(job_ids)
    for job_id in job_ids:
        assert world.job(job_id).status is JobState.REFUNDED
        await agrees(world, job_id)


async def test_refunds_that_wait_together_share_a_transaction(still_world: Any) -> None:
    buyer, job_ids = await cancelled(still_world, GROUP_ACTIONS_MAX + 2)
    await work(still_world)
    await check_all_refunded(still_world, buyer, job_ids)
    signatures = [action.signature for action in first(still_world, job_ids)]
    assert sorted(signatures.count(signature) for signature in set(signatures)) == [2, GROUP_ACTIONS_MAX]


async def test_actions_of_several_kinds_share_a_transaction(still_world: Any) -> None:
    world = still_world
    buyer, (refunded, *_) = await cancelled(world, 1)
    nodes = [world.node() for _ in range(2)]
    for node in nodes:
        await node.join()
    views = [await buyer.submit(gpu_type="cpu", timeout_s=60) for _ in nodes]
    assert await world.coordinator.dispatcher.dispatch() == 2
    await work(world)
    actions = first(world, [refunded, *(view.job_id for view in views)])
    assert [action.kind for action in actions] == ["refund", "assign", "assign"]
    assert {action.state for action in actions} == {"confirmed"}
    assert len({action.signature for action in actions}) == 1
    for view in views:
        on_chain = await world.chain.existing_job(buyer.signer.address, JobId(view.job_id))
        assert on_chain.node == world.job(view.job_id).node_wallet


def test_only_the_first_unfinished_action_of_a_job_is_due(db: Database) -> None:
    job_ids = queue(db, 3)

    def want(tx: Tx) -> None:
        for job_id in job_ids:
            job = jobs.lock(tx, job_id)
            assert job is not None
            outbox.add(tx, job, outbox.ASSIGN, NOW_S)
            outbox.add(tx, job, outbox.REFUND, NOW_S)

    db.transact(want)
    found = db.transact(lambda tx: tx.all_as(ActionRow, "outbox.due", now_s=NOW_S, limit=50))
    assert [(action.job_id, action.kind) for action in found] == [(job_id, "assign") for job_id in job_ids]
    assert groups_of(found) == [found]
    until_s = NOW_S + 7
    for action in found:
        later = {"action_id": action.action_id, "until_s": until_s, "error": "", "now_s": NOW_S}
        db.transact(lambda tx, later=later: tx.execute("outbox.postpone", **later))
    assert db.transact(lambda tx: tx.rows("outbox.due", now_s=NOW_S, limit=50)) == []
    assert db.transact(lambda tx: tx.row("outbox.next_due")) == {"at_s": until_s}  # nor does it wake before


@pytest.mark.parametrize("boundary", ["taken", "signed", "stored", "sent", "landed", "done"])
async def test_a_group_survives_a_crash_at(make_world: Any, boundary: str) -> None:
    async def effect(reached: Boundary) -> None:
        if reached.step == boundary:
            raise Crash

    async with make_world(run=False) as world:
        buyer, job_ids = await cancelled(world, 3)
        world.coordinator.context.effect = effect
        with pytest.raises(Crash):
            await work(world)
        left = {action.signature for action in first(world, job_ids)}
        assert len(left) == 1
    async with make_world(run=False, clock=world.clock) as again:
        await work_to_the_end(again, job_ids)
        await check_all_refunded(again, buyer, job_ids)
        if left != {""}:
            assert {action.signature for action in first(again, job_ids)} == left


@pytest.mark.parametrize("fault", ["refused by the program", "a mistake of ours", "too large"])
async def test_one_that_cannot_be_done_stops_no_other(still_world: Any, monkeypatch: Any, fault: str) -> None:
    world = still_world
    buyer, job_ids = await cancelled(world, 3)
    cursed, *lucky = job_ids
    real = signing.step

    async def step(context: Any, action: ActionRow, on_chain: Any) -> Step:
        if action.job_id != cursed:
            return await real(context, action, on_chain)
        if fault == "a mistake of ours":
            raise Bug("no such thing")
        found = await real(context, action, on_chain)
        data = bytes(2000) if fault == "too large" else b"\xff"
        return Step(found.program_id, data, found.accounts)

    with monkeypatch.context() as patch:
        patch.setattr(signing, "step", step)
        for _ in range(2):
            await work(world)
        for job_id in lucky:
            assert world.job(job_id).status is JobState.REFUNDED
        assert world.actions(cursed)[0].last_error
    await world.chain.ask("cyxwizAdvanceClock", 61)
    await work_to_the_end(world, job_ids)
    await check_all_refunded(world, buyer, job_ids)


async def test_a_group_that_fails_on_chain_is_done_one_by_one(still_world: Any, monkeypatch: Any) -> None:
    """It passed every simulation; before it landed, the buyer took one of the deposits back."""
    world = still_world
    buyer, job_ids = await cancelled(world, 3)

    async def meanwhile(reached: Boundary) -> None:
        if reached.step == "stored":
            world.coordinator.context.effect = no_effect  # once
            await world.chain.cancel(buyer.signer, buyer.signer.address, JobId(job_ids[1]))
            monkeypatch.setattr(world.chain, "broadcast", unseen)

    async def unseen(raw: bytes) -> str:
        options = {"encoding": "base64", "skipPreflight": True}
        return str(await world.chain.ask("sendTransaction", base64.b64encode(raw).decode(), options))

    world.coordinator.context.effect = meanwhile
    await work(world)
    monkeypatch.undo()
    assert [action.state for action in first(world, job_ids)] == ["prepared", "confirmed", "prepared"]
    await work(world)
    assert len({action.signature for action in first(world, job_ids)}) == 3
    assert await world.balance(buyer.signer.address) == 5_000_000
    for job_id in job_ids:
        assert world.job(job_id).status is JobState.REFUNDED
        await agrees(world, job_id)


async def test_one_that_is_called_back_while_the_group_is_signed(still_world: Any) -> None:
    world = still_world
    _, job_ids = await cancelled(world, 3)
    kept, *others = job_ids

    async def effect(reached: Boundary) -> None:
        if reached.step == "signed":
            now_s = world.clock.now_s()
            await world.db.run(lambda tx: outbox.supersede(tx, kept, outbox.REFUND, now_s))

    world.coordinator.context.effect = effect
    for _ in range(2):
        await work(world)
    assert world.actions(kept)[0].state == "superseded"
    assert not world.actions(kept)[0].signature
    assert world.job(kept).status is JobState.CANCELLED
    for job_id in others:
        assert world.job(job_id).status is JobState.REFUNDED
