"""A thief who holds the coordinator's key: can delay, can refund, can pay nobody but the job's parties."""

from __future__ import annotations

from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction

from p2p.chain.instructions import Role
from p2p.chain.keys import to_pubkey
from p2p.chain.sandbox import LONGEST_JOB_S

DEPOSIT, RUN_S, FUNDS = 1_000_000_007, 600, 10 * 10**9  # as conftest's


@pytest.fixture
def thief(stage: Any) -> Any:
    """The stranger, with a balance of their own, signs as coordinator as they please."""
    stage.deposit(stage.stranger, units=1)
    return stage.stranger


def wealth(stage: Any, who: Any) -> int:
    return int(stage.balance(who))


def test_the_thief_cannot_settle_alone(stage: Any, thief: Any) -> None:
    job_id = stage.assigned()
    step = stage.ix_settle(job_id, DEPOSIT)
    metas = list(step.accounts)
    for actor in (stage.coordinator, thief):
        metas[1] = AccountMeta(to_pubkey(actor.address), is_signer=True, is_writable=False)
        forged = Instruction(step.program_id, bytes(step.data), metas)
        stage.refused("wrong_authority", forged, stage.coordinator, thief)


def test_the_thief_cannot_name_a_payee(stage: Any, thief: Any) -> None:
    """Not in a settlement, not in a refund: the payees are the job's."""
    job_id = stage.assigned()
    at = stage.box.addresses
    own = AccountMeta(at.balance(thief.address, stage.asset), is_signer=False, is_writable=True)
    settle, refund = stage.ix_settle(job_id, 1), stage.ix_refund(job_id)
    for step, slots in ((settle, (3, 4, 5)), (refund, (2,))):
        for slot in slots:
            metas = list(step.accounts)
            metas[slot] = own
            forged = Instruction(step.program_id, bytes(step.data), metas)
            stage.refused("wrong_address", forged, stage.coordinator, stage.buyer)
    assert wealth(stage, thief) == 1


def test_the_thief_cannot_spend_anybodys_balance(stage: Any, thief: Any) -> None:
    """Withdraw, open, cancel and top up need the owner or a session of theirs."""
    stage.deposit()
    opened = stage.opened()
    coordinator = stage.coordinator.address
    for step in (
        stage.build.withdraw(stage.buyer.address, stage.asset, 1),
        stage.ix_open(stage.box.job_id()),
        stage.ix_cancel(opened),
        stage.build.top_up(stage.buyer.address, stage.buyer.address, opened, stage.asset, 1),
    ):
        metas = [
            AccountMeta(to_pubkey(coordinator), is_signer=True, is_writable=True) if meta.is_signer else meta
            for meta in step.accounts
        ]
        ran = stage.box.send(Instruction(step.program_id, bytes(step.data), metas), stage.coordinator)
        assert ran.error in ("wrong_authority", "wrong_address", "bad_token_account"), ran.logs
    stage.box.check_books()
    assert wealth(stage, stage.coordinator) == 0


def test_the_thief_changes_no_setting_and_judges_nothing(stage: Any, thief: Any) -> None:
    job_id = stage.disputed()
    judge = stage.build.resolve(
        stage.coordinator.address,
        stage.buyer.address,
        job_id,
        stage.asset,
        node=stage.node.address,
        fee_owner=stage.fee_owner.address,
        used_units=1,
    )
    stage.refused("wrong_authority", judge, stage.coordinator)
    for role in (Role.ADMIN, Role.ARBITER):
        step = stage.build.propose_authority(stage.coordinator.address, role, thief.address)
        stage.refused("wrong_authority", step, stage.coordinator)
    pause = stage.build.disable_asset(stage.coordinator.address, stage.asset)
    stage.refused("wrong_authority", pause, stage.coordinator)


def test_as_node_of_a_silent_buyers_job_the_thief_gets_the_claim_and_no_more(stage: Any, thief: Any) -> None:
    """The one way to money, and its bound: a buyer who looks once within the window keeps everything."""
    silent, awake = stage.opened(), stage.opened()
    stage.node = thief
    for job_id in (silent, awake):
        stage.box.must(stage.ix_assign(job_id, thief), stage.coordinator)
        stage.box.must(stage.ix_claim(job_id, DEPOSIT), stage.coordinator)
    stage.box.must(stage.ix_dispute(awake), stage.buyer)
    for job_id in (silent, awake):
        ran = stage.box.send(stage.ix_finalize(job_id), thief)
        assert ran.error in ("too_early", "wrong_state")
    stage.box.set_time(stage.box.now_s + 10**6)
    stage.box.must(stage.ix_finalize(silent), thief)
    stage.refused("wrong_state", stage.ix_finalize(awake), thief)
    stage.box.must(stage.ix_reclaim(awake), stage.buyer)
    assert wealth(stage, thief) <= 1 + DEPOSIT
    assert wealth(stage, stage.buyer) == FUNDS - DEPOSIT


def test_the_thief_delays_at_most_to_the_deadlines(stage: Any, thief: Any) -> None:
    """However often the job is assigned anew: the first Assign fixes the deadline."""
    job_id = stage.opened()
    opened_at_s = stage.box.now_s
    stage.box.set_time(opened_at_s + LONGEST_JOB_S - 1)
    stage.box.must(stage.ix_assign(job_id, thief), stage.coordinator)
    for _ in range(5):
        stage.box.set_time(stage.box.now_s + RUN_S // 6)
        stage.box.must(stage.ix_assign(job_id, thief), stage.coordinator)
    stage.box.set_time(opened_at_s + LONGEST_JOB_S - 1 + RUN_S)
    stage.refused("too_late", stage.ix_assign(job_id, thief), stage.coordinator)
    stage.refused("too_late", stage.ix_claim(job_id, DEPOSIT), stage.coordinator)
    stage.box.must(stage.ix_reclaim(job_id), stage.buyer)
    assert wealth(stage, stage.buyer) == FUNDS
    assert wealth(stage, thief) == 1


def test_everything_left_can_be_withdrawn_without_the_coordinator(stage: Any, thief: Any) -> None:
    for status in ("opened", "assigned", "disputed"):
        getattr(stage, status)()
    stage.box.set_time(stage.box.now_s + 10**8)
    for job in stage.box.jobs():
        stage.box.must(stage.ix_reclaim(job.job_id), stage.buyer)
    units = stage.balance(stage.buyer)
    assert units == FUNDS
    stage.box.must(stage.build.withdraw(stage.buyer.address, stage.asset, units), stage.buyer)
    stage.box.must(stage.build.withdraw(thief.address, stage.asset, 1), thief)
    assert stage.box.asset(stage.asset).owed_units == 0
