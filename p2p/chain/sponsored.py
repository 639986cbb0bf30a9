"""A session key's transaction whose fees the coordinator pays: one instruction, described by both sides.

The engine builds the message from its description; the coordinator builds it again from its own, and signs
only what is the same byte for byte. Of the message it takes over two things: the blockhash, and the compute
budget within our own caps.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from solders.instruction import Instruction
from solders.message import Message

from p2p.chain.addresses import COMPUTE_BUDGET, Addresses
from p2p.chain.config import ChainConfig
from p2p.chain.instructions import Builder
from p2p.chain.keys import to_pubkey
from p2p.chain.transaction import UNIT_LIMIT, UNIT_PRICE, is_budget, parse_message, required_signers
from p2p.core.errors import Bug, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import (
    COMPUTE_UNITS_MAX,
    PRIORITY_FEE_MAX_MICROLAMPORTS,
    SPONSORED_PRICE_LEAST_MICROLAMPORTS,
    SPONSORED_PRICE_TIMES_MAX,
)
from p2p.core.messages.sponsor import SponsoredAction
from p2p.core.money import Asset


@dataclass(frozen=True, slots=True)
class SponsoredCall:
    """Everything that the one instruction says. ``actor``: the owner's session key. ``units``: of an Open the
    deposit, of a TopUp what is added; ``terms_hash`` and ``run_s`` belong to an Open."""

    action: SponsoredAction
    actor: Wallet
    owner: Wallet
    job_id: JobId
    asset: Asset
    units: int = 0
    terms_hash: bytes = b""
    run_s: int = 0


def call_instruction(call: SponsoredCall, config: ChainConfig, payer: Wallet) -> Instruction:
    """``payer`` pays the rent of the account that an Open makes, and gets it back by Close."""
    build = Builder(Addresses.of(config))
    actor, owner, job_id = call.actor, call.owner, call.job_id
    if call.action is SponsoredAction.OPEN:
        return build.open(
            actor,
            owner,
            job_id,
            call.asset,
            deposit_units=call.units,
            terms_hash=call.terms_hash,
            run_s=call.run_s,
            payer=payer,
        )
    if call.action is SponsoredAction.TOP_UP:
        return build.top_up(actor, owner, job_id, call.asset, call.units)
    if call.action is SponsoredAction.CANCEL:
        return build.cancel(actor, owner, job_id, call.asset)
    return build.dispute(actor, owner, job_id)


def price_max_microlamports(own_price: int) -> int:
    """The dearest compute unit that is paid for, while ``own_price`` is what the payer would offer itself.

    The two may ask different nodes at different moments, so the other side's price may be some times ours.
    """
    fair = max(SPONSORED_PRICE_LEAST_MICROLAMPORTS, SPONSORED_PRICE_TIMES_MAX * own_price)
    return min(fair, PRIORITY_FEE_MAX_MICROLAMPORTS)


def check_sponsored_message(
    message: bytes, expected: SponsoredCall, payer: Wallet, config: ChainConfig, price_max: int
) -> None:
    """Refuse anything but the one instruction, paid for by ``payer`` and signed by the session key beside it.

    ``price_max``: see :func:`price_max_microlamports`.

    :raises Refused: ``sponsored_differs`` or ``bad_message``; nothing may be signed then.
    """
    parsed = parse_message(message)
    if required_signers(parsed) != [payer, expected.actor]:
        raise _differs("it has other signers or another fee payer")
    agreed = call_instruction(expected, config, payer)
    _check_role(agreed, expected.action, payer)
    budget = _budget(parsed, price_max)
    same = Message.new_with_blockhash([*budget, agreed], to_pubkey(payer), parsed.recent_blockhash)
    if bytes(same) != message:
        raise _differs("it holds something else than the one instruction that was described")


def _check_role(agreed: Instruction, action: SponsoredAction, payer: Wallet) -> None:
    """The payer's key is in the instruction as an Open's rent payer, or not at all."""
    places = [at for at, meta in enumerate(agreed.accounts) if meta.pubkey == to_pubkey(payer)]
    if places != ([1] if action is SponsoredAction.OPEN else []):
        raise Bug(f"the fee payer stands in the places {places} of {action.value}")


def _budget(parsed: Message, price_max: int) -> list[Instruction]:
    """What the message asks for as its compute budget: a limit, and perhaps a price, each once and capped."""
    found = [bytes(ix.data) for ix in parsed.instructions if is_budget(parsed, ix)]
    kinds = [data[0] for data in found]
    if kinds not in ([UNIT_LIMIT], [UNIT_LIMIT, UNIT_PRICE]):
        raise _differs("its compute budget is not a limit and a price")
    limit = struct.unpack_from("<I", found[0], 1)[0]
    price = struct.unpack_from("<Q", found[1], 1)[0] if len(found) > 1 else 0
    if limit > COMPUTE_UNITS_MAX or price > price_max:
        raise _differs("its priority fee is too high")
    return [Instruction(COMPUTE_BUDGET, data, []) for data in found]


def _differs(what: str) -> Refused:
    return Refused(
        "sponsored_differs",
        f"The coordinator does not pay for this transaction: {what}.",
        "It was not signed, and nothing moved.",
        "Update CyxWiz, or pay with SOL of your own: `cyxwiz login` fills the session key up.",
    )
