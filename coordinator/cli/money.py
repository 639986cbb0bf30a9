"""``accounts``, ``ledger check``, ``ledger export``."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from coordinator.cli.common import amount, database, dsn_option, when
from coordinator.domain.ledger import user
from coordinator.store import ledger as store_ledger
from coordinator.store.database import Database
from p2p.core.errors import ExitCode, Refused
from p2p.core.limits import POSTINGS_LISTED_MAX
from p2p.core.money import format_amount
from p2p.local import cli as frame
from p2p.local.home import find_home

if TYPE_CHECKING:
    from coordinator.service.audit import Findings
    from p2p.chain.config import ChainConfig


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
    """Compare the ledger with itself and with the chain, to the last unit. Changes nothing.

    Exit code 1 if they differ.
    """
    # Loaded here, because the other commands need nothing of the chain and should answer at once.
    from p2p.chain.config import ChainConfig

    config = ChainConfig.load(find_home().config)
    with database(dsn) as db:
        findings = frame.run_async(_check, db, config)
    if as_json:
        _print_json(findings)
    else:
        _print_findings(findings)
    if not findings.agrees:
        raise LedgerDiffers(len(findings.problems))


async def _check(db: Database, config: ChainConfig) -> Findings:
    from coordinator.service.audit import audit
    from p2p.chain.escrow import EscrowClient

    async with EscrowClient(config) as chain:
        return await audit(db, chain)


def _print_json(findings: Findings) -> None:
    head = findings.head
    frame.print_json(
        {
            "agrees": findings.agrees,
            "accounts": findings.accounts,
            "open_escrows": findings.escrows,
            "vault_units": {asset.value: units for asset, units in findings.totals.items()},
            "differences": findings.differences,
            "problems": [asdict(problem) for problem in findings.problems],
            "slots": list(findings.slots),
            "head": {"seq": head.seq, "hash": bytes(head.hash).hex()} if head else None,
            "in_flight": [asdict(entry) for entry in findings.in_flight],
        }
    )


def _print_findings(findings: Findings) -> None:
    for entry in findings.in_flight:
        what = " ".join(filter(None, (entry.kind, f"of job {entry.job_id}" if entry.job_id else "")))
        frame.out.print(f"IN FLIGHT  {entry.signature}: {what or 'transaction'}, {entry.state}", markup=False)
    if not findings.agrees:
        first, more = findings.problems[0], len(findings.problems) - 1
        frame.out.print(f"DIFFERS  {first.text}", markup=False)
        for name, value in (
            ("account", first.account),
            ("job", first.job_id),
            ("signature", first.signature),
        ):
            frame.out.print(f"         {name:<10}{value or 'none known'}", markup=False)
        if more:
            frame.out.print(f"         {more} more: `ledger check --json` has them all", markup=False)
        return
    totals = ", ".join(format_amount(units, asset) for asset, units in findings.totals.items())
    frame.out.print(
        f"Ledger and chain agree to the last unit: {findings.accounts} accounts, "
        f"{findings.escrows} open escrows, {totals} in the vaults."
    )
    head, (first_slot, last_slot) = findings.head, findings.slots
    slots = f"slot {first_slot}" if first_slot == last_slot else f"slots {first_slot} to {last_slot}"
    if head is not None:
        frame.out.print(f"At {slots}; {head.seq} transfers, the last with hash {bytes(head.hash).hex()}.")


class LedgerDiffers(Refused):
    """Ledger and chain do not agree."""

    exit_code = ExitCode.FAILED

    def __init__(self, number: int) -> None:
        super().__init__(
            "ledger_differs",
            f"Ledger and chain differ in {number} place(s).",
            "Until it is explained, treat both with care; nothing was changed.",
            "`docs/ledger.md` says what to do; `cyxwiz-coordinator status` shows since when.",
        )


@ledger.command()
@dsn_option
def export(dsn: str | None) -> None:
    """Every transfer with its lines and its hash, oldest first, as one JSON object a line.

    Whoever has it can verify the chain of hashes, and each signature on the chain: see docs/ledger.md.
    """
    after = 0
    with database(dsn) as db:
        while True:
            rows = db.transact(partial(store_ledger.links, after_seq=after))
            for row in rows:
                row["hash"] = bytes(row["hash"]).hex()
                row["lines"] = list(zip(row.pop("accounts"), row.pop("units"), strict=True))
                click.echo(json.dumps(row))
            if not rows:
                return
            after = rows[-1]["seq"]
