"""What a transaction did to the escrow's money: its calls, with the people behind their addresses.

How much a verdict moves is not said in its call: it divides what the escrow holds. So these are read in the
order of the chain by somebody who keeps count, see ``coordinator.domain.book``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import trio
from solders.pubkey import Pubkey

from p2p.chain import accounts
from p2p.chain.calls import JOB_AT, PAYMENTS, RETURNS, Call, Mention, asset_of_call, calls_in
from p2p.chain.errors import chain_unexpected
from p2p.chain.fees import FEE_AT
from p2p.chain.instructions import Tag
from p2p.chain.keys import to_wallet
from p2p.chain.reads import ChainReads
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CHAIN_READS_AT_ONCE_MAX, PEOPLE_REMEMBERED_MAX
from p2p.core.money import Asset

_UNITS = struct.Struct("<Q")
_AMOUNT_AT = {
    Tag.DEPOSIT: 1,
    Tag.WITHDRAW: 1,
    Tag.OPEN: 17,
    Tag.TOP_UP: 1,
    Tag.SETTLE: 1,
    Tag.CLAIM: 1,
    Tag.RESOLVE: 1,
}
_BALANCE_AT = {Tag.OPEN: 4, Tag.TOP_UP: 3} | {tag: JOB_AT[tag] + 1 for tag in (*PAYMENTS, *RETURNS)}
_WANTED = frozenset({*FEE_AT, *_AMOUNT_AT, *_BALANCE_AT})


@dataclass(frozen=True, slots=True)
class Movement:
    """A call that moves money, or that decides how much a later one moves.

    ``wallet``: the depositor or the buyer. ``units``: the amount that the call names: moved, claimed, or used
    by a verdict. ``job``: the address of the job's account. ``fee_bps``: of new jobs from now on; of an Open:
    the job's, where its account is still there.
    """

    tag: Tag
    asset: Asset | None = None
    wallet: Wallet | None = None
    units: int = 0
    job: str = ""
    job_id: JobId | None = None
    node: Wallet | None = None
    fee_owner: Wallet | None = None
    fee_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """A transaction that succeeded, with what it did to the escrow's money, in order."""

    signature: str
    slot: int
    time_s: int | None
    movements: tuple[Movement, ...]

    @property
    def moves_money(self) -> bool:
        """Whether anything moved, and not only will."""
        return any(movement.asset is not None for movement in self.movements)


@dataclass(frozen=True, slots=True)
class _Learned:
    """Whose balances are, and the fees of jobs, by their addresses."""

    holders: dict[Pubkey, tuple[Wallet, Asset | None]]
    fees: dict[Pubkey, int]


class MovementReader:
    """Reads transactions of one deployment. Balances never change hands, so their owners are remembered."""

    def __init__(self) -> None:
        self._holders: dict[Pubkey, tuple[Wallet, Asset | None]] = {}

    async def landings(self, chain: ChainReads, mentions: Iterable[Mention]) -> list[Landing]:
        """What the transactions did, in the order given; those that failed did nothing.

        :raises EnvironmentFailure: the chain cannot be reached, or does not know one of them.
        """
        wanted = [mention for mention in mentions if not mention.failed]
        found = await _calls(chain, wanted)
        learned = await self._learn(chain, [call for calls in found for call in calls])
        return [
            Landing(
                mention.signature,
                mention.slot,
                calls[0].time_s if calls else None,
                tuple(_movement(chain, call, learned) for call in calls),
            )
            for mention, calls in zip(wanted, found, strict=True)
        ]

    async def _learn(self, chain: ChainReads, calls: Sequence[Call]) -> _Learned:
        """Whose the balances in ``calls`` are; the fee of each job that is opened there and not closed."""
        opened = {call.keys[JOB_AT[Tag.OPEN]] for call in calls if call.tag is Tag.OPEN}
        balances = {key for call in calls for key in _balances(call)}
        known = {key: self._holders[key] for key in balances & self._holders.keys()}
        wanted = [*opened, *(balances - known.keys())]
        fees = {}
        for key, data in zip(wanted, await chain.program_accounts(wanted), strict=True):
            if key in opened:
                if data is not None and not accounts.is_closed_job(data):
                    fees[key] = accounts.decode_job(data).fee_bps
            elif data is None:
                raise chain_unexpected(f"no balance at {key}")
            else:
                balance = accounts.decode_balance(data)
                asset = chain.addresses.asset_of(Pubkey.from_string(balance.mint))
                known[key] = balance.owner, asset
        if len(self._holders) + len(known) > PEOPLE_REMEMBERED_MAX:
            self._holders.clear()
        self._holders |= known
        return _Learned(known, fees)


def _movement(chain: ChainReads, call: Call, learned: _Learned) -> Movement:
    tag, job = call.tag, call.job
    if tag in FEE_AT:
        return Movement(tag, fee_bps=struct.unpack_from("<H", call.data, FEE_AT[tag])[0])
    units = _UNITS.unpack_from(call.data, _AMOUNT_AT[tag])[0] if tag in _AMOUNT_AT else 0
    if tag in (Tag.DEPOSIT, Tag.WITHDRAW):
        asset = asset_of_call(chain, call)
        return Movement(tag, asset, to_wallet(call.keys[0]), units)
    assert job is not None
    holders = [learned.holders[key] for key in _balances(call)]
    if not holders:
        return Movement(tag, units=units, job=str(job))
    buyer, node, fee_owner = (*(wallet for wallet, _ in holders), None, None)[:3]
    return Movement(
        tag,
        holders[0][1],
        buyer,
        units,
        str(job),
        JobId(call.data[1:17].hex()) if tag is Tag.OPEN else None,
        node,
        fee_owner,
        learned.fees.get(job) if tag is Tag.OPEN else None,
    )


async def _calls(chain: ChainReads, mentions: Sequence[Mention]) -> list[list[Call]]:
    found: list[list[Call]] = [[] for _ in mentions]
    failures: list[EnvironmentFailure] = []
    limiter = trio.CapacityLimiter(CHAIN_READS_AT_ONCE_MAX)

    async def read(number: int) -> None:
        async with limiter:
            if failures:
                return
            try:
                calls = await calls_in(chain, mentions[number].signature, listed=True)
            except EnvironmentFailure as failure:
                failures.append(failure)
                return
        found[number] = [call for call in calls if call.tag in _WANTED]

    async with trio.open_nursery() as nursery:
        for number in range(len(mentions)):
            nursery.start_soon(read, number)
    if failures:
        raise failures[0]
    return found


def _balances(call: Call) -> list[Pubkey]:
    """The balances that a call names: the buyer's; of a payment also the node's and the fee owner's."""
    if call.tag not in _BALANCE_AT:
        return []
    first = _BALANCE_AT[call.tag]
    return call.keys[first : first + (3 if call.tag in PAYMENTS else 1)]
