"""A job until a verdict is due: Open, TopUp, Assign."""

from __future__ import annotations

from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from p2p.chain.accounts import JOB_BYTES, JobStatus, rent_lamports
from p2p.chain.instructions import Settings
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S
from p2p.core.money import Asset

U64_MAX = 2**64 - 1
DEPOSIT, RUN_S, FUNDS = 1_000_000_007, 600, 10 * 10**9  # as conftest's
TERMS, RESULT = b"\x11" * 32, b"\x22" * 32

# -- Open


def test_open_writes_down_everything_that_was_agreed(stage: Any) -> None:
    job_id = stage.opened()
    job = stage.job(job_id)
    assert (job.status, job.owner, job.job_id) == (JobStatus.OPEN, stage.buyer.address, job_id)
    assert job.mint == str(stage.box.addresses.mint(stage.asset))
    assert (job.node, job.terms_hash, job.result_hash) == (None, TERMS, bytes(32))
    assert (job.coordinator, job.arbiter) == (stage.coordinator.address, stage.arbiter.address)
    assert (job.fee_owner, job.fee_bps) == (stage.fee_owner.address, FEE_BPS)
    assert (job.deposit_units, job.used_units, job.run_s) == (DEPOSIT, 0, RUN_S)
    assert job.review_window_s == REVIEW_WINDOW_S
    assert job.opened_at_s == stage.box.now_s
    assert job.deadline_s == stage.box.now_s + LONGEST_JOB_S
    assert (job.review_ends_at_s, job.ended_at_s, job.rent_payer) == (0, 0, stage.buyer.address)
    assert stage.balance(stage.buyer) == FUNDS - DEPOSIT


@pytest.mark.parametrize(
    ("units", "run_s", "error"),
    [
        (0, RUN_S, "zero_amount"),
        (FUNDS + 1, RUN_S, "insufficient_balance"),
        (U64_MAX, RUN_S, "insufficient_balance"),
        (1, 0, "out_of_bounds"),
        (1, -1, "out_of_bounds"),
        (1, LONGEST_JOB_S + 1, "out_of_bounds"),
    ],
)
def test_open_refuses(stage: Any, units: int, run_s: int, error: str) -> None:
    stage.deposit()
    stage.refused(error, stage.ix_open(stage.box.job_id(), units=units, run_s=run_s), stage.buyer)


def test_open_takes_the_whole_balance_and_the_longest_run(stage: Any) -> None:
    job_id = stage.opened(units=FUNDS, run_s=LONGEST_JOB_S)
    assert stage.balance(stage.buyer) == 0
    assert stage.job(job_id).run_s == LONGEST_JOB_S


def test_a_job_id_is_used_once(stage: Any) -> None:
    job_id = stage.opened()
    stage.refused("already_exists", stage.ix_open(job_id), stage.buyer)
    stage.box.must(stage.ix_cancel(job_id), stage.buyer)
    stage.refused("already_exists", stage.ix_open(job_id), stage.buyer)


def test_a_job_id_is_not_used_again_after_close(stage: Any) -> None:
    job_id = stage.opened()
    close = stage.build.close(stage.buyer.address, job_id, stage.buyer.address)
    stage.refused("wrong_state", close, stage.stranger)
    stage.box.must(stage.ix_cancel(job_id), stage.buyer)
    theft = stage.build.close(stage.buyer.address, job_id, stage.stranger.address)
    stage.refused("wrong_address", theft, stage.stranger)
    address = stage.box.addresses.job(stage.buyer.address, job_id)
    data, lamports = stage.box.data(address), stage.box.lamports(address)
    stage.box.set_account(address, data, stage.box.addresses.program, rent_lamports(2) - 1)
    stage.refused("vault_short", close, stage.stranger)
    stage.box.set_account(address, data, stage.box.addresses.program, lamports)
    before = stage.box.wallet_units(stage.buyer.address, Asset.SOL)
    stage.box.must(close, stage.stranger)
    freed = rent_lamports(JOB_BYTES) - rent_lamports(2)
    assert stage.box.wallet_units(stage.buyer.address, Asset.SOL) == before + freed
    stage.refused("already_exists", stage.ix_open(job_id), stage.buyer)
    stage.refused("wrong_account", stage.ix_cancel(job_id), stage.buyer)
    stage.refused("wrong_account", close, stage.stranger)


def test_a_funded_address_does_not_block_a_job(stage: Any) -> None:
    stage.deposit()
    for lamports in (1, rent_lamports(JOB_BYTES) + 7):
        job_id = stage.box.job_id()
        address = stage.box.addresses.job(stage.buyer.address, job_id)
        stage.box.set_account(address, b"", Pubkey.default(), lamports)
        stage.box.must(stage.ix_open(job_id), stage.buyer)
        assert stage.job(job_id).deposit_units == DEPOSIT


# -- TopUp


def test_top_up_adds_to_the_deposit_and_moves_no_deadline(stage: Any) -> None:
    job_id = stage.assigned()
    deadline_s = stage.job(job_id).deadline_s
    stage.box.set_time(stage.box.now_s + 100)
    top_up = stage.build.top_up(stage.buyer.address, stage.buyer.address, job_id, stage.asset, 93)
    stage.box.must(top_up, stage.buyer)
    assert stage.job(job_id).deposit_units == DEPOSIT + 93
    assert stage.job(job_id).deadline_s == deadline_s
    stage.box.must(stage.ix_settle(job_id, DEPOSIT + 93), stage.coordinator, stage.buyer)
    stage.refused("already_final", top_up, stage.buyer)


def test_top_up_refuses(stage: Any) -> None:
    def top_up(job_id: Any, units: int) -> Any:
        return stage.build.top_up(stage.buyer.address, stage.buyer.address, job_id, stage.asset, units)

    job_id = stage.opened()
    stage.refused("zero_amount", top_up(job_id, 0), stage.buyer)
    stage.refused("insufficient_balance", top_up(job_id, FUNDS), stage.buyer)
    stage.refused("wrong_state", top_up(stage.claimed(), 1), stage.buyer)


def test_top_up_stops_with_new_money(stage: Any) -> None:
    job_id, admin = stage.opened(), stage.box.admin
    top_up = stage.build.top_up(stage.buyer.address, stage.buyer.address, job_id, stage.asset, 5)
    stage.box.must(stage.build.disable_asset(admin.address, stage.asset), admin)
    stage.refused("asset_disabled", top_up, stage.buyer)
    settings = Settings(stage.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S, paused=True)
    stage.box.must(stage.build.set_config(admin.address, settings), admin)
    stage.refused("paused", top_up, stage.buyer)


def test_top_up_by_a_session_counts_against_its_allowance(stage: Any) -> None:
    job_id = stage.opened()
    stage.authorize(units=10)
    owner, key = stage.buyer.address, stage.session.address
    stage.box.must(stage.build.top_up(key, owner, job_id, stage.asset, 4), stage.session)
    assert stage.box.session(owner, key).remaining_units == 6
    over = stage.build.top_up(key, owner, job_id, stage.asset, 7)
    stage.refused("session_overdrawn", over, stage.session)


def test_whoever_bears_the_rent_signs_for_it(stage: Any) -> None:
    """Even where the address holds enough already, and nothing is taken from them."""
    stage.deposit()
    job_id = stage.box.job_id()
    address = stage.box.addresses.job(stage.buyer.address, job_id)
    stage.box.set_account(address, b"", Pubkey.default(), rent_lamports(JOB_BYTES))
    step = stage.build.open(
        stage.buyer.address,
        stage.buyer.address,
        job_id,
        stage.asset,
        deposit_units=DEPOSIT,
        terms_hash=TERMS,
        run_s=RUN_S,
        payer=stage.stranger.address,
    )
    metas = list(step.accounts)
    metas[1] = AccountMeta(metas[1].pubkey, is_signer=False, is_writable=True)
    unsigned = Instruction(step.program_id, bytes(step.data), metas)
    stage.refused("missing_signature", unsigned, stage.buyer)
    stage.box.must(step, stage.buyer, stage.stranger)
    assert stage.job(job_id).rent_payer == stage.stranger.address


# -- Assign


def test_assign_names_the_node_and_starts_the_clock_once(stage: Any) -> None:
    job_id = stage.opened()
    stage.box.set_time(stage.box.now_s + 5000)
    stage.box.must(stage.ix_assign(job_id, stage.stranger), stage.coordinator)
    deadline_s = stage.box.now_s + RUN_S
    assert (stage.job(job_id).node, stage.job(job_id).deadline_s) == (stage.stranger.address, deadline_s)
    stage.box.set_time(stage.box.now_s + 100)
    stage.box.must(stage.ix_assign(job_id), stage.coordinator)
    assert (stage.job(job_id).node, stage.job(job_id).deadline_s) == (stage.node.address, deadline_s)
    stage.refused("wrong_state", stage.ix_cancel(job_id), stage.buyer)
    for status in ("claimed", "disputed"):
        stage.refused("wrong_state", stage.ix_assign(getattr(stage, status)()), stage.coordinator)


@pytest.mark.parametrize(("late_s", "error"), [(-1, None), (0, "too_late"), (1, "too_late")])
def test_assign_has_deadlines(stage: Any, late_s: int, error: str | None) -> None:
    waiting, running = stage.opened(), stage.assigned()
    for job_id in (running, waiting):
        stage.box.set_time(stage.job(job_id).deadline_s + late_s)
        assert stage.box.send(stage.ix_assign(job_id), stage.coordinator).error == error
    stage.box.check_books()


def test_nobody_is_no_node(stage: Any) -> None:
    step = stage.ix_assign(stage.opened())
    nobody = Instruction(step.program_id, bytes(step.data)[:1] + bytes(32), list(step.accounts))
    stage.refused("out_of_bounds", nobody, stage.coordinator)
