"""What is told of the agent's news, and how. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gui_kit.tokens import Token
from gui_kit.words import tr


@dataclass(frozen=True, slots=True)
class Telling:
    """``job_id``: what it is about, or empty."""

    title: str
    text: str
    token: Token
    job_id: str
    is_check: bool


_TITLES: dict[str, tuple[str, Token]] = {
    "job_finished": ("Job finished", "success"),
    "job_failed": ("Job failed", "danger"),
    "job_paid": ("Paid", "success"),
    "check_broken": ("Something is missing", "danger"),
    "check_mended": ("In order again", "success"),
    "login_ends": ("The payout wallet's login ends", "warning"),
}


def telling(item: Mapping[str, Any]) -> Telling | None:
    """Of an item of ``news``; None: nobody has to be told of that."""
    found = _TITLES.get(item["kind"])
    if found is None:
        return None
    title, token = found
    is_check = item["kind"].startswith("check_")
    return Telling(tr(title), item["words"], token, item["job_id"] or "", is_check)


def number_of(text: str) -> int | None:
    """What was kept; None: nothing was told yet."""
    return int(text) if text.isascii() and text.isdigit() else None
