"""What the coordinator signs as fee payer, and everything that it must not sign."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import (
    request_heap_frame,
    set_compute_unit_limit,
    set_compute_unit_price,
    set_loaded_accounts_data_size_limit,
)
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account

from p2p.chain.config import ChainConfig
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.sponsored import (
    SponsoredCall,
    call_instruction,
    check_sponsored_message,
    price_max_microlamports,
)
from p2p.chain.transaction import Recent, build_message
from p2p.core.errors import Bug, Refused
from p2p.core.ids import Wallet, new_job_id
from p2p.core.limits import (
    COMPUTE_UNITS_MAX,
    PRIORITY_FEE_MAX_MICROLAMPORTS,
    SPONSORED_PRICE_LEAST_MICROLAMPORTS,
    SPONSORED_PRICE_TIMES_MAX,
)
from p2p.core.messages.sponsor import SponsoredAction
from p2p.core.money import Asset

PAYER, OWNER, SESSION, THIEF = (Signer.generate() for _ in range(4))
CONFIG = ChainConfig(
    "localnet", ("http://127.0.0.1:1",), Signer.generate().address, Signer.generate().address
)
OPEN = SponsoredCall(
    SponsoredAction.OPEN, SESSION.address, OWNER.address, new_job_id(), Asset.USDC, 500, b"\x07" * 32, 7200
)
RECENT = Recent(Hash.new_unique(), 77, 5)
PAY = to_pubkey(PAYER.address)
LIMIT = set_compute_unit_limit(COMPUTE_UNITS_MAX)
PRICE_MAX = 50_000


def agreed(call: SponsoredCall = OPEN, payer: Wallet = PAYER.address) -> Instruction:
    return call_instruction(call, CONFIG, payer)


def message_of(*instructions: Instruction, payer: Wallet = PAYER.address) -> bytes:
    return build_message(list(instructions), payer, RECENT)


def bare(*instructions: Instruction) -> bytes:
    """Without the compute budget that our own builder puts first."""
    return bytes(Message.new_with_blockhash(list(instructions), PAY, RECENT.blockhash))


def refused(message: bytes, call: SponsoredCall = OPEN) -> str:
    with pytest.raises(Refused) as error:
        check_sponsored_message(message, call, PAYER.address, CONFIG, PRICE_MAX)
    assert len(error.value.lines()) >= 2
    return error.value.code


@pytest.mark.parametrize("action", list(SponsoredAction))
@pytest.mark.parametrize("price", [0, 1, PRICE_MAX])
def test_the_one_instruction_is_signed(action: SponsoredAction, price: int) -> None:
    call = replace(OPEN, action=action)
    recent = replace(RECENT, unit_price_microlamports=price)
    message = build_message([agreed(call)], PAYER.address, recent)
    check_sponsored_message(message, call, PAYER.address, CONFIG, PRICE_MAX)


@pytest.mark.parametrize(
    "changes",
    [
        {"units": 501},
        {"units": 499},
        {"terms_hash": b"\x08" * 32},
        {"run_s": 7201},
        {"job_id": new_job_id()},
        {"owner": THIEF.address},
        {"actor": THIEF.address},
        {"asset": Asset.SOL},
        {"action": SponsoredAction.TOP_UP},
        {"action": SponsoredAction.CANCEL},
        {"action": SponsoredAction.DISPUTE},
    ],
    ids=str,
)
def test_another_call_than_described(changes: dict[str, object]) -> None:
    assert refused(message_of(agreed(replace(OPEN, **changes)))) == "sponsored_differs"  # type: ignore[arg-type]


def test_what_stands_beside_the_one_instruction() -> None:
    beside = [
        transfer_lamports(PAYER.address, THIEF.address, 1),
        transfer_lamports(SESSION.address, THIEF.address, 1),
        agreed(),
        agreed(replace(OPEN, action=SponsoredAction.CANCEL)),
        request_heap_frame(65536),
        set_loaded_accounts_data_size_limit(1000),
        LIMIT,
        advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=Pubkey.new_unique(), authorized_pubkey=PAY)
        ),
        Instruction(Pubkey.new_unique(), b"", []),
        Instruction(Pubkey.new_unique(), b"", [AccountMeta(PAY, is_signer=True, is_writable=True)]),
    ]
    for other in beside:
        assert refused(message_of(agreed(), other)) == "sponsored_differs"
        assert refused(message_of(other, agreed())) == "sponsored_differs"
        if other != agreed():
            assert refused(message_of(other)) == "sponsored_differs"
    assert refused(message_of()) == "sponsored_differs"


def test_another_payer_signer_or_place_for_the_coordinator() -> None:
    assert refused(message_of(agreed(), payer=THIEF.address)) == "sponsored_differs"
    assert refused(message_of(agreed(payer=THIEF.address))) == "sponsored_differs"
    assert refused(message_of(agreed(payer=SESSION.address))) == "sponsored_differs"
    one = agreed()
    for at, meta in enumerate(one.accounts):
        for changed in (
            AccountMeta(PAY, is_signer=True, is_writable=True),
            AccountMeta(meta.pubkey, is_signer=True, is_writable=True),
            AccountMeta(meta.pubkey, is_signer=meta.is_signer, is_writable=not meta.is_writable),
            AccountMeta(to_pubkey(THIEF.address), meta.is_signer, meta.is_writable),
        ):
            metas = [*one.accounts[:at], changed, *one.accounts[at + 1 :]]
            bent = bare(LIMIT, Instruction(one.program_id, bytes(one.data), metas))
            if bent != bare(LIMIT, one):  # the fee payer signs and is writable whatever an instruction says
                assert refused(bent) == "sponsored_differs"
    more = [*one.accounts, AccountMeta(PAY, is_signer=True, is_writable=True)]
    assert refused(message_of(Instruction(one.program_id, bytes(one.data), more))) == "sponsored_differs"
    other = Instruction(Pubkey.new_unique(), bytes(one.data), one.accounts)
    assert refused(message_of(other)) == "sponsored_differs"


def test_a_session_key_that_is_the_coordinators_own() -> None:
    """Any wallet may authorise any key: also the fee payer's."""
    for action in SponsoredAction:
        call = replace(OPEN, action=action, actor=PAYER.address)
        assert refused(message_of(agreed(call)), call) == "sponsored_differs"


def test_the_coordinators_key_in_another_place_is_a_mistake_of_ours() -> None:
    call = replace(OPEN, action=SponsoredAction.TOP_UP)
    config = replace(CONFIG, program_id=CONFIG.program_id)
    vault = call_instruction(call, config, PAYER.address).accounts[2].pubkey
    with pytest.raises(Bug):
        check_sponsored_message(
            build_message([agreed(call)], Wallet(str(vault)), RECENT),
            call,
            Wallet(str(vault)),
            config,
            PRICE_MAX,
        )


@pytest.mark.parametrize(
    "budget",
    [
        [],
        [set_compute_unit_price(1)],
        [set_compute_unit_price(1), LIMIT],
        [LIMIT, LIMIT],
        [LIMIT, set_compute_unit_price(1), set_compute_unit_price(1)],
        [set_compute_unit_limit(COMPUTE_UNITS_MAX + 1)],
        [set_compute_unit_limit(1_400_000), set_compute_unit_price(1)],
        [LIMIT, set_compute_unit_price(PRICE_MAX + 1)],
        [LIMIT, set_compute_unit_price(2**64 - 1)],
    ],
    ids=range(9),
)
def test_a_compute_budget_that_costs_more_or_is_odd(budget: list[Instruction]) -> None:
    assert refused(bare(*budget, agreed())) == "sponsored_differs"


def test_a_compute_budget_after_the_instruction_or_in_disguise() -> None:
    assert refused(bare(agreed(), LIMIT)) == "sponsored_differs"
    disguised = Instruction(LIMIT.program_id, bytes(LIMIT.data), [AccountMeta(PAY, True, True)])
    assert refused(bare(disguised, agreed())) == "sponsored_differs"
    longer = Instruction(LIMIT.program_id, bytes(LIMIT.data) + b"\0", [])
    assert refused(bare(longer, agreed())) == "sponsored_differs"


def test_messages_of_another_kind() -> None:
    versioned = MessageV0.try_compile(PAY, [LIMIT, agreed()], [], RECENT.blockhash)
    assert refused(to_bytes_versioned(versioned)) == "bad_message"
    table = AddressLookupTableAccount(Pubkey.new_unique(), [meta.pubkey for meta in agreed().accounts[2:]])
    hidden = MessageV0.try_compile(PAY, [LIMIT, agreed()], [table], RECENT.blockhash)
    assert hidden.address_table_lookups
    assert refused(to_bytes_versioned(hidden)) == "bad_message"
    good = message_of(agreed())
    for bad in (b"", good[:-1], good + b"\0", bytes(1300)):
        assert refused(bad) == "bad_message"


def test_accounts_that_no_instruction_uses() -> None:
    message = Message.from_bytes(message_of(agreed()))
    bent = Message.new_with_compiled_instructions(
        message.header.num_required_signatures,
        message.header.num_readonly_signed_accounts,
        message.header.num_readonly_unsigned_accounts + 1,
        [*message.account_keys, Pubkey.new_unique()],
        message.recent_blockhash,
        message.instructions,
    )
    assert refused(bytes(bent)) == "sponsored_differs"


@given(st.data())
def test_no_changed_byte_is_signed(data: st.DataObject) -> None:
    """But those of the blockhash, and of the budget within its caps."""
    good = message_of(agreed())
    at = data.draw(st.integers(0, len(good) - 1))
    bent = bytearray(good)
    bent[at] ^= data.draw(st.integers(1, 255))
    try:
        check_sponsored_message(bytes(bent), OPEN, PAYER.address, CONFIG, PRICE_MAX)
    except Refused:
        return
    before, after = Message.from_bytes(good), Message.from_bytes(bytes(bent))
    assert before.account_keys == after.account_keys
    assert before.header == after.header
    assert bytes(before.instructions[-1].data) == bytes(after.instructions[-1].data)


@pytest.mark.parametrize(
    ("own", "most"),
    [
        (0, SPONSORED_PRICE_LEAST_MICROLAMPORTS),
        (
            SPONSORED_PRICE_LEAST_MICROLAMPORTS,
            SPONSORED_PRICE_TIMES_MAX * SPONSORED_PRICE_LEAST_MICROLAMPORTS,
        ),
        (PRIORITY_FEE_MAX_MICROLAMPORTS, PRIORITY_FEE_MAX_MICROLAMPORTS),
    ],
)
def test_a_buyer_cannot_choose_a_price_far_above_our_own(own: int, most: int) -> None:
    assert price_max_microlamports(own) == most
