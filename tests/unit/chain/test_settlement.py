"""What the buyer's side signs, and everything that it must not sign."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.compute_budget import request_heap_frame, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, to_bytes_versioned

from p2p.chain.config import ChainConfig
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.settlement import SettleTerms, check_settle_message, settle_instruction
from p2p.chain.transaction import Recent, assemble, build_message, sign_message
from p2p.core.errors import Bug, Refused
from p2p.core.ids import new_job_id
from p2p.core.money import Asset

COORDINATOR, OWNER, SESSION, THIEF = (Signer.generate() for _ in range(4))
CONFIG = ChainConfig(
    "localnet", ("http://127.0.0.1:1",), Signer.generate().address, Signer.generate().address
)
TERMS = SettleTerms(
    coordinator=COORDINATOR.address,
    actor=SESSION.address,
    owner=OWNER.address,
    job_id=new_job_id(),
    asset=Asset.USDC,
    node=Signer.generate().address,
    fee_owner=Signer.generate().address,
    used_units=12345,
    result_hash=b"\x07" * 32,
)
RECENT = Recent(Hash.new_unique(), 77, 5)


def message_of(*instructions: Instruction, payer: str = COORDINATOR.address) -> bytes:
    return build_message(list(instructions), type(TERMS.owner)(payer), RECENT)


def refused(message: bytes, terms: SettleTerms = TERMS) -> str:
    with pytest.raises(Refused) as error:
        check_settle_message(message, terms, CONFIG)
    return error.value.code


@pytest.mark.parametrize("actor", [SESSION, OWNER])
def test_the_agreed_settlement_is_signed_by_both_and_assembled(actor: Signer) -> None:
    terms = replace(TERMS, actor=actor.address)
    message = message_of(settle_instruction(terms, CONFIG))
    check_settle_message(message, terms, CONFIG)
    signatures = {
        COORDINATOR.address: sign_message(message, COORDINATOR),
        actor.address: sign_message(message, actor),
    }
    transaction = assemble(message, signatures, 77)
    assert transaction.last_valid_height == 77
    assert transaction.raw.endswith(message)
    for missing in signatures:
        with pytest.raises(Refused):
            assemble(message, {k: v for k, v in signatures.items() if k != missing}, 77)
        with pytest.raises(Refused):
            assemble(message, {**signatures, missing: bytes(64)}, 77)


@pytest.mark.parametrize(
    "changes",
    [
        {"used_units": 12346},
        {"used_units": 12344},
        {"result_hash": b"\x08" * 32},
        {"job_id": new_job_id()},
        {"owner": THIEF.address},
        {"node": THIEF.address},
        {"fee_owner": THIEF.address},
        {"asset": Asset.SOL},
        {"actor": THIEF.address},
        {"actor": OWNER.address},
        {"coordinator": THIEF.address},
    ],
)
def test_any_other_term_is_refused(changes: dict[str, object]) -> None:
    other = replace(TERMS, **changes)  # type: ignore[arg-type]
    message = message_of(settle_instruction(other, CONFIG), payer=other.coordinator)
    check_settle_message(message, other, CONFIG)
    assert refused(message) == "settle_differs"


def test_nothing_is_added() -> None:
    settle = settle_instruction(TERMS, CONFIG)
    theft = transfer_lamports(SESSION.address, COORDINATOR.address, 5)
    foreign = Instruction(to_pubkey(THIEF.address), b"", [])
    for instructions in (
        [settle, theft],
        [theft, settle],
        [settle, settle],
        [theft],
        [],
        [settle, foreign],
        [settle, request_heap_frame(64 * 1024)],
    ):
        assert refused(message_of(*instructions)) == "settle_differs"
    check_settle_message(message_of(settle, set_compute_unit_price(7)), TERMS, CONFIG)


def test_only_the_coordinator_pays() -> None:
    settle = settle_instruction(TERMS, CONFIG)
    assert refused(message_of(settle, payer=SESSION.address)) == "settle_differs"
    assert refused(message_of(settle, payer=THIEF.address)) == "settle_differs"


def test_another_program_with_the_same_data_is_refused() -> None:
    settle = settle_instruction(TERMS, CONFIG)
    other = Instruction(to_pubkey(THIEF.address), bytes(settle.data), list(settle.accounts))
    assert refused(message_of(other)) == "settle_differs"


def test_a_third_signature_is_refused() -> None:
    settle = settle_instruction(TERMS, CONFIG)
    metas = [*settle.accounts, AccountMeta(to_pubkey(THIEF.address), True, False)]
    wider = Instruction(settle.program_id, bytes(settle.data), metas)
    assert refused(message_of(wider)) == "settle_differs"


def test_versioned_messages_are_refused() -> None:
    """They can load accounts from tables, which the check could not see."""
    settle = settle_instruction(TERMS, CONFIG)
    message = MessageV0.try_compile(to_pubkey(COORDINATOR.address), [settle], [], RECENT.blockhash)
    assert refused(to_bytes_versioned(message)) == "bad_message"


def test_only_named_signers_sign() -> None:
    message = message_of(settle_instruction(TERMS, CONFIG))
    with pytest.raises(Bug):
        sign_message(message, THIEF)


GOOD = message_of(settle_instruction(TERMS, CONFIG))
HASH_AT = bytes(GOOD).index(bytes(RECENT.blockhash))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_passes_except_in_the_blockhash_and_budget(at: int, mask: int) -> None:
    changed = bytearray(GOOD)
    changed[at] ^= mask
    try:
        check_settle_message(bytes(changed), TERMS, CONFIG)
    except Refused:
        return
    parsed, good = Message.from_bytes(bytes(changed)), Message.from_bytes(GOOD)
    settles = [ix for ix in parsed.instructions if len(bytes(ix.data)) == 41]
    assert [bytes(ix.data) for ix in settles] == [bytes(good.instructions[2].data)]
    in_hash = HASH_AT <= at < HASH_AT + 32
    budget = [bytes(ix.data) for ix in parsed.instructions] != [bytes(ix.data) for ix in good.instructions]
    flags = at < 3  # which accounts are writable: the program decides what it writes
    assert in_hash or budget or flags, at


@given(st.binary(max_size=400))
def test_nonsense_is_refused(message: bytes) -> None:
    assert refused(message) in ("bad_message", "settle_differs")


@given(st.integers(0, len(GOOD)))
def test_cut_messages_are_refused(length: int) -> None:
    if length < len(GOOD):
        assert refused(GOOD[:length]) == "bad_message"
    assert refused(GOOD + bytes(max(1, length))) == "bad_message"
