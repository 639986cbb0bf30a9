"""Posting transfers and reading balances."""

from __future__ import annotations

from coordinator.domain.ledger import Transfer
from coordinator.store.database import Tx
from p2p.core.ids import Wallet
from p2p.core.money import Asset


def post(tx: Tx, transfer: Transfer, now_s: float) -> bool:
    """Write a transfer with its lines; false if it was written before. Idempotent by the transfer's id.

    :raises Overdrawn: (out of the transaction) an account would be negative.
    :raises UniqueBroken: (out of the transaction) the job has another opening or verdict already.
    """
    fresh = tx.execute(
        "ledger.insert_transfer",
        transfer_id=transfer.transfer_id,
        kind=transfer.kind.value,
        asset=transfer.asset.value,
        job_id=transfer.job_id,
        signature=transfer.signature,
        now_s=now_s,
    )
    if not fresh:
        return False
    tx.execute_many(
        "ledger.insert_posting",
        [
            {
                "transfer_id": transfer.transfer_id,
                "account": line.account,
                "asset": transfer.asset.value,
                "units": line.units,
            }
            for line in transfer.lines
        ],
    )
    return True


def balance(tx: Tx, account: str, asset: Asset) -> int:
    """What an account holds, in base units (not for ``chain`` and ``fees``, see :func:`total`)."""
    row = tx.row("ledger.balance", account=account, asset=asset.value)
    return int(row["units"]) if row else 0


def total(tx: Tx, account: str, asset: Asset) -> int:
    """The sum of an account's postings; for ``chain`` and ``fees``, of which no balance is kept."""
    row = tx.row("ledger.total", account=account, asset=asset.value)
    return int(row["units"]) if row else 0


def wallets(tx: Tx, after: str, limit: int) -> list[Wallet]:
    """Everybody whom the ledger knows, in order after ``after``."""
    return [Wallet(row["wallet"]) for row in tx.rows("ledger.users", after=after, limit=limit)]


def sums(tx: Tx) -> dict[tuple[str, Asset], int]:
    """Every account of every asset, summed from the postings."""
    return {(row["account"], Asset(row["asset"])): int(row["units"]) for row in tx.rows("ledger.sums")}


def has_verdict(tx: Tx, job_id: str) -> bool:
    """Whether the job's escrow was paid out or given back."""
    return tx.row("ledger.verdict", job_id=job_id) is not None
