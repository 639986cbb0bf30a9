"""Accounts of ended jobs are closed: rent goes back to who paid it, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.service.audit import audit
from coordinator.service.effects import Boundary
from coordinator.store.records import ActionRow
from p2p.chain.accounts import JOB_BYTES, rent_lamports
from p2p.chain.past import PastJob
from p2p.chain.transaction import Outcome, OutcomeKind
from p2p.core.errors import Refused
from p2p.core.ids import JobId
from p2p.core.limits import CLOSE_AFTER_S, CLOSE_AGAIN_S, GROUP_ACTIONS_MAX, SETTLER_TAKE_S
from p2p.core.money import Asset
from p2p.core.states import JobState

RENT_BACK_LAMPORTS = rent_lamports(JOB_BYTES) - rent_lamports(2)


class Crash(BaseException):
    """The process ends here."""


async def ended(world: Any, count: int) -> tuple[Any, list[str]]:
    """A buyer whose jobs were cancelled and refunded."""
    buyer = await world.buyer()
    found = []
    for _ in range(count):
        view = await buyer.submit(gpu_type="cpu")
        await buyer.cancel(view.job_id)
        found.append(view.job_id)
    world.clock.ahead_s += SETTLER_TAKE_S + 1
    for job_id in found:
        await world.coordinator.settler.work_on(world.actions(job_id)[0].action_id)
        assert world.job(job_id).status is JobState.REFUNDED
    return buyer, found


def closings(world: Any, job_ids: list[str]) -> list[ActionRow]:
    rows = []
    for job_id in job_ids:
        rows += world.db.transact(
            lambda tx, job_id=job_id: tx.all_as(ActionRow, "outbox.of_job", job_id=job_id)
        )
    return [row for row in rows if row.kind == "close"]


async def is_closed(world: Any, buyer: Any, job_id: str) -> bool:
    try:
        await world.chain.job(buyer.signer.address, JobId(job_id))
    except Refused as error:
        return error.code == "job_closed"
    return False


@pytest.fixture
def lamports() -> Any:
    async def read(world: Any, buyer: Any) -> int:
        return int(await world.chain.wallet_balance(buyer.signer.address, Asset.SOL))

    return read


async def check_all_closed(world: Any, buyer: Any, job_ids: list[str]) -> None:
    for job_id in job_ids:
        assert await is_closed(world, buyer, job_id)
    assert {row.state for row in closings(world, job_ids)} == {"confirmed"}
    differences = (await audit(world.db, world.chain)).differences
    assert differences == []


async def test_the_rent_of_many_goes_back_in_few_transactions(still_world: Any, lamports: Any) -> None:
    world = still_world
    buyer, job_ids = await ended(world, GROUP_ACTIONS_MAX + 2)
    before = await lamports(world, buyer)
    assert await world.coordinator.settler.close_accounts() == 0  # whoever was away may still look
    world.clock.ahead_s += CLOSE_AFTER_S
    assert await world.coordinator.settler.close_accounts() == len(job_ids)
    await check_all_closed(world, buyer, job_ids)
    assert await lamports(world, buyer) - before == len(job_ids) * RENT_BACK_LAMPORTS
    assert len({row.signature for row in closings(world, job_ids)}) == 2
    world.clock.ahead_s += 10 * CLOSE_AGAIN_S
    assert await world.coordinator.settler.close_accounts() == 0
    assert await world.balance(buyer.signer.address) == 5_000_000
    shown = await buyer.show(job_ids[0])
    assert [entry.action for entry in shown.chain] == ["refund", "close"]
    history = await world.chain.history(buyer.signer.address, limit=100)
    assert [entry.units for entry in history if entry.kind == "refund"] == [40_000] * len(job_ids)


async def test_an_account_that_is_to_be_closed_is_not_shown_as_unfinished(still_world: Any) -> None:
    buyer, (job_id,) = await ended(still_world, 1)
    assert [entry.action for entry in (await buyer.show(job_id)).chain] == ["refund"]


@pytest.mark.parametrize("boundary", ["taken", "signed", "stored", "sent", "landed", "done"])
async def test_a_crash_at(make_world: Any, lamports: Any, boundary: str) -> None:
    async def effect(reached: Boundary) -> None:
        if reached.step == boundary:
            raise Crash

    async with make_world(run=False) as world:
        buyer, job_ids = await ended(world, 2)
        before = await lamports(world, buyer)
        world.clock.ahead_s += CLOSE_AFTER_S
        world.coordinator.context.effect = effect
        with pytest.raises(Crash):
            await world.coordinator.settler.close_accounts()
        left = {row.signature for row in closings(world, job_ids)}
    async with make_world(run=False, clock=world.clock) as again:
        again.clock.ahead_s += CLOSE_AGAIN_S + 1
        await again.coordinator.settler.close_accounts()
        await check_all_closed(again, buyer, job_ids)
        assert await lamports(again, buyer) - before == 2 * RENT_BACK_LAMPORTS
        if left != {""}:
            assert {row.signature for row in closings(again, job_ids)} == left


async def test_somebody_else_closes_one_of_them_at_the_same_moment(still_world: Any, lamports: Any) -> None:
    world = still_world
    buyer, job_ids = await ended(world, 3)
    world.clock.ahead_s += CLOSE_AFTER_S
    owner = buyer.signer.address

    async def meanwhile(reached: Boundary) -> None:
        if reached.step == "stored" and not await is_closed(world, buyer, job_ids[1]):
            job = await world.chain.existing_job(owner, JobId(job_ids[1]))
            await world.chain.send_and_confirm(await world.chain.prepare_close(buyer.signer, [job]))

    world.coordinator.context.effect = meanwhile
    await world.coordinator.settler.close_accounts()
    states = [row.state for row in closings(world, job_ids)]
    assert states == ["sent", "confirmed", "sent"]  # refused now; it could still land
    await world.chain.ask("cyxwizAdvanceClock", 61)
    world.clock.ahead_s += CLOSE_AGAIN_S + 1
    await world.coordinator.settler.close_accounts()
    world.clock.ahead_s += CLOSE_AGAIN_S + 1
    await world.coordinator.settler.close_accounts()
    await check_all_closed(world, buyer, job_ids)


async def test_what_expired_is_signed_anew(still_world: Any, monkeypatch: Any) -> None:
    world = still_world
    buyer, job_ids = await ended(world, 2)
    world.clock.ahead_s += CLOSE_AFTER_S
    outcomes = [OutcomeKind.PENDING, OutcomeKind.EXPIRED]

    async def lost(raw: bytes) -> str:
        return "lost"

    async def outcome(signature: str, height: int, **_: Any) -> Outcome:
        return Outcome(outcomes.pop(0))

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "broadcast", lost)
        patch.setattr(world.chain, "outcome", outcome)
        await world.coordinator.settler.close_accounts()
    assert {row.state for row in closings(world, job_ids)} == {"prepared"}

    await world.coordinator.settler.close_accounts()
    await check_all_closed(world, buyer, job_ids)


async def test_an_escrow_cancelled_and_closed_without_us_ends_the_job(still_world: Any) -> None:
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    first, second = await buyer.submit(gpu_type="cpu"), await buyer.submit(gpu_type="cpu")
    owner = buyer.signer.address
    for view in (first, second):
        await world.chain.cancel(buyer.signer, owner, JobId(view.job_id))
        job = await world.chain.existing_job(owner, JobId(view.job_id))
        await world.chain.send_and_confirm(await world.chain.prepare_close(buyer.signer, [job]))
        assert isinstance(await world.chain.seen_job(owner, JobId(view.job_id)), PastJob)
    assert await world.coordinator.dispatcher.dispatch() == 1  # the settler finds one, the sweep the other
    await world.coordinator.settler.work_on(world.actions(first.job_id)[0].action_id)
    await world.coordinator.sweeps.reconcile()
    for view in (first, second):
        assert world.job(view.job_id).status is JobState.REFUNDED
    world.clock.ahead_s += CLOSE_AFTER_S
    await world.coordinator.settler.close_accounts()
    await check_all_closed(world, buyer, [first.job_id, second.job_id])
    assert await world.balance(owner) == 5_000_000
