"""What a buyer's wallet signs for its session keys and for deposits that nobody gives back.

``check`` of a request is asked for the wallet whenever the transaction is built; what it raises is shown, and
nothing is signed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from solders.instruction import Instruction

from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.browser.explain import plain_amount
from p2p.chain.browser.operations import transactions_request
from p2p.chain.browser.request import SignTransactions
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import transfer_lamports
from p2p.core.ids import Wallet
from p2p.core.money import Asset

Check = Callable[[Wallet], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a session key is let do: see :meth:`EscrowClient.authorize`."""

    key: Wallet
    asset: Asset
    allowance_units: int
    expires_at_s: int
    fund_lamports: int = 0


def grants_request(
    chain: EscrowClient, wallet: Wallet, grants: Sequence[Grant], check: Check
) -> SignTransactions:
    """Let session keys spend, all in one transaction."""

    async def make(signer: Wallet) -> Sequence[Instruction]:
        await check(signer)
        return _authorize(chain, signer, grants)

    amounts = " and ".join(plain_amount(grant.allowance_units, grant.asset) for grant in grants)
    title, done = f"Let this computer spend up to {amounts}", "This computer can pay for jobs"
    return transactions_request(chain, title, make, wallet=wallet, done=done)


def deposit_and_grant_request(
    chain: EscrowClient,
    wallet: Wallet,
    asset: Asset,
    units: int,
    grant: Callable[[], Awaitable[Grant]],
) -> SignTransactions:
    """From the wallet into its escrow balance, and let the session key spend it: both or neither."""

    async def make(signer: Wallet) -> Sequence[Instruction]:
        given = await grant()
        return [chain.build.deposit(signer, asset, units), *_authorize(chain, signer, [given])]

    amount = plain_amount(units, asset)
    return transactions_request(chain, f"Deposit {amount}", make, wallet=wallet, done=f"{amount} deposited")


def revoke_request(chain: EscrowClient, wallet: Wallet, keys: Sequence[Wallet]) -> SignTransactions:
    """End sessions at once."""

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.revoke(signer, key) for key in keys]

    title = "End a session key" if len(keys) == 1 else f"End {len(keys)} session keys"
    return transactions_request(chain, title, make, wallet=wallet, done="They can spend nothing more")


def reclaim_request(
    chain: EscrowClient,
    wallet: Wallet | None,
    name: str,
    find: Callable[[Wallet], Awaitable[OnChainJob]],
) -> SignTransactions:
    """A job's deposit back into the balance of the buyer, who signs.

    While nobody is assigned the buyer may cancel at any time; after that the deposit is reclaimed, once the
    deadline has passed. ``find`` gives the job as it is now and raises what stands against it.
    """

    async def make(signer: Wallet) -> Sequence[Instruction]:
        job = await find(signer)
        asset = chain.asset_of(job)
        if job.status is JobStatus.OPEN:
            return [chain.build.cancel(signer, signer, job.job_id, asset)]
        return [chain.build.reclaim(signer, job.job_id, asset)]

    title, done = f"Take back the deposit of job {name}", "The deposit is in your escrow balance again"
    return transactions_request(chain, title, make, wallet=wallet, done=done)


def _authorize(chain: EscrowClient, owner: Wallet, grants: Sequence[Grant]) -> list[Instruction]:
    found = []
    for grant in grants:
        found.append(
            chain.build.authorize(owner, grant.key, grant.asset, grant.allowance_units, grant.expires_at_s)
        )
        if grant.fund_lamports:
            found.append(transfer_lamports(owner, grant.key, grant.fund_lamports))
    return found
