"""Every account slot of every instruction, filled with what an attacker could bring instead."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from p2p.chain.accounts import BALANCE_TAG, VERSION
from p2p.chain.addresses import SYSTEM_PROGRAM
from p2p.chain.instructions import Role, Settings
from p2p.chain.keys import to_pubkey
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S
from p2p.core.money import Asset


def replaced(step: Instruction, slot: int, key: Pubkey) -> Instruction:
    metas = list(step.accounts)
    metas[slot] = AccountMeta(key, is_signer=False, is_writable=metas[slot].is_writable)
    return Instruction(step.program_id, bytes(step.data), metas)


def steps(stage: Any) -> dict[str, Instruction]:
    """Every instruction that takes accounts of the program and needs no time, each valid on its own."""
    build, buyer, admin = stage.build, stage.buyer.address, stage.box.admin.address
    settings = Settings(stage.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S)
    return {
        "set_config": build.set_config(admin, settings),
        "propose_authority": build.propose_authority(admin, Role.ADMIN, buyer),
        "disable_asset": build.disable_asset(stage.box.admin.address, stage.asset),
        "deposit": build.deposit(buyer, stage.asset, 5),
        "withdraw": build.withdraw(buyer, stage.asset, 5),
        "authorize": build.authorize(buyer, stage.session.address, stage.asset, 5, stage.box.now_s + 60),
        "revoke": build.revoke(buyer, stage.session.address),
        "open": stage.ix_open(stage.box.job_id()),
        "open by session": stage.ix_open(stage.box.job_id(), stage.session),
        "top_up": build.top_up(buyer, buyer, stage.opened(), stage.asset, 5),
        "assign": stage.ix_assign(stage.opened()),
        "cancel": stage.ix_cancel(stage.opened()),
        "cancel by session": stage.ix_cancel(stage.opened(), stage.session),
        "settle": stage.ix_settle(stage.assigned(), 5),
        "settle by session": stage.ix_settle(stage.assigned(), 5, stage.session),
        "claim": stage.ix_claim(stage.assigned(), 5),
        "dispute": stage.ix_dispute(stage.claimed()),
        "resolve": stage.ix_resolve(stage.disputed(), 5),
        "refund": stage.ix_refund(stage.assigned()),
    }


def late_steps(stage: Any) -> dict[str, Instruction]:
    """Those that need a deadline to be over, or an end; on a clock that is put forward."""
    build, buyer, closed = stage.build, stage.buyer.address, stage.opened()
    stage.box.must(stage.ix_cancel(closed), stage.buyer)
    found = {
        "finalize": stage.ix_finalize(stage.claimed()),
        "reclaim": stage.ix_reclaim(stage.assigned()),
        "reclaim (disputed)": stage.ix_reclaim(stage.disputed()),
        "close": build.close(buyer, closed, buyer),
    }
    stage.box.set_time(stage.box.now_s + 10**6)
    return found


CHOICES = {("disable_asset", 2), ("authorize", 2), ("assign", 1)}
"""Slots whose account the signer may choose: which asset, which of the coordinator's jobs."""


def people(stage: Any) -> tuple[Any, ...]:
    return (stage.box.admin, stage.buyer, stage.coordinator, stage.arbiter, stage.session)


def ready(stage: Any) -> None:
    """Balances for everybody, a session, and a stranger with all of that too."""
    for who in (stage.buyer, stage.stranger, stage.node, stage.fee_owner):
        if who is stage.fee_owner:
            stage.box.give_sol(who.address, 10**12)
            stage.box.give_usdc(who.address, 10**12)
        stage.deposit(who)
    stage.authorize()


def strangers_accounts(stage: Any) -> list[Pubkey]:
    """Real accounts of the program that are somebody else's, or another asset's."""
    at, other = stage.box.addresses, next(a for a in Asset if a is not stage.asset)
    who, key = stage.stranger, stage.box.signer()
    stage.box.must(stage.build.deposit(who.address, other, 10**9), who)
    stage.box.must(stage.build.deposit(stage.buyer.address, other, 10**9), stage.buyer)
    stage.box.must(stage.build.authorize(who.address, key.address, stage.asset, 9, stage.box.now_s + 99), who)
    job_id = stage.box.job_id()
    own = stage.build.open(
        who.address,
        who.address,
        job_id,
        stage.asset,
        deposit_units=1000,
        terms_hash=bytes(32),
        run_s=600,
    )
    stage.box.must(own, who)
    return [
        at.balance(who.address, stage.asset),
        at.balance(who.address, other),
        at.balance(stage.buyer.address, other),
        at.session(who.address, key.address),
        at.job(who.address, job_id),
        at.asset(other),
        at.token_account(who.address),
        to_pubkey(who.address),
        to_pubkey(stage.box.signer().address),
    ]


def forged(stage: Any, key: Pubkey) -> list[Pubkey]:
    """Copies of one of the program's accounts: other owner, other length, other version, other tag."""
    data = stage.box.data(key)
    program = stage.box.addresses.program
    variants = [
        (data, SYSTEM_PROGRAM),
        (data, to_pubkey(stage.stranger.address)),
        (data + b"\0", program),
        (data[:-1], program),
        (data[:1] + bytes([VERSION + 1]) + data[2:], program),
        (bytes([data[0] % BALANCE_TAG + 1]) + data[1:], program),
        (bytes(len(data)), program),
    ]
    keys = []
    for content, owner in variants:
        copy = to_pubkey(stage.box.signer().address)
        stage.box.set_account(copy, content, owner, 10**10)
        keys.append(copy)
    return keys


@pytest.mark.parametrize("made", [steps, late_steps])
@pytest.mark.parametrize("brought", ["strangers", "own", "forged"])
def test_no_slot_takes_another_account(stage: Any, brought: str, made: Any) -> None:
    """Every step fails with every wrong account in every slot, and then works with the right ones."""
    ready(stage)
    program = stage.box.addresses.program
    strange = strangers_accounts(stage) if brought == "strangers" else []
    tried = 0
    for name, step in made(stage).items():
        for slot, meta in enumerate(step.accounts):
            if meta.is_signer or (name, slot) in CHOICES:
                continue  # tests of authority
            if brought == "own":  # the same account in two slots
                wrong = [other.pubkey for other in step.accounts]
            elif brought == "forged":
                wrong = forged(stage, meta.pubkey) if stage.box.owner_of(meta.pubkey) == program else []
            else:
                wrong = strange
            for key in set(wrong) - {meta.pubkey}:
                ran = stage.box.send(replaced(step, slot, key), stage.box.admin, *people(stage))
                assert not ran.ok, f"{name}, slot {slot}: took {key}"
                tried += 1
            if brought == "forged":
                for key in wrong:
                    stage.box.set_account(key, b"", SYSTEM_PROGRAM, 0)
    assert tried > (100 if made is steps else 15)
    stage.box.check_books()


def test_the_steps_work_with_the_right_accounts(stage: Any) -> None:
    """Or the test above would prove nothing."""
    ready(stage)
    valid = steps(stage)
    last = ("authorize", "revoke", "disable_asset")
    for name in [name for name in valid if name not in last] + list(last):
        stage.box.must(valid[name], stage.box.admin, *people(stage))
    stage.box.must(stage.build.add_asset(stage.box.admin.address, stage.asset), stage.box.admin)
    for step in late_steps(stage).values():
        stage.box.must(step, stage.stranger)


def test_too_few_and_too_many_accounts(stage: Any) -> None:
    ready(stage)
    extra = AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False)
    for name, step in {**steps(stage), **late_steps(stage)}.items():
        metas, data = list(step.accounts), bytes(step.data)
        for wrong in ([], metas[:1], metas + [extra] * 2, metas + [extra] * 12):
            ran = stage.box.send(Instruction(step.program_id, data, wrong), stage.box.admin, *people(stage))
            assert not ran.ok, (name, len(wrong))
            assert ran.number is not None, ran.logs


def test_a_program_address_of_other_seeds(stage: Any) -> None:
    """Accounts are only ever created where their seeds say."""
    ready(stage)
    at = stage.box.addresses
    elsewhere = Pubkey.find_program_address([b"balance", b"elsewhere"], at.program)[0]
    newcomer = stage.box.person()
    deposit = replaced(stage.build.deposit(newcomer.address, stage.asset, 5), 3, elsewhere)
    stage.refused("wrong_address", deposit, newcomer)
    key = stage.box.signer()
    authorize = stage.build.authorize(stage.buyer.address, key.address, stage.asset, 5, stage.box.now_s + 60)
    stage.refused("wrong_address", replaced(authorize, 1, elsewhere), stage.buyer)
    node = stage.box.signer()
    assign = stage.ix_assign(stage.opened(), node)
    stage.refused("wrong_address", replaced(assign, 2, elsewhere), stage.coordinator)
    opened = replaced(stage.ix_open(stage.box.job_id()), 5, elsewhere)
    stage.refused("wrong_address", opened, stage.buyer)
    assert stage.box.data(elsewhere) is None


def test_a_wallet_does_not_become_an_account_of_the_program(stage: Any) -> None:
    """A key that signs for itself needs no seeds: the program has to refuse it."""
    stage.deposit()
    key = stage.box.person()
    for sol in (0, 10**9):
        stage.box.give_sol(key.address, sol)
        step = stage.ix_open(stage.box.job_id())
        metas = list(step.accounts)
        metas[5] = AccountMeta(to_pubkey(key.address), is_signer=True, is_writable=True)
        wallet = Instruction(step.program_id, bytes(step.data), metas)
        stage.refused("wrong_address", wallet, stage.buyer, key)


def other_addresses(program: Pubkey, *seeds: bytes) -> list[Pubkey]:
    """Every address that the seeds give with another bump than the canonical one."""
    _, canonical = Pubkey.find_program_address(list(seeds), program)
    tail = bytes(program) + b"ProgramDerivedAddress"
    hashed = [sha256(b"".join(seeds) + bytes([bump]) + tail).digest() for bump in range(canonical)]
    return [key for key in map(Pubkey, hashed) if not key.is_on_curve()]


def test_no_account_is_made_at_a_lower_bump(stage: Any) -> None:
    """Else somebody had two balances, or one job id two jobs."""
    ready(stage)
    at, who, key, job_id = stage.box.addresses, stage.box.person(), stage.box.signer(), stage.box.job_id()
    owner, mint = bytes(to_pubkey(who.address)), bytes(at.mint(stage.asset))
    authorize = stage.build.authorize(who.address, key.address, stage.asset, 5, stage.box.now_s + 60)
    steps = [
        (stage.build.deposit(who.address, stage.asset, 5), 3, (b"balance", mint, owner), who),
        (authorize, 1, (b"session", owner, bytes(to_pubkey(key.address))), who),
        (
            stage.ix_open(job_id),
            5,
            (b"job", bytes(to_pubkey(stage.buyer.address)), bytes.fromhex(job_id)),
            stage.buyer,
        ),
    ]
    for step, slot, seeds, signer in steps:
        elsewhere = other_addresses(at.program, *seeds)
        assert len(elsewhere) > 50
        for address in elsewhere[-5:]:
            stage.refused("wrong_address", replaced(step, slot, address), signer)
            assert stage.box.data(address) is None
        stage.box.must(step, signer)


def test_a_low_bump_is_found(stage: Any) -> None:
    """The program's search and the client's agree, however far they have to go."""
    stage.deposit()
    job_and_bump = stage.box.addresses.job_and_bump
    drawn = [stage.box.job_id() for _ in range(3000)]
    drawn.sort(key=lambda job_id: job_and_bump(stage.buyer.address, job_id)[1])
    assert job_and_bump(stage.buyer.address, drawn[0])[1] < 247
    for job_id in drawn[:3]:
        stage.box.must(stage.ix_open(job_id), stage.buyer)
        _, bump = job_and_bump(stage.buyer.address, job_id)
        assert stage.box.data(stage.box.addresses.job(stage.buyer.address, job_id))[2] == bump
