"""``cyxwiz wallet history``: what became of the money, from chain and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from p2p.core.money import Asset, format_amount, format_usd
from p2p.engine import render
from p2p.engine.cli_money import ask
from p2p.engine.history import Ledger
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.csv_text import csv_text, safe_cell, utc_cell

_CSV_COLUMNS = (
    "at", "what", "asset", "units", "amount", "job", "name", "signature", "explorer", "usd", "ledger",
)  # fmt: skip
_AWAY = "The coordinator does not answer, or your login has ended: this is what the chain alone says."


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet or the books.")
@json_option
def history(limit: int, as_csv: bool, as_json: bool) -> None:
    """Deposits, jobs, settlements, refunds, withdrawals: chain and ledger as one list, newest first."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    found = ask("wallet_history", limit=limit)
    if any(entry["ledger"] == Ledger.AWAY.value for entry in found):
        cli.say(_AWAY)
    if as_json:
        cli.print_json(found)
    elif as_csv:
        click.echo(history_csv(found), nl=False)
    else:
        columns = ("AT", "WHAT", ">AMOUNT", ">IN DOLLARS", "JOB", "NAME", "LEDGER", "TRANSACTION")
        cli.print_table(columns, [_row(entry) for entry in found], "Nothing yet.")


def _row(entry: dict[str, Any]) -> list[object]:
    moved = entry["asset"] and entry["units"]
    return [
        render.moment(entry["at_s"]),
        entry["words"],
        format_amount(entry["units"], Asset(entry["asset"])) if moved else "",
        format_usd(entry["usd_micros"]) if moved and entry["usd_micros"] is not None else "",
        render.short(entry["job_id"] or ""),
        entry["job_name"] or "",
        entry["ledger_words"],
        entry["explorer"] or entry["signature"],
    ]


def history_csv(entries: Sequence[dict[str, Any]]) -> str:
    """One line for each entry; times are UTC, amounts in base units, in whole ones and in dollars."""
    return csv_text(_CSV_COLUMNS, [_csv_row(entry) for entry in entries])


def _csv_row(entry: dict[str, Any]) -> list[object]:
    asset = Asset(entry["asset"]) if entry["asset"] else None
    usd_micros = entry["usd_micros"]
    return [
        utc_cell(entry["at_s"]),
        entry["kind"],
        "" if asset is None else asset.symbol,
        "" if asset is None else entry["units"],
        "" if asset is None else format_amount(entry["units"], asset, symbol=False),
        entry["job_id"] or "",
        safe_cell(entry["job_name"] or ""),
        entry["signature"],
        entry["explorer"] or "",
        "" if usd_micros is None else format_usd(usd_micros).removeprefix("$"),
        entry["ledger"] or "",
    ]
