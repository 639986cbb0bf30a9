"""A wallet's escrow transactions, read back from the chain."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from p2p.chain import accounts
from p2p.chain.accounts import OnChainJob
from p2p.chain.errors import chain_unexpected
from p2p.chain.instructions import Tag
from p2p.chain.keys import to_pubkey
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset, split

if TYPE_CHECKING:
    from p2p.chain.sending import ChainSending

_JOB_AT = {
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
"""Which account of an instruction is the job."""

_ASSET_AT = {Tag.DEPOSIT: 2, Tag.WITHDRAW: 1, Tag.AUTHORIZE: 2}
_PAYMENTS = (Tag.SETTLE, Tag.RESOLVE, Tag.FINALIZE)
_RETURNS = (Tag.CANCEL, Tag.REFUND, Tag.RECLAIM)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One escrow instruction that concerned a wallet.

    ``kind``: the instruction in lower case: ``deposit``, ``withdraw``, ``authorize``, ``open``,
    ``settle``, ``refund``… ``units``: what it moved for this wallet, never negative: into or out of the
    escrow for deposits and withdrawals, out of the balance for ``open`` and ``top_up``, into it for
    everything that ends a job.
    """

    kind: str
    units: int
    asset: Asset | None
    signature: str
    time_s: int | None
    job_id: JobId | None


@dataclass(frozen=True, slots=True)
class _Call:
    """An instruction of our program inside a transaction."""

    tag: Tag
    keys: list[Pubkey]
    data: bytes
    signature: str
    slot: int
    time_s: int | None


async def read_history(chain: ChainSending, wallet: Wallet, limit: int) -> list[HistoryEntry]:
    """Newest slot first; the order within one slot is not defined.

    :raises EnvironmentFailure: the chain cannot be reached, or answers nonsense.
    """
    places = [str(to_pubkey(wallet)), *(str(chain.addresses.balance(wallet, asset)) for asset in Asset)]
    found: dict[str, tuple[int, int]] = {}
    for place in places:
        options = {"limit": limit, "commitment": chain.chain.commitment}
        for order, row in enumerate(_rows(await chain.ask("getSignaturesForAddress", place, options))):
            found.setdefault(row[0], (row[1], -order))
    newest = sorted(found, key=lambda signature: found[signature], reverse=True)[:limit]
    calls = [call for signature in newest for call in reversed(await _calls(chain, signature))]
    jobs = await _jobs(chain, calls)
    entries = (_entry(chain, wallet, call, jobs) for call in calls)
    return [entry for entry in entries if entry is not None]


def _rows(reply: object) -> list[tuple[str, int]]:
    """Signature and slot of the transactions that succeeded."""
    try:
        return [(str(row["signature"]), int(row["slot"])) for row in reply if row["err"] is None]  # type: ignore[attr-defined]
    except (KeyError, TypeError, ValueError):
        raise chain_unexpected("a history that cannot be read") from None


async def _calls(chain: ChainSending, signature: str) -> list[_Call]:
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
    return [_Call(tag, keys, data, signature, slot, time_s) for tag, keys, data in _ours(chain, message)]


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


async def _jobs(chain: ChainSending, calls: list[_Call]) -> dict[Pubkey, OnChainJob]:
    jobs = {}
    for key in {call.keys[_JOB_AT[call.tag]] for call in calls if call.tag in _JOB_AT}:
        data = await chain.program_account(key)
        if data is not None and not accounts.is_closed_job(data):
            jobs[key] = accounts.decode_job(data)
    return jobs


def _entry(
    chain: ChainSending, wallet: Wallet, call: _Call, jobs: dict[Pubkey, OnChainJob]
) -> HistoryEntry | None:
    job = jobs.get(call.keys[_JOB_AT[call.tag]]) if call.tag in _JOB_AT else None
    asset = None
    if job is not None:
        asset = chain.addresses.asset_of(to_pubkey(job.mint))
    elif call.tag in _ASSET_AT:
        key = call.keys[_ASSET_AT[call.tag]]
        asset = next((each for each in Asset if chain.addresses.asset(each) == key), None)
    job_id = job.job_id if job is not None else None
    if call.tag is Tag.OPEN:
        job_id = JobId(call.data[1:17].hex())
    units = _units(wallet, call, job)
    return HistoryEntry(call.tag.name.lower(), units, asset, call.signature, call.time_s, job_id)


def _units(wallet: Wallet, call: _Call, job: OnChainJob | None) -> int:
    if call.tag in (Tag.DEPOSIT, Tag.WITHDRAW, Tag.TOP_UP):
        return int(struct.unpack_from("<Q", call.data, 1)[0])
    if call.tag is Tag.OPEN:
        return int(struct.unpack_from("<Q", call.data, 17)[0])
    if job is None:
        return 0
    if call.tag in _RETURNS:
        return job.deposit_units if wallet == job.owner else 0
    if call.tag in _PAYMENTS:
        parts = split(job.deposit_units, job.used_units, job.fee_bps)
        shares = (
            (job.owner, parts.refund_units),
            (job.node, parts.node_units),
            (job.fee_owner, parts.fee_units),
        )
        return sum(units for person, units in shares if person == wallet)
    return 0
