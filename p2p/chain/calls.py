"""Calls of the escrow program, read out of the transactions that made them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import base58
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from p2p.chain.errors import chain_unexpected, chain_unreachable
from p2p.chain.instructions import Tag
from p2p.chain.rpc import number_of
from p2p.core.money import Asset

if TYPE_CHECKING:
    from p2p.chain.reads import ChainReads

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
    """An instruction of our program inside a transaction, be it another program that gave it."""

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


@dataclass(frozen=True, slots=True)
class Mention:
    """A transaction that names an address."""

    signature: str
    slot: int
    failed: bool


async def mentions_of(
    chain: ChainReads, address: str, limit: int, *, before: str = "", until: str = "", min_slot: int = 0
) -> list[Mention]:
    """The transactions at an address, newest first: those older than ``before`` and newer than ``until``.

    ``min_slot``: only from a node that knows this slot.
    """
    options: dict[str, object] = {"limit": limit, "commitment": chain.chain.commitment}
    bounds = {"before": before, "until": until, "minContextSlot": min_slot}
    reply = await chain.ask("getSignaturesForAddress", address, options | _given(bounds))
    try:
        return [
            Mention(str(row["signature"]), number_of(row["slot"]), row["err"] is not None)
            for row in reply  # type: ignore[attr-defined]
        ]
    except (KeyError, TypeError):
        raise chain_unexpected("a history that cannot be read") from None


def _given(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value}


async def signatures_of(chain: ChainReads, address: str, limit: int) -> list[tuple[str, int]]:
    """Signature and slot of the transactions at an address that succeeded, newest first."""
    found = await mentions_of(chain, address, limit)
    return [(mention.signature, mention.slot) for mention in found if not mention.failed]


def asset_of_call(chain: ChainReads, call: Call) -> Asset | None:
    """The asset that an instruction names, if it names one."""
    if call.tag not in ASSET_AT:
        return None
    key = call.keys[ASSET_AT[call.tag]]
    return next((asset for asset in Asset if chain.addresses.asset(asset) == key), None)


async def calls_in(chain: ChainReads, signature: str, *, listed: bool = False) -> list[Call]:
    """Our program's calls in a transaction, in the order in which they ran; none if there is no such one.

    ``listed``: there is, for a node has said so.

    :raises EnvironmentFailure: the chain cannot be reached, or the node that was asked lacks what is listed.
    """
    options = {
        "encoding": "base64",
        "commitment": chain.chain.commitment,
        "maxSupportedTransactionVersion": 0,
    }
    reply: Any = await chain.ask("getTransaction", signature, options)
    if reply is None:
        if listed:
            raise chain_unreachable(f"the node does not have transaction {signature[:16]} yet")
        return []
    try:
        message = VersionedTransaction.from_bytes(base64.b64decode(reply["transaction"][0])).message
        slot, time_s = number_of(reply["slot"]), reply["blockTime"]
        loaded = reply["meta"].get("loadedAddresses") or {}
        keys = list(message.account_keys)
        keys += [Pubkey.from_string(key) for kind in ("writable", "readonly") for key in loaded.get(kind, ())]
        if chain.addresses.program not in keys:
            return []
        return [
            Call(Tag(data[0]), [keys[index] for index in accounts], data, signature, slot, time_s)
            for accounts, data in _instructions(message, reply["meta"], keys.index(chain.addresses.program))
            if data and data[0] in list(Tag)
        ]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise chain_unexpected(f"transaction {signature[:16]} cannot be read") from None


def _instructions(message: Any, meta: dict[str, Any], program: int) -> Iterator[tuple[list[int], bytes]]:
    """Accounts and data of every instruction to a program; what one gave in turn follows it.

    Those to others may be many and long, and base58 takes the square of a length: they are not looked at.
    """
    inner = {part["index"]: part["instructions"] for part in meta.get("innerInstructions") or ()}
    for number, outer in enumerate(message.instructions):
        if outer.program_id_index == program:
            yield list(bytes(outer.accounts)), bytes(outer.data)
        for row in inner.get(number, ()):
            if row["programIdIndex"] == program:
                yield row["accounts"], base58.b58decode(row["data"])
