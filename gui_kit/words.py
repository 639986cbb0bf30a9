"""Text for people: translation, cleaning, and how amounts, sizes, times and rates are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from textwrap import wrap

from PyQt6.QtCore import QCoreApplication

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.money import Asset, format_amount
from p2p.core.text import clean_line

LABEL_MAX_CHARS = 2000
"""No label shows more, whoever wrote its text."""

_BREAK_CHARS = 20
_LONG_WORD = re.compile(r"\S{41,}")
_INVISIBLE_BREAK = "\u200b"
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


def tr(text: str, **values: object) -> str:
    """``text`` in the person's language, with ``{name}`` filled in from ``values``.

    The text is a literal, so that it can be found for translation; nothing from outside is ever part of it.
    """
    translated = QCoreApplication.translate("cyxwiz", text)
    return translated.format(**values) if values else translated


def clean(text: str) -> str:
    """Text that may come from a stranger, line by line harmless, ends kept."""
    lines = text[: 2 * LABEL_MAX_CHARS].splitlines()
    return "\n".join(clean_line(line, LABEL_MAX_CHARS) for line in lines)[:LABEL_MAX_CHARS]


def one_line(text: str) -> str:
    """Cleaned text for where there is but one line."""
    return clean(text).replace("\n", " ")


def breakable(text: str) -> str:
    """Cleaned text whose longest words, such as a path, may go on in the next line: for the eye alone, not
    to be copied."""
    return _LONG_WORD.sub(lambda word: _INVISIBLE_BREAK.join(wrap(word[0], _BREAK_CHARS)), text)


def tooltip(text: str) -> str:
    """A text for a tooltip, which would read HTML in it if it were not told otherwise."""
    return f"<qt>{escape(clean(text))}</qt>" if text else ""


def bytes_text(count: float) -> str:
    """``4.2 MB``: three digits at most, decimal units as disks and networks are sold."""
    size = float(count)
    for unit in _BYTE_UNITS:
        if size < 999.5 or unit == _BYTE_UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def files_text(count: int) -> str:
    """``1 file``, ``1,200 files``."""
    return tr("1 file") if count == 1 else tr("{count} files", count=f"{count:,}")


def duration_text(seconds: float) -> str:
    """``0:42``, ``12:03``, ``1:02:03``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_text(at_s: float) -> str:
    """A moment on this machine's clock: the time today, with its date before."""
    local = datetime.fromtimestamp(at_s, UTC).astimezone()
    today = datetime.fromtimestamp(SYSTEM_CLOCK.now_s(), UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def short_id(text: str, shown: int = 12) -> str:
    """The beginning of a long id, as the command line shows it."""
    return text if len(text) <= shown else text[:shown] + "…"


def amount_text(units: int, asset: Asset, *, symbol: bool = True) -> str:
    """The exact amount for where there is little room: ``0.40 USDC``. No more zeros at its end than cents
    have."""
    whole, _, part = format_amount(units, asset, symbol=False).partition(".")
    text = f"{whole}.{part.rstrip('0').ljust(2, '0')}"
    return f"{text} {asset.symbol}" if symbol else text
