"""``accounts``, ``ledger check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import trio

from coordinator.cli.common import amount, database, dsn_option, when
from coordinator.domain.ledger import user
from coordinator.store import ledger as store_ledger
from coordinator.store.database import Database
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import ExitCode, Refused
from p2p.core.limits import POSTINGS_LISTED_MAX
from p2p.core.money import format_amount
from p2p.local import cli as frame
from p2p.local.home import find_home

if TYPE_CHECKING:
    from coordinator.service.audit import Findings
    from p2p.chain.config import ChainConfig

_CHECK_WAIT_S = 15.0


@click.command()
@click.argument("wallet", required=False)
@dsn_option
@frame.json_option
def accounts(wallet: str | None, dsn: str | None, as_json: bool) -> None:
    """What every account of the ledger holds; with WALLET, that person's entries."""
    with database(dsn) as db:
        if wallet is not None:
            _print_entries(db, wallet, as_json)
            return
        sums = db.transact(store_ledger.sums)
    rows = [(account, asset, units) for (account, asset), units in sums.items() if units]
    if as_json:
        frame.print_json([{"account": a, "asset": asset.value, "units": units} for a, asset, units in rows])
        return
    table = [(account, format_amount(units, asset)) for account, asset, units in rows]
    frame.print_table(("account", ">holds"), table, "The ledger is empty.")


def _print_entries(db: Database, wallet: str, as_json: bool) -> None:
    rows = db.transact(
        lambda tx: tx.rows("ledger.of_account", account=user(wallet), limit=POSTINGS_LISTED_MAX)
    )
    if as_json:
        frame.print_json([dict(row) for row in rows])
        return
    table = [
        (when(row["at_s"]), row["kind"], (row["job_id"] or "")[:8], amount(row["units"], row["asset"]))
        for row in rows
    ]
    frame.print_table(("when", "entry", "job", ">amount"), table, "The ledger has no entries of this wallet.")


@click.group()
def ledger() -> None:
    """The double-entry ledger."""


@ledger.command()
@dsn_option
@frame.json_option
def check(dsn: str | None, as_json: bool) -> None:
    """Compare the ledger with itself and with the chain, to the last unit. Exit code 1 if they differ."""
    # Loaded here, because the other commands need nothing of the chain and should answer at once.
    from p2p.chain.config import ChainConfig

    config = ChainConfig.load(find_home().config)
    with database(dsn) as db:
        findings = frame.run_async(_check, db, config)
    if as_json:
        frame.print_json(
            {
                "agrees": findings.agrees,
                "accounts": findings.accounts,
                "open_escrows": findings.escrows,
                "vault_units": {asset.value: units for asset, units in findings.totals.items()},
                "differences": list(findings.differences),
            }
        )
    else:
        _print_findings(findings)
    if not findings.agrees:
        raise LedgerDiffers(len(findings.differences))


async def _check(db: Database, config: ChainConfig) -> Findings:
    from coordinator.service.audit import audit as run_audit
    from coordinator.service.history import sync_wallets
    from p2p.chain.escrow import EscrowClient

    async with EscrowClient(config, SYSTEM_CLOCK) as chain:
        deadline_s = trio.current_time() + _CHECK_WAIT_S
        while True:
            await sync_wallets(db, chain, SYSTEM_CLOCK)
            findings = await run_audit(db, chain)
            moving = any(row["state"] == "sent" for row in await db.run(lambda tx: tx.rows("outbox.counts")))
            # Money that is on its way is on one side only for a moment.
            if findings.agrees or not moving or trio.current_time() >= deadline_s:
                return findings
            await trio.sleep(1.0)


def _print_findings(findings: Findings) -> None:
    for difference in findings.differences:
        frame.out.print(f"DIFFERS  {difference}", markup=False)
    if findings.agrees:
        totals = ", ".join(format_amount(units, asset) for asset, units in findings.totals.items())
        frame.out.print(
            f"Ledger and chain agree to the last unit: {findings.accounts} accounts, "
            f"{findings.escrows} open escrows, {totals} in the vaults."
        )


class LedgerDiffers(Refused):
    """Ledger and chain do not agree."""

    exit_code = ExitCode.FAILED

    def __init__(self, number: int) -> None:
        super().__init__(
            "ledger_differs",
            f"Ledger and chain differ in {number} place(s).",
            "Until it is explained, treat both with care; nothing was changed.",
            "Run it again when no chain action is on its way; `cyxwiz-coordinator status` shows these.",
        )
