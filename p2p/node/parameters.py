"""Parameters of the local API, checked."""

from __future__ import annotations

from typing import Any

from p2p.core.errors import UserError

Params = dict[str, Any]


def count_of(params: Params, name: str, default: int, least: int, most: int) -> int:
    """A whole number.

    :raises UserError: ``bad_limit``.
    """
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError("bad_limit", f"{name} must be a whole number from {least} to {most}.")
    return value


def seconds_of(params: Params, name: str, default: float = 0.0) -> float:
    """A number of seconds.

    :raises UserError: ``bad_seconds``.
    """
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**40:
        raise UserError("bad_seconds", f"{name} must be a number of seconds.")
    return float(value)
