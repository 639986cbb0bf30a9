"""Session keys: what they may do, for how much, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from p2p.core.money import Asset

U64_MAX = 2**64 - 1
DEPOSIT, RUN_S, FUNDS = 1_000_000_007, 600, 10 * 10**9  # as conftest's
TERMS, RESULT = b"\x11" * 32, b"\x22" * 32


def test_a_session_opens_cancels_and_settles_within_its_allowance(stage: Any) -> None:
    stage.deposit()
    stage.authorize(units=DEPOSIT + 5)
    first, second = stage.box.job_id(), stage.box.job_id()
    stage.box.must(stage.ix_open(first, stage.session), stage.session)
    assert stage.job(first).rent_payer == stage.session.address
    assert stage.box.session(stage.buyer.address, stage.session.address).remaining_units == 5
    stage.refused("session_overdrawn", stage.ix_open(second, stage.session, units=6), stage.session)
    stage.box.must(stage.ix_open(second, stage.session, units=5), stage.session)
    stage.box.must(stage.ix_cancel(second, stage.session), stage.session)
    stage.box.must(stage.ix_assign(first), stage.coordinator)
    settle = stage.ix_settle(first, 10, stage.session)
    stage.box.must(settle, stage.coordinator, stage.session)
    assert stage.balances() == (FUNDS - 10, 9, 1)


@pytest.mark.parametrize(("late_s", "error"), [(-1, None), (0, "session_expired"), (1, "session_expired")])
def test_a_session_ends_at_its_second(stage: Any, late_s: int, error: str | None) -> None:
    stage.deposit()
    stage.authorize(seconds=1000)
    opened = stage.opened()
    assigned = stage.assigned()
    claimed = stage.claimed()
    stage.box.set_time(stage.box.now_s + 1000 + late_s)
    steps = [
        stage.ix_open(stage.box.job_id(), stage.session),
        stage.build.top_up(stage.session.address, stage.buyer.address, opened, stage.asset, 1),
        stage.ix_cancel(opened, stage.session),
        stage.ix_settle(assigned, 1, stage.session),
        stage.ix_dispute(claimed, stage.session),
    ]
    for step in steps:
        assert stage.box.send(step, stage.coordinator, stage.session).error == error
        stage.box.check_books()


def test_another_assets_session_may_nothing(stage: Any) -> None:
    other = next(asset for asset in Asset if asset is not stage.asset)
    stage.deposit()
    stage.authorize(asset=other)
    opened, assigned, claimed = stage.opened(), stage.assigned(), stage.claimed()
    for step in (
        stage.ix_open(stage.box.job_id(), stage.session),
        stage.build.top_up(stage.session.address, stage.buyer.address, opened, stage.asset, 1),
        stage.ix_cancel(opened, stage.session),
        stage.ix_settle(assigned, 1, stage.session),
        stage.ix_dispute(claimed, stage.session),
    ):
        stage.refused("wrong_asset", step, stage.session, stage.coordinator)


def test_a_revoked_session_may_nothing_and_its_rent_comes_back(stage: Any) -> None:
    stage.deposit()
    before = stage.box.wallet_units(stage.buyer.address, Asset.SOL)
    stage.authorize()
    revoke = stage.build.revoke(stage.buyer.address, stage.session.address)
    stage.box.must(revoke, stage.buyer)
    assert stage.box.wallet_units(stage.buyer.address, Asset.SOL) == before - 2 * 5000
    assert stage.box.session(stage.buyer.address, stage.session.address) is None
    stage.refused("wrong_account", stage.ix_open(stage.box.job_id(), stage.session), stage.session)
    stage.refused("wrong_account", revoke, stage.buyer)
    stage.authorize(units=1)
    assert stage.box.session(stage.buyer.address, stage.session.address).remaining_units == 1


def test_a_session_is_renewed_by_authorising_it_anew(stage: Any) -> None:
    stage.authorize(units=5, seconds=10)
    stage.authorize(units=3, seconds=20)
    session = stage.box.session(stage.buyer.address, stage.session.address)
    assert (session.remaining_units, session.expires_at_s) == (3, stage.box.now_s + 20)


@pytest.mark.parametrize(
    ("units", "seconds", "error"),
    [
        (0, 60, "zero_amount"),
        (1, 0, "session_expired"),
        (1, -(10**6), "session_expired"),
        (1, 90 * 24 * 3600 + 1, "out_of_bounds"),
        (1, -(2**62), "session_expired"),
    ],
)
def test_authorize_refuses(stage: Any, units: int, seconds: int, error: str) -> None:
    step = stage.build.authorize(
        stage.buyer.address, stage.session.address, stage.asset, units, stage.box.now_s + seconds
    )
    stage.refused(error, step, stage.buyer)


@pytest.mark.parametrize("lamports", [1, 10**9])
def test_a_funded_address_blocks_no_session(stage: Any, lamports: int) -> None:
    address = stage.box.addresses.session(stage.buyer.address, stage.session.address)
    stage.box.set_account(address, b"", Pubkey.default(), lamports)
    stage.authorize(units=5)
    assert stage.box.session(stage.buyer.address, stage.session.address).remaining_units == 5


def test_nobody_has_no_session(stage: Any) -> None:
    step = stage.build.authorize(
        stage.buyer.address, stage.session.address, stage.asset, 5, stage.box.now_s + 60
    )
    data = bytes(step.data)
    nobody = Instruction(step.program_id, data[:1] + bytes(32) + data[33:], list(step.accounts))
    stage.refused("out_of_bounds", nobody, stage.buyer)
