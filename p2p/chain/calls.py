"""Calls of the escrow program, read out of the transactions that made them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from p2p.chain.errors import chain_unexpected
from p2p.chain.instructions import Tag

if TYPE_CHECKING:
    from p2p.chain.sending import ChainSending

JOB_AT = {
    Tag.OPEN: 5,
    Tag.TOP_UP: 4,
    Tag.ASSIGN: 1,
    Tag.CANCEL: 1,
    Tag.SETTLE: 2,
    Tag.CLAIM: 1,
    Tag.DISPUTE: 1,
    Tag.RESOLVE: 1,
    Tag.FINALIZE: 0,
    Tag.REFUND: 1,
    Tag.RECLAIM: 0,
    Tag.CLOSE: 0,
}
"""Which account of an instruction is the job. In payments and returns the balances follow it."""

ASSET_AT = {Tag.DEPOSIT: 2, Tag.WITHDRAW: 1, Tag.AUTHORIZE: 2, Tag.OPEN: 3, Tag.TOP_UP: 2}
PAYMENTS = (Tag.SETTLE, Tag.RESOLVE, Tag.FINALIZE)
RETURNS = (Tag.CANCEL, Tag.REFUND, Tag.RECLAIM)


@dataclass(frozen=True, slots=True)
class Call:
    """An instruction of our program inside a transaction."""

    tag: Tag
    keys: list[Pubkey]
    data: bytes
    signature: str
    slot: int
    time_s: int | None

    @property
    def job(self) -> Pubkey | None:
        """The address of the job that it is about."""
        return self.keys[JOB_AT[self.tag]] if self.tag in JOB_AT else None


async def signatures_of(chain: ChainSending, address: str, limit: int) -> list[tuple[str, int]]:
    """Signature and slot of the transactions at an address that succeeded, newest first."""
    options = {"limit": limit, "commitment": chain.chain.commitment}
    reply = await chain.ask("getSignaturesForAddress", address, options)
    try:
        return [(str(row["signature"]), int(row["slot"])) for row in reply if row["err"] is None]  # type: ignore[attr-defined]
    except (KeyError, TypeError, ValueError):
        raise chain_unexpected("a history that cannot be read") from None


async def calls_in(chain: ChainSending, signature: str) -> list[Call]:
    """Our program's calls in a transaction, in their order."""
    options = {
        "encoding": "base64",
        "commitment": chain.chain.commitment,
        "maxSupportedTransactionVersion": 0,
    }
    reply = await chain.ask("getTransaction", signature, options)
    if reply is None:
        return []
    try:
        raw = base64.b64decode(reply["transaction"][0])  # type: ignore[index]
        slot, time_s = int(reply["slot"]), reply["blockTime"]  # type: ignore[index]
        message = VersionedTransaction.from_bytes(raw).message
    except (KeyError, TypeError, ValueError, IndexError):
        raise chain_unexpected(f"transaction {signature[:16]} cannot be read") from None
    return [Call(tag, keys, data, signature, slot, time_s) for tag, keys, data in _ours(chain, message)]


def _ours(chain: ChainSending, message: object) -> list[tuple[Tag, list[Pubkey], bytes]]:
    """Calls of our program. Versioned messages with lookup tables are none of our making."""
    if not isinstance(message, Message):
        return []
    keys = message.account_keys
    calls = []
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if keys[instruction.program_id_index] == chain.addresses.program and data and data[0] in list(Tag):
            calls.append((Tag(data[0]), [keys[index] for index in bytes(instruction.accounts)], data))
    return calls
