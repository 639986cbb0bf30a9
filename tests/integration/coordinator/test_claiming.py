"""A buyer who does not sign: the work is claimed, and paid after the review window, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from coordinator.service.effects import Boundary, no_effect
from p2p.chain.accounts import JobStatus
from p2p.chain.deploy import Operator
from p2p.chain.faucet import faucet
from p2p.core.ids import JobId
from p2p.core.limits import CLAIM_AFTER_S, LEASE_S, SETTLER_TAKE_S
from p2p.core.messages.nodes import PAID_UNFETCHED, HeldJob
from p2p.core.money import Asset
from p2p.core.states import FailureCode, JobState
from p2p.testing.claiming import (
    START_UNITS,
    WINDOW_S,
    agrees,
    assigned,
    check_paid,
    claimed,
    delivered,
    entries,
    move,
    on_chain,
    window_passes,
    work,
)
from p2p.testing.marketplace import MovableClock


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with new_localnet(tmp_path_factory.mktemp("claiming")) as opened:
        yield opened


@pytest.fixture
async def still(make_world: Any, chain_clock: MovableClock) -> AsyncIterator[Any]:
    async with make_world(run=False, clock=chain_clock) as world:
        yield world


# -- the silent buyer


async def test_a_buyer_who_never_answers_pays_after_the_window(still: Any) -> None:
    buyer, node, job_id = await delivered(still)
    await move(still, CLAIM_AFTER_S - 60)
    assert await still.coordinator.claims.sweep() == 0
    await move(still, 60)
    assert await still.coordinator.claims.sweep() == 1
    assert await still.coordinator.claims.sweep() == 0
    await work(still, job_id)
    used = still.job(job_id).used_units
    assert used > 0
    assert entries(still, job_id) == [
        ("assign", "confirmed"),
        ("claim", "confirmed"),
        ("finalize", "prepared"),
    ]
    seen = await on_chain(still, job_id)
    assert (seen.status, seen.used_units) == (JobStatus.CLAIMED, used)
    await move(still, WINDOW_S - 120)
    await work(still, job_id)
    assert still.job(job_id).status is JobState.DELIVERING  # not a moment too soon
    await window_passes(still, job_id)
    await check_paid(still, buyer, node, job_id, used)
    assert (await on_chain(still, job_id)).status is JobStatus.FINALIZED
    shown = await buyer.show(job_id)
    assert [(entry.action, entry.status) for entry in shown.chain][-1] == ("finalize", "confirmed")
    assert shown.chain[-1].signature


async def test_a_running_coordinator_does_all_of_it_by_itself(make_world: Any, chain_clock: Any) -> None:
    async with make_world(clock=chain_clock) as world:
        buyer, node = await world.buyer(), world.node()
        await node.join()
        view = await buyer.submit(gpu_type="cpu")
        await node.deliver(await node.next_job(), 1.0)
        await buyer.until_assigned_on_chain(view.job_id)
        used = world.job(view.job_id).used_units
        await move(world, CLAIM_AFTER_S)
        await world.coordinator.claims.sweep()

        async def finalize_waits() -> bool:
            return ("finalize", "prepared") in entries(world, view.job_id)

        await world.until(finalize_waits, bool)
        await move(world, WINDOW_S + 1)
        world.coordinator.context.settle.set()
        await buyer.until(view.job_id, JobState.SETTLED)
        await check_paid(world, buyer, node, view.job_id, used)


async def test_a_receipt_inside_the_window_is_paid_at_once(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    assert offer.message
    await buyer.countersign(job_id, offer)
    await work(still, job_id)
    assert entries(still, job_id)[2:] == [("finalize", "superseded"), ("settle", "confirmed")]
    await check_paid(still, buyer, node, job_id, offer.used_units)
    await window_passes(still, job_id)
    await check_paid(still, buyer, node, job_id, offer.used_units)


async def test_a_receipt_before_the_claim_is_sent_takes_it_back(still: Any) -> None:
    buyer, node, job_id = await delivered(still)
    await move(still, CLAIM_AFTER_S)
    await still.coordinator.claims.sweep()
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    await buyer.countersign(job_id, offer)
    await work(still, job_id)
    assert ("claim", "superseded") in entries(still, job_id)
    await check_paid(still, buyer, node, job_id, offer.used_units)


async def test_a_settlement_that_is_never_countersigned_is_finalized(still: Any) -> None:
    buyer, node, job_id = await delivered(still)
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    assert still.job(job_id).status is JobState.COMPLETED
    await move(still, CLAIM_AFTER_S)
    assert await still.coordinator.claims.sweep() == 1
    await work(still, job_id)
    assert entries(still, job_id)[1:] == [("settle", "waiting"), ("claim", "confirmed")]
    await window_passes(still, job_id)
    assert entries(still, job_id)[1:] == [
        ("settle", "superseded"),
        ("claim", "confirmed"),
        ("finalize", "confirmed"),
    ]
    await check_paid(still, buyer, node, job_id, offer.used_units)
    assert (await buyer.offer(job_id)).message == b""


async def test_a_cancelled_job_whose_buyer_never_signs_pays_the_metered_time(still: Any) -> None:
    buyer, node, job_id, _ = await assigned(still)
    await move(still, 100)
    await node.beat(HeldJob(job_id, 1, JobState.RUNNING, 100.0))
    await still.coordinator.registry.flush()
    offer = await buyer.cancel(job_id)
    assert offer.used_units > 0
    await work(still, job_id)
    await move(still, CLAIM_AFTER_S)
    assert await still.coordinator.claims.sweep() == 1
    await work(still, job_id)
    await window_passes(still, job_id)
    await check_paid(still, buyer, node, job_id, offer.used_units)


async def test_a_buyer_who_asks_for_ever_and_never_signs_pays_after_the_window(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    statement = (await buyer.show(job_id)).statement
    used = (await buyer.accept(job_id, statement)).used_units
    await move(still, WINDOW_S + 1)
    assert (await buyer.accept(job_id, statement)).message  # the last offer, as long as nobody looked
    await window_passes(still, job_id)
    assert (await buyer.accept(job_id, statement)).message == b""
    await check_paid(still, buyer, node, job_id, used)


async def test_a_first_receipt_after_the_window_changes_nothing(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    await move(still, WINDOW_S + 1)
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    assert offer.message == b""
    assert still.job(job_id).status is JobState.COMPLETED
    await work(still, job_id)
    await check_paid(still, buyer, node, job_id, offer.used_units)


# -- at the same moment


async def test_a_receipt_while_the_finalizing_is_on_its_way(still: Any) -> None:
    """The Finalize was sent and has landed, unseen; the receipt comes: paid once."""
    buyer, node, job_id = await claimed(still)
    await move(still, WINDOW_S + 1)
    crashed = []

    async def stop_at(reached: Boundary) -> None:
        if reached.step == "sent":
            crashed.append(reached)
            raise Crash

    still.coordinator.context.effect = stop_at
    with pytest.raises(Crash):
        await work(still, job_id)
    still.coordinator.context.effect = no_effect
    assert (await on_chain(still, job_id)).status is JobStatus.FINALIZED
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    assert offer.message == b""
    await move(still, SETTLER_TAKE_S + 1)
    await work(still, job_id)
    await check_paid(still, buyer, node, job_id, offer.used_units)


async def test_the_node_finalizes_while_the_buyer_signs(still: Any) -> None:
    """Anyone may finalize: it lands before the settlement that both sides have signed."""
    buyer, node, job_id = await claimed(still)
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    await buyer.countersign(job_id, offer)
    await move(still, WINDOW_S + 1)
    anyone = buyer.signer
    await still.chain.send_and_confirm(
        await still.chain.prepare_finalize(anyone, buyer.signer.address, JobId(job_id))
    )
    await work(still, job_id)
    await move(still, 300)  # the settlement's blockhash runs out
    await work(still, job_id)
    assert ("settle", "confirmed") in entries(still, job_id)
    assert (await on_chain(still, job_id)).status is JobStatus.FINALIZED
    await check_paid(still, buyer, node, job_id, offer.used_units)


async def test_somebody_else_finalizes(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    used = still.job(job_id).used_units
    await buyer.accept(job_id, (await buyer.show(job_id)).statement)  # and never signs
    await move(still, WINDOW_S + 1)
    await still.chain.send_and_confirm(
        await still.chain.prepare_finalize(buyer.signer, buyer.signer.address, JobId(job_id))
    )
    await still.coordinator.sweeps.reconcile()
    await work(still, job_id)
    await check_paid(still, buyer, node, job_id, used)


# -- crashes


class Crash(BaseException):
    """The process ends here."""


def crash_at(boundary: str, skip: int = 0) -> Any:
    left = [skip]

    async def effect(reached: Boundary) -> None:
        if reached.step == boundary:
            left[0] -= 1
            if left[0] < 0:
                left[0] = 10**9
                raise Crash(reached)

    return effect


BOUNDARIES = ["taken", "signed", "stored", "sent", "landed", "done"]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("kind", ["claim", "finalize"])
async def test_a_crash_at(make_world: Any, chain_clock: MovableClock, kind: str, boundary: str) -> None:
    async with make_world(run=False, clock=chain_clock) as world:
        buyer, node, job_id = await (delivered if kind == "claim" else claimed)(world)
        used = world.job(job_id).used_units
        await move(world, CLAIM_AFTER_S if kind == "claim" else WINDOW_S + 1)
        await world.coordinator.claims.sweep()
        world.coordinator.context.effect = crash_at(boundary)
        with pytest.raises(Crash):
            await work(world, job_id)
        left = next(action for action in world.actions(job_id) if action.kind == kind)
    async with make_world(run=False, clock=chain_clock) as again:
        await move(again, SETTLER_TAKE_S + 1)
        await work(again, job_id)
        if kind == "claim":
            assert (await on_chain(again, job_id)).status is JobStatus.CLAIMED
            await window_passes(again, job_id)
        done = [action for action in again.actions(job_id) if action.kind == kind]
        assert [action.state for action in done] == ["confirmed"]
        if left.signature:
            assert done[0].signature == left.signature
        await check_paid(again, buyer, node, job_id, used)


# -- leases and the node


async def test_a_node_that_dies_after_its_claim_stands_is_paid(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    used = still.job(job_id).used_units
    await move(still, 10 * LEASE_S)
    assert await still.coordinator.sweeps.lose_leases() == 0
    assert still.job(job_id).status is JobState.DELIVERING
    await window_passes(still, job_id)
    await check_paid(still, buyer, node, job_id, used)


async def test_a_node_that_dies_before_its_claim_is_sent_is_replaced(still: Any) -> None:
    _, _, job_id = await delivered(still)
    await move(still, CLAIM_AFTER_S)
    await still.coordinator.claims.sweep()
    assert await still.coordinator.sweeps.lose_leases() == 1
    assert still.job(job_id).status is JobState.QUEUED
    assert ("claim", "superseded") in entries(still, job_id)
    await work(still, job_id)
    assert (await on_chain(still, job_id)).status is JobStatus.ASSIGNED


async def test_a_node_that_cannot_deliver_after_all_is_not_paid(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    await node.report(job_id, 1, JobState.FAILED, failure=FailureCode.NODE, detail="disk lost")
    assert still.job(job_id).status is JobState.FAILED
    await work(still, job_id)
    assert still.job(job_id).status is JobState.REFUNDED
    assert await still.balance(buyer.signer.address) == START_UNITS
    assert await still.balance(node.signer.address) == 0
    await agrees(still, job_id)


async def test_after_the_window_a_node_cannot_fail_any_more(still: Any, refused: Any) -> None:
    buyer, node, job_id = await claimed(still)
    used = still.job(job_id).used_units
    await move(still, WINDOW_S + 1)
    with refused("superseded"):
        await node.report(job_id, 1, JobState.FAILED, failure=FailureCode.NODE)
    await work(still, job_id)
    await check_paid(still, buyer, node, job_id, used)


@pytest.mark.parametrize("signed", [False, True])
async def test_the_node_is_told_whether_the_buyer_has_the_results(still: Any, signed: bool) -> None:
    buyer, node, job_id = await claimed(still)
    if signed:
        await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    await window_passes(still, job_id)
    assert still.job(job_id).status is JobState.SETTLED
    reply = await node.beat(HeldJob(job_id, 1, JobState.DELIVERING, 100.0))
    assert [order.reason for order in reply.stop] == ["settled" if signed else PAID_UNFETCHED]


# -- disputes, as far as they are the chain's


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
async def test_a_resolved_dispute_is_posted_as_the_arbiter_decided(still: Any, share: float) -> None:
    buyer, node, job_id = await claimed(still)
    used = int(still.job(job_id).used_units * share)
    owner = buyer.signer.address
    await still.chain.send_and_confirm(await still.chain.prepare_dispute(buyer.signer, owner, JobId(job_id)))
    await window_passes(still, job_id)
    assert still.job(job_id).status is JobState.DELIVERING
    arbiter = Operator.in_folder(still.localnet.folder).arbiter
    await faucet(still.localnet.config.rpc_urls[0], arbiter.address, Asset.SOL, 10**9)
    await still.chain.send_and_confirm(await still.chain.prepare_resolve(arbiter, owner, JobId(job_id), used))
    await still.coordinator.sweeps.reconcile()
    await work(still, job_id)
    await check_paid(still, buyer, node, job_id, used)


async def test_an_unresolved_dispute_is_reclaimed(still: Any) -> None:
    buyer, node, job_id = await claimed(still)
    owner = buyer.signer.address
    await still.chain.send_and_confirm(await still.chain.prepare_dispute(buyer.signer, owner, JobId(job_id)))
    await move(still, 14 * 24 * 3600)
    await still.chain.reclaim(buyer.signer, owner, JobId(job_id))
    await still.coordinator.sweeps.reconcile()
    assert still.job(job_id).status is JobState.REFUNDED
    assert await still.balance(owner) == START_UNITS
    assert await still.balance(node.signer.address) == 0
    await agrees(still, job_id)
    await work(still, job_id)
    assert not [state for _, state in entries(still, job_id) if state in ("prepared", "sent", "waiting")]
