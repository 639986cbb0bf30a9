"""Who may do what: every signer of every instruction missing, and every one of them wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction

from p2p.chain.addresses import LOADER
from p2p.chain.instructions import Builder, Role, Settings
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S, Sandbox
from p2p.core.money import Asset


def settings(stage: Any, **changes: Any) -> Settings:
    values = {
        "fee_owner": stage.fee_owner.address,
        "fee_bps": FEE_BPS,
        "review_window_s": REVIEW_WINDOW_S,
        "longest_job_s": LONGEST_JOB_S,
        **changes,
    }
    return Settings(**values)


def unsigned(step: Instruction, slot: int) -> Instruction:
    """The slot's key is no signer, nor in any other slot where it stands."""
    key = step.accounts[slot].pubkey
    metas = [
        AccountMeta(
            meta.pubkey, is_signer=meta.is_signer and meta.pubkey != key, is_writable=meta.is_writable
        )
        for meta in step.accounts
    ]
    return Instruction(step.program_id, bytes(step.data), metas)


def signed_by(step: Instruction, slot: int, who: Signer) -> Instruction:
    metas = list(step.accounts)
    metas[slot] = AccountMeta(to_pubkey(who.address), is_signer=True, is_writable=metas[slot].is_writable)
    return Instruction(step.program_id, bytes(step.data), metas)


STEPS: dict[str, Callable[[Any], Instruction]] = {
    "set_config": lambda s: s.build.set_config(s.box.admin.address, settings(s)),
    "propose_authority": lambda s: s.build.propose_authority(
        s.box.admin.address, Role.ADMIN, s.stranger.address
    ),
    "add_asset": lambda s: s.build.add_asset(s.box.admin.address, s.asset),
    "disable_asset": lambda s: s.build.disable_asset(s.box.admin.address, s.asset),
    "deposit": lambda s: s.build.deposit(s.buyer.address, s.asset, 5),
    "withdraw": lambda s: s.build.withdraw(s.buyer.address, s.asset, 5),
    "authorize": lambda s: s.build.authorize(
        s.buyer.address, s.session.address, s.asset, 5, s.box.now_s + 60
    ),
    "revoke": lambda s: s.build.revoke(s.buyer.address, s.session.address),
    "open": lambda s: s.ix_open(s.box.job_id()),
    "open by session": lambda s: s.ix_open(s.box.job_id(), s.session),
    "top_up": lambda s: s.build.top_up(s.buyer.address, s.buyer.address, s.opened(), s.asset, 5),
    "assign": lambda s: s.ix_assign(s.opened()),
    "cancel": lambda s: s.ix_cancel(s.opened()),
    "cancel by session": lambda s: s.ix_cancel(s.opened(), s.session),
    "settle": lambda s: s.ix_settle(s.assigned(), 5),
    "settle by session": lambda s: s.ix_settle(s.assigned(), 5, s.session),
    "claim": lambda s: s.ix_claim(s.assigned(), 5),
    "dispute": lambda s: s.ix_dispute(s.claimed()),
    "resolve": lambda s: s.ix_resolve(s.disputed(), 5),
    "refund": lambda s: s.ix_refund(s.assigned()),
}


@pytest.mark.parametrize("name", STEPS)
def test_every_signature_is_needed_and_from_the_right_one(stage: Any, name: str) -> None:
    stage.deposit()
    stage.deposit(stage.stranger)
    stage.authorize()
    if name == "add_asset":
        stage.box.must(stage.build.disable_asset(stage.box.admin.address, stage.asset), stage.box.admin)
    step = STEPS[name](stage)
    signers = [slot for slot, meta in enumerate(step.accounts) if meta.is_signer]
    assert signers
    people = (stage.buyer, stage.coordinator, stage.arbiter, stage.box.admin, stage.session)
    for slot in signers:
        payer_slot = name.startswith("open") and slot == 1
        stage.refused("missing_signature", unsigned(step, slot), stage.stranger, *people)
        if not payer_slot:  # anyone may bear a job's rent
            ran = stage.box.send(signed_by(step, slot, stage.stranger), stage.stranger, *people)
            assert ran.error in ("wrong_authority", "wrong_address"), ran.logs
    stage.box.must(step, stage.box.admin, *people)


def test_no_one_stands_in_for_another_role(stage: Any) -> None:
    """Coordinator, arbiter, admin and buyer are four: none has another's power."""
    stage.deposit()
    people = (stage.buyer, stage.coordinator, stage.arbiter, stage.box.admin)
    for name, holder in (
        ("assign", stage.coordinator),
        ("claim", stage.coordinator),
        ("settle", stage.coordinator),
        ("resolve", stage.arbiter),
        ("disable_asset", stage.box.admin),
        ("cancel", stage.buyer),
        ("dispute", stage.buyer),
    ):
        step = STEPS[name](stage)
        for other in people:
            if other is not holder:
                ran = stage.box.send(signed_by(step, 0, other), other, *people)
                assert ran.error == "wrong_authority", (name, ran.logs)


def test_an_address_without_its_session_account_is_a_stranger(stage: Any) -> None:
    stage.deposit()
    stage.authorize()
    step = stage.ix_open(stage.box.job_id(), stage.session)
    bare = Instruction(step.program_id, bytes(step.data), list(step.accounts)[:-1])
    stage.refused("wrong_authority", bare, stage.session)


def test_a_session_key_cannot_withdraw(stage: Any) -> None:
    stage.deposit()
    stage.authorize()
    step = signed_by(stage.build.withdraw(stage.buyer.address, stage.asset, 5), 0, stage.session)
    stage.refused("wrong_address", step, stage.session)


# -- InitConfig


def init(box: Sandbox, by: Signer, **changes: Any) -> Instruction:
    values = {
        "fee_owner": box.fee_owner.address,
        "fee_bps": FEE_BPS,
        "review_window_s": REVIEW_WINDOW_S,
        "longest_job_s": LONGEST_JOB_S,
        **changes,
    }
    people = (box.admin.address, box.coordinator.address, box.arbiter.address)
    return box.build.init_config(by.address, *people, Settings(**values))


def test_only_the_upgrade_authority_configures_and_only_once() -> None:
    box = Sandbox(configured=False)
    thief = box.person()
    assert box.send(init(box, thief), thief).error == "wrong_authority"
    assert box.send(unsigned(init(box, box.admin), 0), thief).error == "missing_signature"
    box.must(init(box, box.admin), box.admin)
    assert box.config().admin == box.admin.address
    assert box.send(init(box, box.admin), box.admin).error == "already_exists"


def test_forged_program_data_configures_nothing() -> None:
    """An account of the thief's own that says what ProgramData would say."""
    box = Sandbox(configured=False)
    thief = box.person()
    forged = to_pubkey(box.signer().address)
    data = bytes([3, 0, 0, 0]) + bytes(8) + bytes([1]) + bytes(to_pubkey(thief.address))
    for owner in (LOADER, box.addresses.program):
        box.set_account(forged, data, owner)
        step = init(box, thief)
        metas = list(step.accounts)
        metas[2] = AccountMeta(forged, is_signer=False, is_writable=False)
        fake = Instruction(step.program_id, bytes(step.data), metas)
        assert box.send(fake, thief).error == "wrong_address"


@pytest.mark.parametrize("office", range(3))
def test_no_office_is_left_empty(office: int) -> None:
    box = Sandbox(configured=False)
    step = init(box, box.admin)
    data = bytearray(step.data)
    data[1 + 32 * office : 33 + 32 * office] = bytes(32)
    empty = Instruction(step.program_id, bytes(data), list(step.accounts))
    assert box.send(empty, box.admin).error == "out_of_bounds"


def test_program_data_that_is_not_the_loaders_is_refused() -> None:
    """At the right address, by force: other owner, other kind, too short, no authority."""
    box = Sandbox(configured=False)
    key = box.addresses.program_data
    whole = box.data(key)
    assert whole is not None
    for data, owner, error in (
        (whole, box.addresses.program, "wrong_account"),
        (bytes([2]) + whole[1:], LOADER, "wrong_account"),
        (whole[:44], LOADER, "wrong_account"),
        (whole[:12] + b"\0" + whole[13:], LOADER, "wrong_authority"),
    ):
        box.set_account(key, data, owner)
        assert box.send(init(box, box.admin), box.admin).error == error
    box.set_account(key, whole, LOADER)
    box.must(init(box, box.admin), box.admin)


def test_configuring_calls_only_the_real_system_program() -> None:
    box = Sandbox(configured=False)
    step = init(box, box.admin)
    metas = [*step.accounts[:3], AccountMeta(LOADER, is_signer=False, is_writable=False)]
    fake = Instruction(step.program_id, bytes(step.data), metas)
    assert box.send(fake, box.admin).error == "wrong_program"


def test_a_funded_config_address_blocks_nobody() -> None:
    from solders.pubkey import Pubkey

    box = Sandbox(configured=False)
    box.set_account(box.addresses.config, b"", Pubkey.default(), 1)
    for asset in Asset:
        box.set_account(box.addresses.asset(asset), b"", Pubkey.default(), 10**9)
        if asset is not Asset.SOL:
            box.set_account(box.addresses.vault(asset), b"", Pubkey.default(), 1)
    box.must(init(box, box.admin), box.admin)
    for asset in Asset:
        box.must(box.build.add_asset(box.admin.address, asset), box.admin)
        person = box.person()
        box.must(box.build.deposit(person.address, asset, 5), person)
        box.must(box.build.withdraw(person.address, asset, 5), person)


BOUNDS = [
    ("fee_bps", 2000, True),
    ("fee_bps", 2001, False),
    ("fee_bps", 0, True),
    ("review_window_s", 0, False),
    ("review_window_s", 1, True),
    ("review_window_s", 30 * 24 * 3600, True),
    ("review_window_s", 30 * 24 * 3600 + 1, False),
    ("review_window_s", -1, False),
    ("longest_job_s", 59, False),
    ("longest_job_s", 60, True),
    ("longest_job_s", 90 * 24 * 3600, True),
    ("longest_job_s", 90 * 24 * 3600 + 1, False),
    ("fee_owner", "1" * 32, False),
]


@pytest.mark.parametrize(("field", "value", "fine"), BOUNDS)
def test_settings_have_bounds(sol_stage: Any, field: str, value: Any, fine: bool) -> None:
    box = Sandbox(configured=False)
    expected = None if fine else "out_of_bounds"
    assert box.send(init(box, box.admin, **{field: value}), box.admin).error == expected
    step = sol_stage.build.set_config(sol_stage.box.admin.address, settings(sol_stage, **{field: value}))
    assert sol_stage.box.send(step, sol_stage.box.admin).error == expected


def test_paused_is_yes_or_no(sol_stage: Any) -> None:
    step = sol_stage.build.set_config(sol_stage.box.admin.address, settings(sol_stage))
    odd = Instruction(step.program_id, bytes(step.data)[:-1] + b"\2", list(step.accounts))
    sol_stage.refused("out_of_bounds", odd, sol_stage.box.admin)


def test_coordinator_and_arbiter_are_two(sol_stage: Any) -> None:
    """A stolen coordinator key must not judge its own claims."""
    box = Sandbox(configured=False)
    same = box.coordinator.address
    step = box.build.init_config(box.admin.address, box.admin.address, same, same, settings(sol_stage))
    assert box.send(step, box.admin).error == "out_of_bounds"
    build: Builder = sol_stage.build
    arbiter, coordinator = sol_stage.arbiter, sol_stage.coordinator
    propose = build.propose_authority(arbiter.address, Role.ARBITER, coordinator.address)
    sol_stage.box.must(propose, arbiter)
    accept = build.accept_authority(coordinator.address, Role.ARBITER)
    sol_stage.refused("out_of_bounds", accept, coordinator)


# -- changing hands


@pytest.mark.parametrize("role", Role)
def test_an_office_changes_hands_in_two_steps(sol_stage: Any, role: Role) -> None:
    stage, build = sol_stage, sol_stage.build
    holder = {
        Role.ADMIN: stage.box.admin,
        Role.COORDINATOR: stage.coordinator,
        Role.ARBITER: stage.arbiter,
    }[role]
    name = role.name.lower()
    accept = build.accept_authority(stage.stranger.address, role)
    stage.refused("wrong_authority", accept, stage.stranger)
    stage.box.must(build.propose_authority(holder.address, role, stage.stranger.address), holder)
    assert getattr(stage.box.config(), name) == holder.address
    assert getattr(stage.box.config(), f"{name}_next") == stage.stranger.address
    stage.refused("wrong_authority", build.accept_authority(stage.buyer.address, role), stage.buyer)
    stage.refused("missing_signature", unsigned(accept, 0), stage.buyer)
    stage.box.must(build.propose_authority(holder.address, role, None), holder)
    stage.refused("wrong_authority", accept, stage.stranger)
    stage.box.must(build.propose_authority(holder.address, role, stage.stranger.address), holder)
    stage.box.must(accept, stage.stranger)
    assert getattr(stage.box.config(), name) == stage.stranger.address
    assert getattr(stage.box.config(), f"{name}_next") is None
    again = build.propose_authority(holder.address, role, holder.address)
    stage.refused("wrong_authority", again, holder)


def test_rotated_keys_judge_new_jobs_only(stage: Any) -> None:
    old_assigned, old_disputed = stage.opened(), stage.disputed()
    for role, holder in ((Role.COORDINATOR, stage.coordinator), (Role.ARBITER, stage.arbiter)):
        successor = stage.box.person()
        stage.box.must(stage.build.propose_authority(holder.address, role, successor.address), holder)
        stage.box.must(stage.build.accept_authority(successor.address, role), successor)
    fresh = stage.opened()
    stage.refused("wrong_authority", stage.ix_assign(fresh), stage.coordinator)
    stage.box.must(stage.ix_assign(old_assigned), stage.coordinator)
    stage.box.must(stage.ix_resolve(old_disputed, 1), stage.arbiter)
