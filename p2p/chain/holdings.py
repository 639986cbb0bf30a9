"""How much the program's accounts hold: people's balances, deposits of jobs that go on, all that is owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey

from p2p.chain import accounts
from p2p.chain.addresses import Addresses
from p2p.chain.keys import to_pubkey
from p2p.chain.reads import ChainReads
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset


@dataclass(frozen=True, slots=True)
class Holding:
    """An account that holds units of an asset: ``owner``'s balance, or the deposit of their job ``job_id``;
    without owner, everything that the program owes."""

    asset: Asset
    owner: Wallet | None = None
    job_id: JobId | None = None


def address_of(addresses: Addresses, holding: Holding) -> Pubkey:
    """Where the account is."""
    if holding.owner is None:
        return addresses.asset(holding.asset)
    if holding.job_id is None:
        return addresses.balance(holding.owner, holding.asset)
    return addresses.job(holding.owner, holding.job_id)


async def read_holdings(chain: ChainReads, holdings: Sequence[Holding]) -> tuple[int, list[int]]:
    """What each holds, and the slot at which all of them did; no more than ``ACCOUNTS_PER_READ_MAX``.

    :raises EnvironmentFailure: the chain cannot be reached, or one is not of the kind that it should be.
    """
    slot, found = await chain.accounts_at([address_of(chain.addresses, holding) for holding in holdings])
    return slot, [_units(holding, data) for holding, data in zip(holdings, found, strict=True)]


def _units(holding: Holding, data: bytes | None) -> int:
    if data is None:
        return 0
    if holding.owner is None:
        return accounts.decode_asset(data).owed_units
    if holding.job_id is None:
        return accounts.decode_balance(data).available_units
    return 0 if accounts.is_closed_job(data) else _deposit(accounts.decode_job(data))


def _deposit(job: accounts.OnChainJob) -> int:
    return 0 if job.status.final else job.deposit_units


async def read_all_holdings(chain: ChainReads) -> dict[Holding, int]:
    """Every balance and deposit that is not zero, of whomever it is.

    :raises EnvironmentFailure: the chain cannot be reached, or there are more than one reply holds.
    """
    found: dict[Holding, int] = {}
    for data in await chain.accounts_of_kind(accounts.BALANCE_TAG, accounts.BALANCE_BYTES):
        balance = accounts.decode_balance(data)
        asset = chain.addresses.asset_of(to_pubkey(balance.mint))
        if asset is not None:
            found[Holding(asset, balance.owner)] = balance.available_units
    for data in await chain.accounts_of_kind(accounts.JOB_TAG, accounts.JOB_BYTES):
        job = accounts.decode_job(data)
        asset = chain.addresses.asset_of(to_pubkey(job.mint))
        if asset is not None:
            found[Holding(asset, job.owner, job.job_id)] = _deposit(job)
    return {holding: units for holding, units in found.items() if units}
