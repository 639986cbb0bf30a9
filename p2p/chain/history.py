"""A wallet's escrow transactions, read back from the chain."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.pubkey import Pubkey

from p2p.chain import accounts
from p2p.chain.calls import JOB_AT, PAYMENTS, RETURNS, Call, asset_of_call, calls_in, signatures_of
from p2p.chain.fees import FeeHistory
from p2p.chain.instructions import Tag
from p2p.chain.keys import to_pubkey
from p2p.chain.past import read_past_job
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset, split

if TYPE_CHECKING:
    from p2p.chain.sending import ChainSending


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
class _Job:
    """What a job's entries need to know of it."""

    job_id: JobId
    asset: Asset | None
    deposit_units: int
    used_units: int
    fee_bps: int | None


async def read_history(chain: ChainSending, wallet: Wallet, limit: int) -> list[HistoryEntry]:
    """Newest slot first; the order of transactions within one slot is not defined.

    Amounts are exact. What a node or the platform earned by a job whose account was closed is worked out with
    the fee of its opening; where that is too far back to be found, it is 0 here.

    :raises EnvironmentFailure: the chain cannot be reached, or answers nonsense.
    """
    places = [str(to_pubkey(wallet)), *(str(chain.addresses.balance(wallet, asset)) for asset in Asset)]
    found: dict[str, tuple[int, int]] = {}
    for place in places:
        for order, (signature, slot) in enumerate(await signatures_of(chain, place, limit)):
            found.setdefault(signature, (slot, -order))
    newest = sorted(found, key=lambda signature: found[signature], reverse=True)[:limit]
    calls = [
        call
        for signature in newest
        for call in reversed(await calls_in(chain, signature))
        if not {str(key) for key in call.keys}.isdisjoint(places)  # not the others that share a transaction
    ]
    jobs = await _jobs(chain, wallet, calls)
    return [_entry(chain, wallet, call, jobs) for call in calls]


async def _jobs(chain: ChainSending, wallet: Wallet, calls: list[Call]) -> dict[Pubkey, _Job]:
    jobs = {}
    fees = FeeHistory(chain)
    mine = {chain.addresses.balance(wallet, asset) for asset in Asset}
    earned = {call.job for call in calls if call.tag in PAYMENTS and not mine.isdisjoint(_payees(call)[1:])}
    for key in {call.job for call in calls}:
        data = None if key is None else await chain.program_account(key)
        if key is None or data is None:
            continue
        if not accounts.is_closed_job(data):
            job = accounts.decode_job(data)
            asset = chain.addresses.asset_of(to_pubkey(job.mint))
            jobs[key] = _Job(job.job_id, asset, job.deposit_units, job.used_units, job.fee_bps)
            continue
        past = await read_past_job(chain, key)
        if past is not None:
            fee_bps = await fees.at(past.opening) if key in earned else None
            jobs[key] = _Job(past.job_id, past.asset, past.deposit_units, past.used_units, fee_bps)
    return jobs


def _entry(chain: ChainSending, wallet: Wallet, call: Call, jobs: dict[Pubkey, _Job]) -> HistoryEntry:
    job = jobs.get(call.job) if call.job is not None else None
    asset = job.asset if job is not None else asset_of_call(chain, call)
    job_id = job.job_id if job is not None else None
    if call.tag is Tag.OPEN:
        job_id = JobId(call.data[1:17].hex())
    mine = chain.addresses.balance(wallet, asset) if asset is not None else None
    units = _units(mine, call, job)
    return HistoryEntry(call.tag.name.lower(), units, asset, call.signature, call.time_s, job_id)


def _units(mine: Pubkey | None, call: Call, job: _Job | None) -> int:
    """``mine``: the wallet's balance in the job's asset, which tells which share is its own."""
    if call.tag in (Tag.DEPOSIT, Tag.WITHDRAW, Tag.TOP_UP):
        return int(struct.unpack_from("<Q", call.data, 1)[0])
    if call.tag is Tag.OPEN:
        return int(struct.unpack_from("<Q", call.data, 17)[0])
    if job is None or call.tag not in (*PAYMENTS, *RETURNS):
        return 0
    payees = _payees(call)
    if call.tag in RETURNS:
        return job.deposit_units if payees[0] == mine else 0
    parts = split(job.deposit_units, job.used_units, job.fee_bps or 0)
    shares = [parts.refund_units, parts.node_units, parts.fee_units]
    if job.fee_bps is None:
        del shares[1:]
    return sum(units for payee, units in zip(payees, shares, strict=False) if payee == mine)


def _payees(call: Call) -> list[Pubkey]:
    """The balances of buyer, node and fee owner; of a return, the buyer's."""
    first = JOB_AT[call.tag] + 1
    return call.keys[first : first + 3]
