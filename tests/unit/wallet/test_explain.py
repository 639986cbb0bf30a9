"""The words of a transaction are read from its bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from p2p.chain import loader
from p2p.chain.addresses import LOADER, SYSTEM_PROGRAM, Addresses
from p2p.chain.browser.checks import check_prepared, check_signed, unsigned_wire
from p2p.chain.browser.explain import Explainer, fee_lamports, plain_amount
from p2p.chain.browser.request import PreparedTransaction
from p2p.chain.instructions import (
    Builder,
    Role,
    Settings,
    Tag,
    create_token_account,
    readonly,
    transfer_lamports,
)
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.transaction import Recent, build_message
from p2p.core.errors import Bug, Refused
from p2p.core.ids import JobId, new_job_id
from p2p.core.limits import (
    COMPUTE_UNITS_MAX,
    COMPUTE_UNITS_MORE,
    COMPUTE_UNITS_SPREAD,
    PRIORITY_FEE_MAX_MICROLAMPORTS,
)
from p2p.core.money import Asset

AT = Addresses(Pubkey.new_unique(), Pubkey.new_unique())
BUILD = Builder(AT)
OWNER, OTHER = Signer.generate(), Signer.generate()
ME = OWNER.address
JOB: JobId = new_job_id()
ACCOUNTS = [readonly(Pubkey.new_unique()) for _ in range(8)]


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
        "Claim payment": BUILD.claim(ME, ME, JOB, 5, bytes(32)),
        "own token account": create_token_account(mint, mint, mint),
        "does not know what this does": Instruction(Pubkey.new_unique(), b"x", []),
    }
    for expected, instruction in cases.items():
        assert expected in words(instruction)


def test_the_words_of_operators() -> None:
    settings = Settings(OTHER.address, 250, 86400, 1_209_600)
    writer, buffer = to_pubkey(Signer.generate().address), Pubkey.new_unique()
    me, other = to_pubkey(ME), to_pubkey(OTHER.address)
    init = BUILD.init_config(ME, ME, OTHER.address, Signer.generate().address, settings)
    cases = {
        f"('Coordinator', '{OTHER.address}'), ('Arbiter'": init,
        "('Fee', '2.5 %'), ('Review window', '1 d'), ('Longest job', '14 d')": init,
        "('Deposits and new jobs', 'open')": BUILD.set_config(ME, settings),
        "Withdraw the proposal of a new coordinator": BUILD.propose_authority(ME, Role.COORDINATOR, None),
        f"Take over the office of the arbiter of the escrow program: only this wallet has it then. "
        f"(('New arbiter', '{ME}'),)": BUILD.accept_authority(ME, Role.ARBITER),
        "Let the escrow program take USDC": BUILD.add_asset(ME, Asset.USDC),
        "Stop deposits and new jobs in SOL. Withdrawals go on.": BUILD.disable_asset(ME, Asset.SOL),
        f"Replace the code of the escrow program, and with it every rule, by what is in the buffer. "
        f"(('Program', '{AT.program}'), ('Buffer', '{buffer}'))": loader.upgrade(
            me, AT.program_data, AT.program, buffer
        ),
        "Deploy the escrow program from the buffer.": loader.deploy(
            me, AT.program_data, AT.program, buffer, 9
        ),
        f"Hand over a buffer that holds a program. (('Buffer', '{buffer}')": loader.set_authority(
            buffer, writer, me
        ),
        f"Only that key has it then. (('New holder', '{OTHER.address}'),)": loader.set_authority(
            AT.program_data, me, other
        ),
        "nobody can mend it any more": loader.set_authority(AT.program_data, me, None),
        "of rent for an account": loader.create(me, buffer, 36),
        "Have 0.3 SOL back from another account.": transfer_lamports(OTHER.address, ME, 300_000_000),
    }
    for expected, instruction in cases.items():
        assert expected in words(instruction)


def test_every_instruction_of_the_program_has_words_of_its_own() -> None:
    shown = {words(Instruction(AT.program, bytes([tag]) + bytes(200), ACCOUNTS)) for tag in Tag}
    assert len(shown) == len(Tag)
    assert not [text for text in shown if "does not know" in text]


@pytest.mark.parametrize(
    "strange",
    [
        Instruction(AT.program, b"", []),
        Instruction(AT.program, bytes([200]) + bytes(40), []),
        Instruction(AT.program, bytes([Tag.SET_CONFIG]), []),
        Instruction(AT.program, bytes([Tag.PROPOSE_AUTHORITY, 9]) + bytes(32), []),
        Instruction(LOADER, b"", []),
        loader.close_buffer(AT.program_data, AT.config, AT.config),
        loader.upgrade(AT.config, AT.program_data, Pubkey.new_unique(), AT.config),
        Instruction(SYSTEM_PROGRAM, struct.pack("<IQ", 1, 5), ACCOUNTS),
    ],
)
def test_what_is_not_known_is_warned_about(strange: Instruction) -> None:
    (step,) = Explainer(AT).steps(message_of(strange))
    assert step.warning
    assert "Do not sign it" in step.text


def test_the_program_in_other_hands_is_warned_about() -> None:
    for successor in (to_pubkey(OTHER.address), None):
        message = message_of(loader.set_authority(AT.program_data, to_pubkey(ME), successor))
        (step,) = Explainer(AT).steps(message)
        assert step.warning


def test_every_instruction_is_one_step_and_the_fee_is_none() -> None:
    message = message_of(*[BUILD.deposit(ME, Asset.SOL, 5)] * 3, price=PRIORITY_FEE_MAX_MICROLAMPORTS)
    assert len(Explainer(AT).steps(message)) == 3
    units = fee_lamports(message) - 5000  # a lamport each
    assert 0 <= COMPUTE_UNITS_MAX + 2 * COMPUTE_UNITS_MORE - units < COMPUTE_UNITS_SPREAD
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
