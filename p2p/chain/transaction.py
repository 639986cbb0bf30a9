"""Transactions as bytes: made, signed, taken apart. No network here."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import CompiledInstruction, Instruction
from solders.message import Message
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from p2p.chain.addresses import COMPUTE_BUDGET
from p2p.chain.keys import SIGNATURE_BYTES, Signer, to_pubkey, to_wallet, verify
from p2p.core.errors import Bug, Refused
from p2p.core.ids import Wallet
from p2p.core.limits import (
    COMPUTE_UNITS_MAX,
    COMPUTE_UNITS_MORE,
    COMPUTE_UNITS_SPREAD,
    PRIORITY_FEE_MAX_MICROLAMPORTS,
    TRANSACTION_MAX_BYTES,
)

UNIT_LIMIT, UNIT_PRICE = 2, 3
"""The first byte of a compute budget instruction that sets the one or the other."""
_BUDGET_BYTES = {UNIT_LIMIT: 5, UNIT_PRICE: 9}

_numbers = itertools.count(secrets.randbelow(COMPUTE_UNITS_SPREAD))
"""One for each message of this process, from a start that other processes do not share."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """Store all three before sending. The same bytes may be sent any number of times: they land once.

    ``last_valid_height``: the last block height at which the bytes can still land.
    """

    raw: bytes
    signature: str
    last_valid_height: int


class OutcomeKind(Enum):
    """What became of a signed transaction."""

    PENDING = "pending"  # may still land: wait, re-send the same bytes
    CONFIRMED = "confirmed"
    FAILED = "failed"  # it landed, was refused, and cost its fee
    EXPIRED = "expired"  # can never land: only now may the action be signed anew


@dataclass(frozen=True, slots=True)
class Outcome:
    """``code`` and ``error`` of a failure: the program's number, where it gave one, and its word."""

    kind: OutcomeKind
    code: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Recent:
    """A blockhash, and the last height at which a transaction that names it can land."""

    blockhash: Hash
    last_valid_height: int
    unit_price_microlamports: int = 0


def build_message(instructions: Sequence[Instruction], payer: Wallet, recent: Recent) -> bytes:
    """The bytes that are signed: the compute budget, then the instructions.

    Never the same bytes twice, though the same be asked of it with one blockhash: to the chain two equal
    transactions are one, and two equal deposits would move the money once. What differs is the unit limit.

    :raises Bug: too large for a transaction.
    """
    price = min(recent.unit_price_microlamports, PRIORITY_FEE_MAX_MICROLAMPORTS)
    units = COMPUTE_UNITS_MAX + COMPUTE_UNITS_MORE * (len(instructions) - 1)
    units -= next(_numbers) % COMPUTE_UNITS_SPREAD
    budget = [set_compute_unit_limit(units)]
    if price:
        budget.append(set_compute_unit_price(price))
    message = Message.new_with_blockhash([*budget, *instructions], to_pubkey(payer), recent.blockhash)
    raw = bytes(message)
    if len(raw) + 1 + SIGNATURE_BYTES * message.header.num_required_signatures > TRANSACTION_MAX_BYTES:
        raise Bug(f"a transaction of {len(instructions)} instructions is too large")
    return raw


def parse_message(message: bytes) -> Message:
    """Read a (legacy) message, in its one canonical form.

    :raises Refused: it is not one.
    """
    try:
        parsed = Message.from_bytes(message) if len(message) <= TRANSACTION_MAX_BYTES else None
    except ValueError:
        parsed = None
    if parsed is None or not _is_sound(parsed) or bytes(parsed) != message:
        raise Refused("bad_message", "This is not a transaction message.", "Nothing was signed.")
    return parsed


def _is_sound(message: Message) -> bool:
    """Whether every index in a parsed message points at one of its accounts."""
    count = len(message.account_keys)
    used = [index for ix in message.instructions for index in (ix.program_id_index, *bytes(ix.accounts))]
    return 0 < message.header.num_required_signatures <= count and all(index < count for index in used)


def is_budget(message: Message, instruction: CompiledInstruction) -> bool:
    """Whether it only sets the unit limit or price, which the fee payer pays."""
    if message.account_keys[instruction.program_id_index] != COMPUTE_BUDGET:
        return False
    data = bytes(instruction.data)
    return bool(data) and _BUDGET_BYTES.get(data[0]) == len(data) and not bytes(instruction.accounts)


def required_signers(message: Message) -> list[Wallet]:
    """Who must sign, in the order of the signatures; the first pays the fee."""
    return [to_wallet(key) for key in message.account_keys[: message.header.num_required_signatures]]


def sign_message(message: bytes, signer: Signer) -> bytes:
    """``signer``'s signature. Check the message first: a signature is consent to all of it.

    :raises Bug: the message does not ask for this signer.
    """
    if signer.address not in required_signers(parse_message(message)):
        raise Bug(f"{signer.address} is not a signer of this message")
    return signer.sign(message)


def signature_text(signature: bytes) -> str:
    """A signature as it names its transaction."""
    return str(Signature.from_bytes(signature))


def assemble(message: bytes, signatures: Mapping[Wallet, bytes], last_valid_height: int) -> SignedTransaction:
    """Put a message and all its signatures together.

    :raises Refused: a signature is missing or does not fit.
    """
    parsed = parse_message(message)
    ordered = []
    for wallet in required_signers(parsed):
        signature = signatures.get(wallet)
        if signature is None or not verify(wallet, message, signature):
            raise Refused(
                "bad_signature", f"The signature of {wallet} is missing or wrong.", "Nothing was sent."
            )
        ordered.append(Signature.from_bytes(signature))
    raw = bytes(VersionedTransaction.populate(parsed, ordered))
    return SignedTransaction(raw, str(ordered[0]), last_valid_height)


def sign_all(
    instructions: Sequence[Instruction], payer: Signer, signers: Iterable[Signer], recent: Recent
) -> SignedTransaction:
    """Build and sign a transaction whose signers are all at hand."""
    message = build_message(instructions, payer.address, recent)
    by_wallet = {signer.address: signer for signer in (payer, *signers)}
    needed = required_signers(parse_message(message))
    signatures = {wallet: by_wallet[wallet].sign(message) for wallet in needed if wallet in by_wallet}
    return assemble(message, signatures, recent.last_valid_height)


def signature_of(raw: bytes) -> str:
    """By which a signed transaction is known.

    :raises Bug: the bytes are none.
    """
    try:
        signature = VersionedTransaction.from_bytes(raw).signatures[0]
    except (ValueError, IndexError):
        raise Bug("broadcast of bytes that are no transaction") from None
    if signature == Signature.default():
        raise Bug("broadcast of a transaction that is not signed")
    return str(signature)
