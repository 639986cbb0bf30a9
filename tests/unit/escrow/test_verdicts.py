"""How a job ends: every rule, and every deadline at -1, 0 and +1 s."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.chain.accounts import JobStatus
from p2p.chain.instructions import Settings
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S
from p2p.core.money import split

U64_MAX = 2**64 - 1
DEPOSIT, RUN_S, FUNDS = 1_000_000_007, 600, 10 * 10**9  # as conftest's
TERMS, RESULT = b"\x11" * 32, b"\x22" * 32

# -- Settle


@pytest.mark.parametrize("used", [0, 1, 9, 10, 11, DEPOSIT // 3, DEPOSIT - 1, DEPOSIT])
def test_settle_divides_to_the_last_unit(stage: Any, used: int) -> None:
    job_id = stage.assigned()
    stage.box.must(stage.ix_settle(job_id, used), stage.coordinator, stage.buyer)
    parts = split(DEPOSIT, used, FEE_BPS)
    assert stage.balances() == (
        FUNDS - DEPOSIT + parts.refund_units,
        parts.node_units,
        parts.fee_units,
    )
    job = stage.job(job_id)
    assert (job.status, job.used_units, job.result_hash) == (JobStatus.SETTLED, used, RESULT)
    assert job.ended_at_s == stage.box.now_s


def test_settle_at_the_limit_of_64_bits(usdc_stage: Any) -> None:
    stage = usdc_stage
    stage.box.give_usdc(stage.buyer.address, U64_MAX)
    stage.deposit(units=U64_MAX)
    job_id = stage.box.job_id()
    stage.box.must(stage.ix_open(job_id, units=U64_MAX), stage.buyer)
    stage.box.must(stage.ix_assign(job_id), stage.coordinator)
    stage.box.must(stage.ix_settle(job_id, U64_MAX - 3), stage.coordinator, stage.buyer)
    parts = split(U64_MAX, U64_MAX - 3, FEE_BPS)
    assert stage.balances() == (3, parts.node_units, parts.fee_units)


@pytest.mark.parametrize("used", [DEPOSIT + 1, U64_MAX])
def test_never_more_than_the_deposit(stage: Any, used: int) -> None:
    stage.deposit(stage.stranger)
    job_id = stage.assigned()
    stage.refused("used_too_much", stage.ix_settle(job_id, used), stage.coordinator, stage.buyer)
    stage.refused("used_too_much", stage.ix_claim(job_id, used), stage.coordinator)


def test_settle_needs_a_node_but_no_deadline(stage: Any) -> None:
    stage.refused("wrong_state", stage.ix_settle(stage.opened(), 1), stage.coordinator, stage.buyer)
    for status in ("assigned", "claimed", "disputed"):
        job_id = getattr(stage, status)()
        stage.box.set_time(stage.job(job_id).deadline_s + 10**6)
        stage.box.must(stage.ix_settle(job_id, 1), stage.coordinator, stage.buyer)


def test_buyer_node_and_fee_owner_may_be_one_person(stage: Any) -> None:
    """The same balance in three slots: each addition counts."""
    stage.node = stage.buyer
    settings = Settings(stage.buyer.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S)
    stage.box.must(stage.build.set_config(stage.box.admin.address, settings), stage.box.admin)
    stage.fee_owner = stage.buyer
    job_id = stage.assigned()
    stage.box.must(stage.ix_settle(job_id, 777), stage.coordinator, stage.buyer)
    assert stage.balance(stage.buyer) == FUNDS


def test_what_was_agreed_at_opening_holds(stage: Any) -> None:
    """Fee, fee owner and window changed in between: open jobs do not notice."""
    job_id, later = stage.assigned(), stage.box.signer()
    settings = Settings(later.address, 2000, 1, LONGEST_JOB_S)
    stage.box.must(stage.build.set_config(stage.box.admin.address, settings), stage.box.admin)
    changed = stage.build.settle(
        stage.coordinator.address,
        stage.buyer.address,
        stage.buyer.address,
        job_id,
        stage.asset,
        node=stage.node.address,
        fee_owner=later.address,
        used_units=100,
        result_hash=RESULT,
    )
    stage.refused("wrong_account", changed, stage.coordinator, stage.buyer)
    stage.box.must(stage.ix_settle(job_id, 100), stage.coordinator, stage.buyer)
    assert stage.balances()[1:] == (90, 10)


# -- a verdict stands


@pytest.mark.parametrize("ending", ["settle", "cancel", "refund", "reclaim", "finalize", "resolve"])
def test_there_is_no_second_verdict(stage: Any, ending: str) -> None:
    status = {"cancel": "opened", "finalize": "claimed", "resolve": "disputed"}.get(ending, "assigned")
    job_id = getattr(stage, status)()
    everybody = (stage.coordinator, stage.buyer, stage.arbiter)
    steps = {
        "settle": stage.ix_settle(job_id, 1),
        "cancel": stage.ix_cancel(job_id),
        "refund": stage.ix_refund(job_id),
        "reclaim": stage.ix_reclaim(job_id),
        "finalize": stage.ix_finalize(job_id),
        "resolve": stage.ix_resolve(job_id, 1),
        "assign": stage.ix_assign(job_id),
        "claim": stage.ix_claim(job_id, 1),
        "dispute": stage.ix_dispute(job_id),
    }
    if ending in ("reclaim", "finalize"):
        stage.box.set_time(stage.box.now_s + 10**6)
    stage.box.must(steps[ending], *everybody)
    after = stage.balances()
    for step in steps.values():
        stage.refused("already_final", step, *everybody)
    assert stage.balances() == after


# -- Claim, Dispute, Resolve, Finalize


def test_a_silent_buyer_pays_after_the_window(stage: Any) -> None:
    job_id = stage.claimed(used=1001)
    job = stage.job(job_id)
    assert (job.status, job.used_units, job.result_hash) == (JobStatus.CLAIMED, 1001, RESULT)
    assert job.review_ends_at_s == stage.box.now_s + REVIEW_WINDOW_S
    stage.box.set_time(job.review_ends_at_s)
    stage.box.must(stage.ix_finalize(job_id), stage.stranger)
    assert stage.balances() == (FUNDS - 1001, 901, 100)
    assert stage.job(job_id).status is JobStatus.FINALIZED


@pytest.mark.parametrize(("late_s", "error"), [(-1, "too_early"), (0, None), (1, None)])
def test_finalize_after_the_window_by_anyone(stage: Any, late_s: int, error: str | None) -> None:
    job_id = stage.claimed()
    stage.box.set_time(stage.job(job_id).review_ends_at_s + late_s)
    assert stage.box.send(stage.ix_finalize(job_id), stage.stranger).error == error
    stage.box.check_books()
    assert stage.job(job_id).status.final == (error is None)


@pytest.mark.parametrize(("late_s", "error"), [(-1, None), (0, "too_late"), (1, "too_late")])
def test_claim_and_dispute_have_deadlines(stage: Any, late_s: int, error: str | None) -> None:
    job_id = stage.assigned()
    stage.box.set_time(stage.job(job_id).deadline_s + late_s)
    assert stage.box.send(stage.ix_claim(job_id, 1), stage.coordinator).error == error
    claimed = stage.claimed()
    stage.box.set_time(stage.job(claimed).review_ends_at_s + late_s)
    assert stage.box.send(stage.ix_dispute(claimed), stage.buyer).error == error


def test_states_that_have_no_claim(stage: Any) -> None:
    assigned = stage.assigned()
    for step in (
        stage.ix_finalize(assigned),
        stage.ix_dispute(assigned),
        stage.ix_resolve(assigned, 1),
    ):
        stage.refused("wrong_state", step, stage.buyer, stage.arbiter)
    for status in ("opened", "claimed", "disputed"):
        stage.refused("wrong_state", stage.ix_claim(getattr(stage, status)(), 1), stage.coordinator)
    disputed = stage.disputed()
    stage.box.set_time(stage.box.now_s + 10**6)
    stage.refused("wrong_state", stage.ix_finalize(disputed), stage.stranger)


def test_the_arbiter_gives_at_most_what_was_claimed(stage: Any) -> None:
    job_id = stage.disputed(used=1000)
    stage.refused("used_too_much", stage.ix_resolve(job_id, 1001), stage.arbiter)
    stage.box.must(stage.ix_resolve(job_id, 500), stage.arbiter)
    assert stage.balances() == (FUNDS - 500, 450, 50)
    assert stage.job(job_id).status is JobStatus.RESOLVED
    nothing = stage.disputed()
    stage.box.must(stage.ix_resolve(nothing, 0), stage.arbiter)


def test_a_dispute_leaves_the_arbiter_time(stage: Any) -> None:
    """Else a buyer could dispute at the deadline and reclaim in the same breath."""
    job_id = stage.claimed()
    stage.box.set_time(stage.job(job_id).review_ends_at_s - 1)
    stage.box.must(stage.ix_dispute(job_id), stage.buyer)
    resolve_by_s = stage.box.now_s + REVIEW_WINDOW_S
    assert stage.job(job_id).deadline_s == resolve_by_s
    stage.box.set_time(resolve_by_s - 1)
    stage.refused("too_early", stage.ix_reclaim(job_id), stage.stranger)
    stage.box.set_time(resolve_by_s)
    stage.box.must(stage.ix_reclaim(job_id), stage.stranger)


def test_a_dispute_never_shortens_the_deadline(stage: Any) -> None:
    job_id = stage.assigned(run_s=LONGEST_JOB_S)
    deadline_s = stage.job(job_id).deadline_s
    stage.box.must(stage.ix_claim(job_id, 1), stage.coordinator)
    stage.box.must(stage.ix_dispute(job_id), stage.buyer)
    assert stage.job(job_id).deadline_s == deadline_s


# -- Refund and Reclaim


@pytest.mark.parametrize("status", ["opened", "assigned", "claimed", "disputed"])
def test_refund_gives_everything_back_at_any_time(stage: Any, status: str) -> None:
    job_id = getattr(stage, status)()
    stage.box.must(stage.ix_refund(job_id), stage.coordinator)
    assert stage.balance(stage.buyer) == FUNDS
    assert stage.job(job_id).status is JobStatus.REFUNDED
    assert stage.job(job_id).used_units == 0


def test_the_node_may_refund_its_own_job_only(stage: Any) -> None:
    job_id = stage.opened()
    stage.refused("wrong_authority", stage.ix_refund(job_id, stage.node), stage.node)
    stage.box.must(stage.ix_assign(job_id), stage.coordinator)
    stage.refused("wrong_authority", stage.ix_refund(job_id, stage.stranger), stage.stranger)
    stage.box.must(stage.ix_refund(job_id, stage.node), stage.node)


@pytest.mark.parametrize("status", ["opened", "assigned", "disputed"])
@pytest.mark.parametrize(("late_s", "error"), [(-1, "too_early"), (0, None), (1, None)])
def test_reclaim_after_the_deadline_by_anyone(
    stage: Any, status: str, late_s: int, error: str | None
) -> None:
    job_id = getattr(stage, status)()
    stage.box.set_time(stage.job(job_id).deadline_s + late_s)
    assert stage.box.send(stage.ix_reclaim(job_id), stage.stranger).error == error
    stage.box.check_books()
    assert stage.balance(stage.buyer) == (FUNDS if error is None else FUNDS - DEPOSIT)


def test_a_standing_claim_cannot_be_reclaimed(stage: Any) -> None:
    job_id = stage.claimed()
    stage.box.set_time(stage.box.now_s + 10**8)
    stage.refused("wrong_state", stage.ix_reclaim(job_id), stage.buyer)


def test_ways_out_work_while_paused_and_disabled(stage: Any) -> None:
    jobs = {status: getattr(stage, status)() for status in ("opened", "assigned", "claimed", "disputed")}
    more = [stage.assigned(), stage.assigned()]
    settings = Settings(stage.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S, paused=True)
    admin = stage.box.admin
    stage.box.must(stage.build.set_config(admin.address, settings), admin)
    stage.box.must(stage.build.disable_asset(admin.address, stage.asset), admin)
    stage.refused("paused", stage.ix_open(stage.box.job_id()), stage.buyer)
    stage.box.must(stage.ix_cancel(jobs["opened"]), stage.buyer)
    stage.box.must(stage.ix_settle(jobs["assigned"], 5), stage.coordinator, stage.buyer)
    stage.box.must(stage.ix_resolve(jobs["disputed"], 5), stage.arbiter)
    stage.box.must(stage.ix_refund(more[0]), stage.coordinator)
    stage.box.set_time(stage.box.now_s + 10**6)
    stage.box.must(stage.ix_finalize(jobs["claimed"]), stage.stranger)
    stage.box.must(stage.ix_reclaim(more[1]), stage.stranger)


def test_several_verdicts_in_one_transaction(stage: Any) -> None:
    jobs = [stage.assigned(units=1000) for _ in range(3)]
    steps = [stage.ix_settle(job_id, 100) for job_id in jobs]
    ran = stage.box.must(steps, stage.coordinator, stage.buyer)
    assert stage.balances() == (FUNDS - 300, 270, 30)
    assert ran.units < 3 * 3000
