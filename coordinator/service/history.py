"""What moved on chain without us, posted to the ledger: deposits, withdrawals, escrows never used."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from coordinator.domain import ledger as rules
from coordinator.store import ledger
from coordinator.store.database import Database, Overdrawn, Tx, UniqueBroken
from p2p.chain.escrow import EscrowClient
from p2p.chain.history import HistoryEntry
from p2p.core.clock import Clock
from p2p.core.ids import Wallet
from p2p.core.limits import HISTORY_ENTRIES_MAX, SWEEP_BATCH_MAX
from p2p.core.money import Asset

_RETURNED = ("cancel", "refund", "reclaim")


async def sync_wallets(db: Database, chain: EscrowClient, clock: Clock) -> int:
    """Sync everybody whom the ledger knows, and the fee owner; how many entries were posted.

    Only the wallets whose balance differs are read in full.
    """
    fee_owner = (await chain.config()).fee_owner
    posted, page = 0, [fee_owner]
    after = ""
    while page:
        for wallet in await differing(db, chain, fee_owner, page):
            posted += await sync_wallet(db, chain, fee_owner, wallet, clock.now_s())
        page = await db.run(partial(ledger.wallets, after=after, limit=SWEEP_BATCH_MAX))
        after = page[-1] if page else ""
    return posted


async def differing(
    db: Database, chain: EscrowClient, fee_owner: Wallet, wallets: Iterable[Wallet]
) -> list[Wallet]:
    """Those of ``wallets`` of whom ledger and chain do not say the same.

    :raises EnvironmentFailure: the chain or the database cannot be reached.
    """
    found = []
    for wallet in dict.fromkeys(wallets):
        held = await db.run(partial(holdings, wallet=wallet, fee_owner=fee_owner))
        if any([await chain.balance(wallet, asset) != units for asset, units in held.items()]):
            found.append(wallet)
    return found


def holdings(tx: Tx, wallet: Wallet, fee_owner: Wallet) -> dict[Asset, int]:
    """What the ledger says that somebody has; the fees are the fee owner's."""
    found = {}
    for asset in Asset:
        fees = ledger.total(tx, rules.FEES, asset) if wallet == fee_owner else 0
        found[asset] = ledger.balance(tx, rules.user(wallet), asset) + fees
    return found


async def sync_wallet(
    db: Database, chain: EscrowClient, fee_owner: Wallet, wallet: Wallet, now_s: float
) -> int:
    """Post what moved on chain for a wallet and the ledger does not have; how many entries.

    :raises EnvironmentFailure: the chain or the database cannot be reached.
    """
    entries = await chain.history(wallet, limit=HISTORY_ENTRIES_MAX)
    transfers = list(transfers_of(wallet, entries, fee_owner=wallet == fee_owner))
    if not transfers:
        return 0
    ids = [transfer.transfer_id for transfer in transfers]
    known = await db.run(lambda tx: {row["transfer_id"] for row in tx.rows("ledger.known", transfer_ids=ids)})
    left = [transfer for transfer in transfers if transfer.transfer_id not in known]
    posted = 0
    # Within one slot things may come in any order, so what could not be posted is tried after the rest.
    while left:
        waiting = [transfer for transfer in left if not await _post(db, transfer, now_s)]
        if len(waiting) == len(left):
            break
        posted += len(left) - len(waiting)
        left = waiting
    return posted


async def _post(db: Database, transfer: rules.Transfer, now_s: float) -> bool:
    """False if it has to wait for something that the ledger does not know yet, such as a settlement."""

    def work(tx: Tx) -> None:
        if transfer.kind is not rules.Kind.REFUND or _needs_refund(tx, transfer):
            ledger.post(tx, transfer, now_s)

    try:
        await db.run(work)
    except (Overdrawn, UniqueBroken):
        return False
    return True


def _needs_refund(tx: Tx, transfer: rules.Transfer) -> bool:
    """Whether an escrow that was given back on chain is still pending here, and of no job that we run."""
    job_id = transfer.job_id or ""
    ours = tx.row("jobs.by_id", job_id=job_id) is not None
    return not ours and not ledger.has_verdict(tx, job_id)


def transfers_of(
    wallet: Wallet, entries: Iterable[HistoryEntry], *, fee_owner: bool
) -> Iterable[rules.Transfer]:
    """History (newest first) as transfers, oldest first; within a transaction in its own order.

    Settlements are not among them: the settler posts those with the job's state.
    """
    account = rules.FEES if fee_owner else ""
    groups: dict[str, list[HistoryEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.signature, []).append(entry)
    for signature in reversed(groups):
        seen: dict[str, int] = {}
        for entry in groups[signature]:
            count = seen[entry.kind] = seen.get(entry.kind, 0) + 1
            reference = signature if count == 1 else f"{signature}:{count}"
            transfer = _transfer(wallet, entry, reference, account)
            if transfer is not None:
                yield transfer


def _transfer(wallet: Wallet, entry: HistoryEntry, reference: str, account: str) -> rules.Transfer | None:
    asset: Asset | None = entry.asset
    if asset is None or entry.units <= 0:
        return None
    if entry.kind == "deposit":
        return rules.deposit(wallet, asset, entry.units, reference, account)
    if entry.kind == "withdraw":
        return rules.withdraw(wallet, asset, entry.units, reference, account)
    if entry.job_id is None:
        return None
    if entry.kind == "open":
        return rules.open_job(wallet, entry.job_id, asset, entry.units, entry.signature)
    if entry.kind in _RETURNED:
        return rules.refund(wallet, entry.job_id, asset, entry.units, entry.signature)
    return None
