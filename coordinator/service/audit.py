"""``ledger check``: the ledger against itself and against the chain, to the last unit."""

from __future__ import annotations

from dataclasses import dataclass, field

from coordinator.domain import ledger as rules
from coordinator.store import ledger
from coordinator.store.database import Database, Row, Tx
from p2p.chain.accounts import OnChainJob
from p2p.chain.escrow import EscrowClient
from p2p.core.errors import Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset, format_amount


@dataclass
class Findings:
    """``differences`` is empty when everything agrees; the counts say what was compared."""

    differences: list[str] = field(default_factory=list)
    accounts: int = 0
    escrows: int = 0
    totals: dict[Asset, int] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        return not self.differences

    def compare(self, what: str, asset: Asset, in_ledger: int, on_chain: int) -> None:
        if in_ledger != on_chain:
            ours, theirs = format_amount(in_ledger, asset), format_amount(on_chain, asset)
            self.differences.append(f"{what}: the ledger has {ours}, the chain {theirs}")


async def audit(db: Database, chain: EscrowClient) -> Findings:
    """Compare everything once.

    :raises EnvironmentFailure: the database or the chain cannot be reached.
    """
    findings = Findings()
    sums, strays, escrows = await db.run(_read)
    _check_itself(findings, sums, strays)
    fee_owner = (await chain.config()).fee_owner
    for asset in Asset:
        await _check_asset(findings, chain, asset, sums, fee_owner)
    for row in escrows:
        await _check_escrow(findings, chain, row)
    return findings


def _read(tx: Tx) -> tuple[dict[tuple[str, Asset], int], list[Row], list[Row]]:
    return ledger.sums(tx), tx.rows("ledger.stray_balances"), tx.rows("ledger.open_escrows")


def _check_itself(findings: Findings, sums: dict[tuple[str, Asset], int], strays: list[Row]) -> None:
    findings.accounts = len(sums)
    for asset in Asset:
        total = sum(units for (_, kind), units in sums.items() if kind is asset)
        findings.totals[asset] = -sums.get((rules.CHAIN, asset), 0)
        if total != 0:
            findings.differences.append(f"the {asset.symbol} accounts sum to {total}, not to zero")
    for (account, asset), units in sums.items():
        if units < 0 and account != rules.CHAIN:
            findings.differences.append(f"{account} is overdrawn by {format_amount(-units, asset)}")
    for row in strays:
        findings.differences.append(
            f"{row['account']}: its balance row says {row['kept']}, its postings {row['posted']}"
        )


async def _check_asset(
    findings: Findings,
    chain: EscrowClient,
    asset: Asset,
    sums: dict[tuple[str, Asset], int],
    fee_owner: Wallet,
) -> None:
    owed = (await chain.asset(asset)).owed_units
    findings.compare(f"everything owed in {asset.symbol}", asset, -sums.get((rules.CHAIN, asset), 0), owed)
    fees = sums.get((rules.FEES, asset), 0)
    wallets = {account.removeprefix("user:") for account, _ in sums if account.startswith("user:")}
    for name in sorted(wallets | {fee_owner}):
        wallet = Wallet(name)
        ours = sums.get((rules.user(wallet), asset), 0) + (fees if wallet == fee_owner else 0)
        findings.compare(f"balance of {wallet}", asset, ours, await chain.balance(wallet, asset))


async def _check_escrow(findings: Findings, chain: EscrowClient, row: Row) -> None:
    findings.escrows += 1
    asset, job_id = Asset(row["asset"]), JobId(row["job_id"])
    job: OnChainJob | None
    try:
        job = await chain.job(Wallet(row["buyer"]), job_id)
    except Refused:
        job = None
    held = job.deposit_units if job is not None and not job.status.final else 0
    findings.compare(f"escrow of job {job_id}", asset, row["deposit_units"], held)
