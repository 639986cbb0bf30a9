"""A job's metrics as a table: for the file among its results, and for the command, which is no agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from p2p.local.csv_text import csv_text, safe_cell

Row = tuple[int, dict[str, float]]
"""The number of a line, from 1, and what it says."""


def metrics_csv(rows: Iterable[Row]) -> str:
    """Every line of a log that has metrics, as a row: its number, then one column per name."""
    kept = list(rows)
    names = dict.fromkeys(name for _, values in kept for name in values)
    titles = ["line", *(safe_cell(name) for name in names)]
    return csv_text(titles, ([line, *(values.get(name, "") for name in names)] for line, values in kept))


def row_of_json(row: Mapping[str, Any]) -> Row:
    """The inverse of what an answer has, for a table."""
    counters = {name: row[name] for name in ("epoch", "step") if row[name] is not None}
    return row["line"], {**counters, **{name: float(value) for name, value in row["values"].items()}}
