"""CSV for spreadsheets and books."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from p2p.core.text import clean_line

_CELL_MAX_CHARS = 200


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180: a line of titles, then one for each row."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def safe_cell(text: str) -> str:
    """A stranger's text that no spreadsheet takes for a formula
    (https://owasp.org/www-community/attacks/CSV_Injection)."""
    cleaned = clean_line(text, _CELL_MAX_CHARS)
    return f"'{cleaned}" if cleaned.lstrip()[:1] in ("=", "+", "-", "@") else cleaned


def utc_cell(at_s: float | None) -> str:
    """A moment in UTC; nothing for none."""
    return "" if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
