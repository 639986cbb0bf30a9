"""A settlement signed by two: the coordinator makes the message, the buyer's side checks and signs it.

Checking is by construction: the one instruction that was agreed is built anew and must be the one in
the message, byte for byte, with nobody else's account and nobody else's signature.
"""

from __future__ import annotations

from dataclasses import dataclass

from solders.instruction import CompiledInstruction, Instruction
from solders.message import Message

from p2p.chain.addresses import Addresses
from p2p.chain.config import ChainConfig
from p2p.chain.errors import SettleDiffers
from p2p.chain.instructions import Builder
from p2p.chain.transaction import is_budget, parse_message, required_signers
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset


@dataclass(frozen=True, slots=True)
class SettleTerms:
    """Everything that a settlement says. ``actor``: the owner, or the session key that signs for them."""

    coordinator: Wallet
    actor: Wallet
    owner: Wallet
    job_id: JobId
    asset: Asset
    node: Wallet
    fee_owner: Wallet
    used_units: int
    result_hash: bytes


@dataclass(frozen=True, slots=True)
class SettleMessage:
    """A message to be signed by coordinator and actor, and until when it can land."""

    message: bytes
    last_valid_height: int


def check_settle_message(message: bytes, expected: SettleTerms, config: ChainConfig) -> None:
    """Refuse anything but the agreed settlement, paid for by the coordinator.

    :raises Refused: a part differs; nothing may be signed then.
    """
    parsed = parse_message(message)
    if required_signers(parsed)[:1] != [expected.coordinator]:
        raise SettleDiffers("the coordinator is not the one who pays the fee")
    if set(required_signers(parsed)) != {expected.coordinator, expected.actor}:
        raise SettleDiffers("it asks for other signatures")
    others = [ix for ix in parsed.instructions if not is_budget(parsed, ix)]
    if len(others) != 1:
        raise SettleDiffers("it holds other instructions")
    _check_instruction(parsed, others[0], expected, config)


def _check_instruction(
    message: Message, instruction: CompiledInstruction, expected: SettleTerms, config: ChainConfig
) -> None:
    agreed = settle_instruction(expected, config)
    keys = message.account_keys
    if keys[instruction.program_id_index] != agreed.program_id:
        raise SettleDiffers("it calls another program")
    if [keys[index] for index in bytes(instruction.accounts)] != [meta.pubkey for meta in agreed.accounts]:
        raise SettleDiffers("it names other accounts")
    if bytes(instruction.data) != bytes(agreed.data):
        raise SettleDiffers("the amount used or the result differs")


def settle_instruction(terms: SettleTerms, config: ChainConfig) -> Instruction:
    """The one instruction that these terms make."""
    return Builder(Addresses.of(config)).settle(
        terms.coordinator,
        terms.actor,
        terms.owner,
        terms.job_id,
        terms.asset,
        node=terms.node,
        fee_owner=terms.fee_owner,
        used_units=terms.used_units,
        result_hash=terms.result_hash,
    )
