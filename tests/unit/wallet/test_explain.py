"""The words of a transaction are read from its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from p2p.chain.addresses import Addresses
from p2p.chain.browser.checks import check_prepared, check_signed, unsigned_wire
from p2p.chain.browser.explain import Explainer, fee_lamports, plain_amount
from p2p.chain.browser.request import PreparedTransaction
from p2p.chain.instructions import Builder, Role, Settings, create_token_account, transfer_lamports
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.transaction import Recent, build_message
from p2p.core.errors import Bug, Refused
from p2p.core.ids import JobId, new_job_id
from p2p.core.money import Asset

AT = Addresses(Pubkey.new_unique(), Pubkey.new_unique())
BUILD = Builder(AT)
OWNER, OTHER = Signer.generate(), Signer.generate()
ME = OWNER.address
JOB: JobId = new_job_id()


def message_of(*instructions: Instruction, price: int = 0) -> bytes:
    return build_message(list(instructions), ME, Recent(Hash.new_unique(), 9, price))


def words(*instructions: Instruction) -> str:
    """Everything that the page would show."""
    steps = Explainer(AT).steps(message_of(*instructions))
    return " | ".join(f"{step.text} {step.details}" for step in steps)


@given(st.sampled_from(Asset), st.integers(1, 2**63 - 1))
def test_amounts_and_their_direction_are_told(asset: Asset, units: int) -> None:
    amount = plain_amount(units, asset)
    assert f"Move {amount} from your wallet" in words(BUILD.deposit(ME, asset, units))
    assert f"Move {amount} from your escrow balance back" in words(BUILD.withdraw(ME, asset, units))
    assert f"spend up to {amount} of" in words(
        BUILD.authorize(ME, OTHER.address, asset, units, 2_000_000_000)
    )


def test_plain_amounts() -> None:
    assert plain_amount(25_000_000, Asset.USDC) == "25 USDC"
    assert plain_amount(5000, Asset.SOL) == "0.000005 SOL"
    assert plain_amount(100_000_000_000, Asset.SOL) == "100 SOL"


def test_a_session_key_its_end_and_its_money_are_told() -> None:
    authorize = BUILD.authorize(ME, OTHER.address, Asset.USDC, 5, 1_800_000_000)
    shown = words(authorize, transfer_lamports(ME, OTHER.address, 50_000_000))
    assert OTHER.address in shown
    assert "15 January 2027, 08:00 UTC" in shown
    assert "Send 0.05 SOL to that session key" in shown
    assert "for ever" in words(BUILD.authorize(ME, OTHER.address, Asset.USDC, 5, 2**62))


def test_money_to_a_stranger_names_the_stranger() -> None:
    shown = words(transfer_lamports(ME, OTHER.address, 1_000_000_000))
    assert "Send 1 SOL from your wallet." in shown
    assert OTHER.address in shown


def test_other_escrow_instructions_have_words() -> None:
    settings = Settings(OTHER.address, 1000, 86400, 1_209_600, paused=True)
    mint = to_pubkey(OTHER.address)
    cases = {
        "Lock 7 USDC of your escrow": BUILD.open(
            ME, ME, JOB, Asset.USDC, deposit_units=7_000_000, terms_hash=bytes(32), run_s=60
        ),
        JOB: BUILD.open(ME, ME, JOB, Asset.SOL, deposit_units=1, terms_hash=bytes(32), run_s=60),
        "Add 2 SOL to": BUILD.top_up(ME, ME, JOB, Asset.SOL, 2_000_000_000),
        str(AT.job(ME, JOB)): BUILD.reclaim(ME, JOB, Asset.SOL),
        "Cancel a job": BUILD.cancel(ME, ME, JOB, Asset.SOL),
        "End a session key": BUILD.revoke(ME, OTHER.address),
        "1,234": BUILD.resolve(ME, ME, JOB, Asset.SOL, node=ME, fee_owner=ME, used_units=1234),
        "('Fee', '10 %')": BUILD.set_config(ME, settings),
        "'paused'": BUILD.set_config(ME, settings),
        "Propose a new arbiter": BUILD.propose_authority(ME, Role.ARBITER, OTHER.address),
        "claim": BUILD.claim(ME, ME, JOB, 5, bytes(32)),
        "own token account": create_token_account(mint, mint, mint),
        "a program that CyxWiz does not know": Instruction(Pubkey.new_unique(), b"x", []),
    }
    for expected, instruction in cases.items():
        assert expected in words(instruction)


def test_every_instruction_is_one_step_and_the_fee_is_none() -> None:
    message = message_of(*[BUILD.deposit(ME, Asset.SOL, 5)] * 3, price=50)
    assert len(Explainer(AT).steps(message)) == 3
    assert fee_lamports(message) == 5000 + 5  # 100,000 units at 50 micro-lamports
    assert fee_lamports(message_of(BUILD.deposit(ME, Asset.SOL, 5))) == 5000


# -- what comes back


def prepared_of(*instructions: Instruction, **signatures: bytes) -> PreparedTransaction:
    return PreparedTransaction(message_of(*instructions), 9, (), 0, signatures)


def test_every_changed_byte_is_refused() -> None:
    prepared = prepared_of(BUILD.deposit(ME, Asset.SOL, 5))
    wire = bytearray(unsigned_wire(prepared))
    wire[1:65] = OWNER.sign(prepared.message)
    good = check_signed(prepared, ME, bytes(wire))
    assert good.raw == bytes(wire)
    assert good.last_valid_height == 9
    for place in range(len(wire)):
        broken = bytearray(wire)
        broken[place] ^= 1
        with pytest.raises(Refused):
            check_signed(prepared, ME, bytes(broken))
    for broken in (b"", bytes(wire[:-1]), bytes(wire) + b"\0", bytes(wire[:65])):
        with pytest.raises(Refused):
            check_signed(prepared, ME, broken)


def test_another_transaction_that_is_well_signed_is_refused() -> None:
    asked, given = (prepared_of(BUILD.withdraw(ME, Asset.SOL, units)) for units in (5, 6))
    wire = b"\1" + OWNER.sign(given.message) + given.message
    with pytest.raises(Refused) as caught:
        check_signed(asked, ME, wire)
    assert caught.value.code == "other_transaction"


def test_those_who_signed_before_keep_their_place() -> None:
    instruction = BUILD.open(
        ME, ME, JOB, Asset.SOL, deposit_units=1, terms_hash=bytes(32), run_s=60, payer=OTHER.address
    )
    bare = prepared_of(instruction)
    with pytest.raises(Bug):
        check_prepared([bare], ME)
    prepared = PreparedTransaction(bare.message, 9, (), 0, {OTHER.address: OTHER.sign(bare.message)})
    check_prepared([prepared], ME)
    wire = bytearray(unsigned_wire(prepared))
    assert wire[65:129] == OTHER.sign(bare.message)
    wire[1:65] = OWNER.sign(bare.message)
    assert check_signed(prepared, ME, bytes(wire)).raw == bytes(wire)
