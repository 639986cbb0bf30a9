"""What the node's agent answers to ``earnings``, for sums and as CSV: for its CLI and its window alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2p.core.earnings import By, Pay, Pays, Period
from p2p.core.money import Asset, format_amount
from p2p.local.csv_text import csv_text, safe_cell, utc_cell

_JOB_CSV = (
    "at", "job", "name", "state", "asset", "net_units", "net", "fee_units", "fee", "used_seconds",
    "review_ends_at", "transaction",
)  # fmt: skip


def pays_of(entry: dict[str, Any]) -> Pays:
    """One job's pay, as far as sums need it."""
    return Pays(
        entry["at_s"], Asset(entry["asset"]), entry["net_units"], entry["fee_units"], Pay(entry["pay"])
    )


def jobs_csv(earned: Sequence[dict[str, Any]]) -> str:
    """A line for each job."""
    return csv_text(_JOB_CSV, map(_job_csv, earned))


def periods_csv(by: By, periods: Sequence[Period]) -> str:
    """A line for each period and asset; of each state of pay the net in base units and in whole ones."""
    columns = [by.value, "asset", "jobs"]
    for name in (*(pay.value for pay in Pay), "fee"):
        columns += [f"{name}_units", name]
    rows = []
    for period in periods:
        row: list[object] = [period.period, period.asset.symbol, period.total().jobs]
        for units in (*(period.total(pay).net_units for pay in Pay), period.total().fee_units):
            row += [units, format_amount(units, period.asset, symbol=False)]
        rows.append(row)
    return csv_text(columns, rows)


def _job_csv(entry: dict[str, Any]) -> list[object]:
    asset, pay = Asset(entry["asset"]), Pay(entry["pay"])
    return [
        utc_cell(entry["at_s"]),
        entry["job_id"],
        safe_cell(entry["name"]),
        pay.value,
        asset.symbol,
        entry["net_units"],
        format_amount(entry["net_units"], asset, symbol=False),
        entry["fee_units"],
        format_amount(entry["fee_units"], asset, symbol=False),
        entry["used_seconds"],
        utc_cell(entry["review_ends_at_s"]),
        entry["signature"] if pay is Pay.PAID else "",
    ]
