"""Deposit and Withdraw: what goes in comes out, to the same person, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from p2p.chain.accounts import ASSET_BYTES, rent_lamports
from p2p.chain.addresses import TOKEN_PROGRAM
from p2p.chain.instructions import Settings
from p2p.chain.keys import to_pubkey
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S
from p2p.core.money import Asset

TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
U64_MAX = 2**64 - 1


def with_slot(step: Instruction, slot: int, key: Pubkey) -> Instruction:
    metas = list(step.accounts)
    metas[slot] = AccountMeta(key, metas[slot].is_signer, metas[slot].is_writable)
    return Instruction(step.program_id, bytes(step.data), metas)


def test_deposit_and_withdraw_move_exactly_that_much(stage: Any) -> None:
    before = stage.box.wallet_units(stage.buyer.address, stage.asset)
    stage.deposit(units=1_000_003)
    stage.deposit(units=7)
    assert stage.balance(stage.buyer) == 1_000_010
    assert stage.box.vault(stage.asset) == stage.box.asset(stage.asset).owed_units == 1_000_010
    stage.box.must(stage.build.withdraw(stage.buyer.address, stage.asset, 1_000_009), stage.buyer)
    assert stage.balance(stage.buyer) == stage.box.vault(stage.asset) == 1
    after = stage.box.wallet_units(stage.buyer.address, stage.asset)
    if stage.asset is Asset.USDC:
        assert before - after == 1
    else:
        fees = 3 * 5000
        assert before - after == 1 + fees + rent_lamports(80)


def test_zero_amounts_are_refused(stage: Any) -> None:
    stage.deposit()
    stage.refused("zero_amount", stage.build.deposit(stage.buyer.address, stage.asset, 0), stage.buyer)
    stage.refused("zero_amount", stage.build.withdraw(stage.buyer.address, stage.asset, 0), stage.buyer)


@pytest.mark.parametrize("more", [1, U64_MAX])
def test_nobody_withdraws_more_than_they_have(stage: Any, more: int) -> None:
    stage.deposit(stage.stranger)
    stage.deposit(units=100)
    units = min(100 + more, U64_MAX)
    stage.refused(
        "insufficient_balance", stage.build.withdraw(stage.buyer.address, stage.asset, units), stage.buyer
    )


def test_nobody_deposits_more_than_they_have(stage: Any) -> None:
    ran = stage.box.send(stage.build.deposit(stage.buyer.address, stage.asset, 10**16), stage.buyer)
    assert ran.number == 1  # the System's and the Token program's own "insufficient funds"
    assert stage.balance(stage.buyer) == 0


def test_sums_beyond_64_bits_are_refused(usdc_stage: Any) -> None:
    stage = usdc_stage
    stage.box.give_usdc(stage.buyer.address, U64_MAX)
    stage.deposit(units=U64_MAX)
    stage.box.give_usdc(stage.stranger.address, 1)
    ran = stage.box.send(stage.build.deposit(stage.stranger.address, stage.asset, 1), stage.stranger)
    assert not ran.ok
    stage.box.check_books()
    stage.box.must(stage.build.withdraw(stage.buyer.address, stage.asset, U64_MAX), stage.buyer)


def test_owed_beyond_64_bits_is_refused_even_where_the_token_would_allow_it(usdc_stage: Any) -> None:
    """The vault's own sum overflows first; emptied by force, it is the program's turn to say no."""
    stage = usdc_stage
    stage.box.give_usdc(stage.buyer.address, U64_MAX)
    stage.deposit(units=U64_MAX)
    at = stage.box.addresses
    stage.box.set_token_account(at.vault(stage.asset), at.usdc_mint, at.asset(stage.asset), 0)
    stage.box.give_usdc(stage.stranger.address, 1)
    ran = stage.box.send(stage.build.deposit(stage.stranger.address, stage.asset, 1), stage.stranger)
    assert ran.error == "overflow"


def test_an_address_that_was_funded_beforehand_blocks_nobody(stage: Any) -> None:
    """Creating an account at an address with lamports fails; transfer, allocate, assign does not."""
    for lamports in (1, rent_lamports(80), 10**9):
        person = stage.box.person()
        address = stage.box.addresses.balance(person.address, stage.asset)
        stage.box.set_account(address, b"", Pubkey.default(), lamports)
        stage.deposit(person, units=5)
        assert stage.balance(person) == 5
        assert stage.box.lamports(address) == max(lamports, rent_lamports(80))


def test_paused_stops_deposits_but_no_withdrawal(stage: Any) -> None:
    stage.deposit(units=50)
    settings = Settings(stage.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S, paused=True)
    stage.box.must(stage.build.set_config(stage.box.admin.address, settings), stage.box.admin)
    stage.refused("paused", stage.build.deposit(stage.buyer.address, stage.asset, 1), stage.buyer)
    stage.box.must(stage.build.withdraw(stage.buyer.address, stage.asset, 50), stage.buyer)


def test_a_disabled_asset_stops_deposits_but_no_withdrawal(stage: Any) -> None:
    stage.deposit(units=50)
    stage.box.must(stage.build.disable_asset(stage.box.admin.address, stage.asset), stage.box.admin)
    stage.refused("asset_disabled", stage.build.deposit(stage.buyer.address, stage.asset, 1), stage.buyer)
    stage.box.must(stage.build.withdraw(stage.buyer.address, stage.asset, 50), stage.buyer)
    stage.box.must(stage.build.add_asset(stage.box.admin.address, stage.asset), stage.box.admin)
    stage.deposit(units=1)


def test_an_asset_cannot_be_added_twice(stage: Any) -> None:
    step = stage.build.add_asset(stage.box.admin.address, stage.asset)
    stage.refused("already_exists", step, stage.box.admin)


# -- tokens: what a thief would bring instead of the right account


def test_only_the_owners_own_token_account_of_the_mint(usdc_stage: Any) -> None:
    stage = usdc_stage
    stage.deposit()
    box, at = stage.box, stage.box.addresses
    other_mint, key = box.signer(), lambda: to_pubkey(box.signer().address)
    box.add_mint(to_pubkey(other_mint.address))
    buyer = to_pubkey(stage.buyer.address)
    bad: dict[str, Callable[[Pubkey], None]] = {
        "a stranger's": lambda k: box.set_token_account(
            k, at.usdc_mint, to_pubkey(stage.stranger.address), 10**9
        ),
        "of another mint": lambda k: box.set_token_account(k, to_pubkey(other_mint.address), buyer, 10**9),
        "frozen": lambda k: box.set_token_account(k, at.usdc_mint, buyer, 10**9, frozen=True),
        "of Token-2022": lambda k: box.set_token_account(k, at.usdc_mint, buyer, 10**9, program=TOKEN_2022),
        "too short": lambda k: box.set_account(k, bytes(164), TOKEN_PROGRAM),
        "nothing": lambda k: None,
    }
    for name, put in bad.items():
        account = key()
        put(account)
        for step, slot in (
            (stage.build.deposit(stage.buyer.address, stage.asset, 5), 5),
            (stage.build.withdraw(stage.buyer.address, stage.asset, 5), 3),
        ):
            ran = box.send(with_slot(step, slot, account), stage.buyer)
            assert ran.error == "bad_token_account", name
    box.check_books()


def test_only_the_one_vault(usdc_stage: Any) -> None:
    """A second token account of the same authority is not the vault: what lay there would be lost."""
    stage = usdc_stage
    stage.deposit()
    at, decoy = stage.box.addresses, to_pubkey(stage.box.signer().address)
    stage.box.set_token_account(decoy, at.usdc_mint, at.asset(stage.asset), 10**9)
    for step, slot in (
        (stage.build.deposit(stage.buyer.address, stage.asset, 5), 6),
        (stage.build.withdraw(stage.buyer.address, stage.asset, 5), 4),
    ):
        stage.refused("wrong_address", with_slot(step, slot, decoy), stage.buyer)


def test_only_the_real_token_program(usdc_stage: Any) -> None:
    stage = usdc_stage
    stage.deposit()
    for fake in (TOKEN_2022, Pubkey.default(), stage.box.addresses.program):
        for step, slot in (
            (stage.build.deposit(stage.buyer.address, stage.asset, 5), 7),
            (stage.build.withdraw(stage.buyer.address, stage.asset, 5), 5),
        ):
            stage.refused("wrong_program", with_slot(step, slot, fake), stage.buyer)


def test_only_the_real_system_program(stage: Any) -> None:
    stage.deposit()
    steps = [
        (stage.build.deposit(stage.buyer.address, stage.asset, 5), 4, stage.buyer),
        (stage.ix_open(stage.box.job_id()), 6, stage.buyer),
        (stage.ix_assign(stage.opened()), 4, stage.coordinator),
        (
            stage.build.authorize(
                stage.buyer.address, stage.session.address, stage.asset, 5, stage.box.now_s + 9
            ),
            3,
            stage.buyer,
        ),
    ]
    for step, slot, payer in steps:
        stage.refused("wrong_program", with_slot(step, slot, TOKEN_PROGRAM), payer)


def test_sol_and_token_accounts_do_not_mix(sol_stage: Any) -> None:
    """Token accounts with the SOL asset, and none with a token, are refused."""
    box, build, who = sol_stage.box, sol_stage.build, sol_stage.buyer
    for asset in Asset:
        box.must(build.deposit(who.address, asset, 100), who)
    token = list(build.deposit(who.address, Asset.USDC, 5).accounts)
    sol = list(build.deposit(who.address, Asset.SOL, 5).accounts)
    data = bytes(build.deposit(who.address, Asset.SOL, 5).data)
    program = box.addresses.program
    assert box.send(Instruction(program, data, sol + token[5:]), who).error == "wrong_asset"
    assert box.send(Instruction(program, data, token[:5]), who).error == "wrong_asset"
    mixed = [*sol[:3], token[3], sol[4]]
    assert box.send(Instruction(program, data, mixed), who).error == "wrong_asset"
    box.check_books()


def test_a_token_is_not_paid_out_in_sol_nor_sol_in_tokens(sol_stage: Any) -> None:
    """A withdrawal of the one asset with the other's accounts, though there is enough of both."""
    box, build, who = sol_stage.box, sol_stage.build, sol_stage.buyer
    for asset in Asset:
        box.must(build.deposit(who.address, asset, 100), who)
    usdc_asset = box.addresses.asset(Asset.USDC)
    box.set_account(usdc_asset, box.data(usdc_asset), box.addresses.program, 10**12)
    token, sol = build.withdraw(who.address, Asset.USDC, 5), build.withdraw(who.address, Asset.SOL, 5)
    as_sol = Instruction(token.program_id, bytes(token.data), list(token.accounts)[:3])
    as_token = Instruction(sol.program_id, bytes(sol.data), list(sol.accounts) + list(token.accounts)[3:])
    sol_stage.refused("wrong_asset", as_sol, who)
    sol_stage.refused("wrong_asset", as_token, who)


def test_adding_an_asset_calls_only_the_real_programs(sol_stage: Any) -> None:
    box = sol_stage.box
    at = type(box.addresses)(box.addresses.program, to_pubkey(box.signer().address))
    box.add_mint(at.usdc_mint)
    step = type(box.build)(at).add_asset(box.admin.address, Asset.USDC)
    for slot in (3, 6):
        for fake in (TOKEN_2022, at.program):
            sol_stage.refused("wrong_program", with_slot(step, slot, fake), box.admin)
    box.must(step, box.admin)


@pytest.mark.parametrize("program", [TOKEN_2022, TOKEN_PROGRAM])
def test_only_a_classic_mint_becomes_an_asset(sol_stage: Any, program: Pubkey) -> None:
    """Token-2022 with the classic length, and a token account in the place of a mint."""
    box = sol_stage.box
    mint = to_pubkey(box.signer().address)
    if program == TOKEN_2022:
        box.add_mint(mint, TOKEN_2022)
    else:
        box.set_token_account(mint, box.addresses.usdc_mint, mint, 1)
    at = type(box.addresses)(box.addresses.program, mint)
    step = type(box.build)(at).add_asset(box.admin.address, Asset.USDC)
    sol_stage.refused("bad_mint", step, box.admin)


def test_a_mint_that_is_not_initialised_is_none(sol_stage: Any) -> None:
    box = sol_stage.box
    mint = to_pubkey(box.signer().address)
    box.set_account(mint, bytes(82), TOKEN_PROGRAM)
    at = type(box.addresses)(box.addresses.program, mint)
    step = type(box.build)(at).add_asset(box.admin.address, Asset.USDC)
    sol_stage.refused("bad_mint", step, box.admin)


def test_the_sol_vault_keeps_its_rent(sol_stage: Any) -> None:
    sol_stage.deposit(units=100)
    step = sol_stage.build.withdraw(sol_stage.buyer.address, Asset.SOL, 100)
    sol_stage.box.must(step, sol_stage.buyer)
    assert sol_stage.box.lamports(sol_stage.box.addresses.asset(Asset.SOL)) == rent_lamports(ASSET_BYTES)


def test_a_gift_to_the_vault_is_nobodys(sol_stage: Any) -> None:
    """Lamports sent there by mistake or malice harm no book, and nobody can withdraw them."""
    stage = sol_stage
    stage.deposit(units=100)
    address = stage.box.addresses.asset(Asset.SOL)
    data = stage.box.data(address)
    stage.box.set_account(address, data, stage.box.addresses.program, stage.box.lamports(address) + 10**9)
    stage.refused(
        "insufficient_balance", stage.build.withdraw(stage.buyer.address, Asset.SOL, 101), stage.buyer
    )
    assert stage.box.vault(Asset.SOL) == 10**9 + 100


def test_the_program_refuses_to_leave_less_than_it_owes(sol_stage: Any) -> None:
    """Cannot happen by its own doing: the vault is robbed by force here."""
    stage = sol_stage
    stage.deposit(units=1000)
    stage.deposit(stage.stranger, units=1000)
    address = stage.box.addresses.asset(Asset.SOL)
    data = stage.box.data(address)
    stage.box.set_account(address, data, stage.box.addresses.program, stage.box.lamports(address) - 600)
    ran = stage.box.send(stage.build.withdraw(stage.buyer.address, Asset.SOL, 1000), stage.buyer)
    assert ran.error == "vault_short"


@pytest.mark.parametrize("left", [-500, 0, 1, rent_lamports(ASSET_BYTES) - 1])
def test_the_rent_is_not_paid_out(sol_stage: Any, left: int) -> None:
    """Nor when the vault was robbed by force of even more than what is owed."""
    stage = sol_stage
    stage.deposit(units=1000)
    address = stage.box.addresses.asset(Asset.SOL)
    stage.box.set_account(address, stage.box.data(address), stage.box.addresses.program, 1000 + left)
    ran = stage.box.send(stage.build.withdraw(stage.buyer.address, Asset.SOL, 1000), stage.buyer)
    assert ran.error == "vault_short"


def test_what_is_owed_never_wraps(stage: Any) -> None:
    """A balance larger than all that is owed, put there by force, is not paid out."""
    stage.deposit(units=1000)
    address = stage.box.addresses.asset(stage.asset)
    data = bytearray(stage.box.data(address))
    data[72:80] = (999).to_bytes(8, "little")
    stage.box.set_account(address, bytes(data), stage.box.addresses.program, stage.box.lamports(address))
    ran = stage.box.send(stage.build.withdraw(stage.buyer.address, stage.asset, 1000), stage.buyer)
    assert ran.error == "vault_short"
