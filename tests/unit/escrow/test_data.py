"""Instruction data of every length from 0 to 64 with every tag."""

from __future__ import annotations

from typing import Any

from solders.instruction import Instruction

from p2p.chain.instructions import Role, Settings, Tag
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S

LENGTHS = {
    Tag.INIT_CONFIG: 147,
    Tag.SET_CONFIG: 52,
    Tag.PROPOSE_AUTHORITY: 34,
    Tag.ACCEPT_AUTHORITY: 2,
    Tag.ADD_ASSET: 1,
    Tag.DISABLE_ASSET: 1,
    Tag.DEPOSIT: 9,
    Tag.WITHDRAW: 9,
    Tag.AUTHORIZE: 49,
    Tag.REVOKE: 1,
    Tag.OPEN: 65,
    Tag.TOP_UP: 9,
    Tag.ASSIGN: 33,
    Tag.CANCEL: 1,
    Tag.SETTLE: 41,
    Tag.CLAIM: 41,
    Tag.DISPUTE: 1,
    Tag.RESOLVE: 9,
    Tag.FINALIZE: 1,
    Tag.REFUND: 1,
    Tag.RECLAIM: 1,
    Tag.CLOSE: 1,
}
"""The one length that each tag has, the tag included."""


def valid(stage: Any) -> dict[Tag, Instruction]:
    build, buyer = stage.build, stage.buyer.address
    settings = Settings(stage.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S)
    admin, opened = stage.box.admin.address, stage.opened()
    return {
        Tag.INIT_CONFIG: stage.box.init_config(),
        Tag.SET_CONFIG: build.set_config(admin, settings),
        Tag.PROPOSE_AUTHORITY: build.propose_authority(admin, Role.ADMIN, buyer),
        Tag.ACCEPT_AUTHORITY: build.accept_authority(buyer, Role.ADMIN),
        Tag.ADD_ASSET: build.add_asset(admin, stage.asset),
        Tag.DISABLE_ASSET: build.disable_asset(admin, stage.asset),
        Tag.DEPOSIT: build.deposit(buyer, stage.asset, 5),
        Tag.WITHDRAW: build.withdraw(buyer, stage.asset, 5),
        Tag.AUTHORIZE: build.authorize(buyer, stage.session.address, stage.asset, 5, stage.box.now_s + 60),
        Tag.REVOKE: build.revoke(buyer, stage.session.address),
        Tag.OPEN: stage.ix_open(stage.box.job_id()),
        Tag.TOP_UP: build.top_up(buyer, buyer, opened, stage.asset, 5),
        Tag.ASSIGN: stage.ix_assign(opened),
        Tag.CANCEL: stage.ix_cancel(opened),
        Tag.SETTLE: stage.ix_settle(stage.assigned(), 5),
        Tag.CLAIM: stage.ix_claim(stage.assigned(), 5),
        Tag.DISPUTE: stage.ix_dispute(stage.claimed()),
        Tag.RESOLVE: stage.ix_resolve(stage.disputed(), 5),
        Tag.FINALIZE: stage.ix_finalize(stage.claimed()),
        Tag.REFUND: stage.ix_refund(stage.assigned()),
        Tag.RECLAIM: stage.ix_reclaim(stage.assigned()),
        Tag.CLOSE: build.close(buyer, opened, buyer),
    }


def test_every_other_length_is_refused_before_anything_happens(sol_stage: Any) -> None:
    stage = sol_stage
    steps = valid(stage)
    assert set(steps) == set(Tag) == set(LENGTHS)
    people = (stage.buyer, stage.coordinator, stage.arbiter)
    for tag, step in steps.items():
        data = bytes(step.data)
        assert len(data) == LENGTHS[tag]
        for length in [*range(65), LENGTHS[tag] - 1, LENGTHS[tag] + 1]:
            if length != LENGTHS[tag]:
                cut = (data + bytes(range(65)))[:length]
                ran = stage.box.send(
                    Instruction(step.program_id, cut, list(step.accounts)), stage.box.admin, *people
                )
                assert ran.error == "bad_instruction", (tag, length, ran.logs)
    stage.box.check_books()


def test_unknown_tags_are_refused(sol_stage: Any) -> None:
    stage = sol_stage
    step = stage.ix_open(stage.box.job_id())
    for tag in range(len(Tag), 256):
        for length in (1, 9, 41, 64):
            wrong = Instruction(step.program_id, bytes([tag]) * length, list(step.accounts))
            assert stage.box.send(wrong, stage.buyer).error == "bad_instruction"


def test_nonsense_of_the_right_length_never_breaks_the_program(sol_stage: Any) -> None:
    """It is refused with one of the program's numbers or the called program's: no fault, no abort."""
    stage = sol_stage
    people = (stage.buyer, stage.coordinator, stage.arbiter)
    for tag, step in valid(stage).items():
        for filler in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            data = bytes([tag]) + bytes([filler]) * (LENGTHS[tag] - 1)
            nonsense = Instruction(step.program_id, data, list(step.accounts))
            ran = stage.box.send(nonsense, stage.box.admin, *people)
            faulted = any("failed to complete" in line or "Access violation" in line for line in ran.logs)
            assert not faulted, (tag, filler, ran.logs)
            stage.box.check_books()


def test_no_data_and_no_accounts(sol_stage: Any) -> None:
    program = sol_stage.box.addresses.program
    assert sol_stage.box.send(Instruction(program, b"", []), sol_stage.buyer).error == "bad_instruction"
    for tag in Tag:
        empty = Instruction(program, bytes([tag]) + bytes(LENGTHS[tag] - 1), [])
        assert sol_stage.box.send(empty, sol_stage.buyer).error == "bad_accounts"
