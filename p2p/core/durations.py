"""Spans of time as people write and read them: ``24h``, ``14 d``, ``1 h 30 min``."""

from __future__ import annotations

import re

from p2p.core.errors import UserError

_UNITS = (("d", 24 * 3600), ("h", 3600), ("min", 60), ("s", 1))
_SECONDS = {**dict(_UNITS), "m": 60}
_TEXT = re.compile(r"([0-9]{1,9}) ?(d|h|min|m|s)\Z")


def parse_duration(text: str) -> int:
    """Whole seconds of a number with its unit.

    :raises UserError: ``bad_duration``.
    """
    found = _TEXT.match(text.strip().lower())
    if found is None:
        raise UserError(
            "bad_duration",
            f"{text[:40]!r} is not a span of time.",
            hint="Write it like 24h, 14d, 90min or 30s.",
        )
    return int(found[1]) * _SECONDS[found[2]]


def format_duration(seconds: int) -> str:
    """Exactly as many seconds, in the units that it is made of."""
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts) or "0 s"
