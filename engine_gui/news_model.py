"""What is told of the agent's news, in words, and up to where it was told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gui_kit.tokens import Token
from gui_kit.words import short_id, time_text, tr

Json = Mapping[str, Any]

TOLD_AT_ONCE_MAX = 3
"""More news than these become one sentence: after a holiday nobody wants fifty."""


@dataclass(frozen=True, slots=True)
class Telling:
    """``job_id``: what it is about; empty: the wallet."""

    title: str
    text: str
    token: Token
    job_id: str


_TITLES: dict[str, tuple[str, Token]] = {
    "finished": ("Job finished", "success"),
    "failed": ("Job failed", "danger"),
    "cancelled": ("Job cancelled", "warning"),
    "paid_unfetched": ("Results are waiting", "warning"),
    "low_budget": ("A job is about to end", "warning"),
    "login_ends": ("Your login ends", "warning"),
}
_TEXTS = {
    "finished": "{job}: its results are here and verified.",
    "failed": "{job} failed. Its deposit comes back to your balance.",
    "cancelled": "{job} was cancelled. What it did not use comes back to your balance.",
    "paid_unfetched": "{job} was paid, but its results were not fetched. Fetch them while its node has them.",
    "low_budget": "{job} has used most of its time. It is stopped at its limit, unless you add to it.",
    "login_ends": "It ends {time}. Connect your wallet again, so that your jobs go on being paid.",
}


def telling(news: Json) -> Telling | None:
    """Of an item of ``news``; None: a newer agent tells what we have no words for."""
    kind = str(news["kind"])
    if kind not in _TITLES:
        return None
    title, token = _TITLES[kind]
    job = news["job_name"] or short_id(news["job_id"] or "")
    return Telling(
        tr(title), tr(_TEXTS[kind], job=job, time=_time(news["detail"])), token, news["job_id"] or ""
    )


def together(found: Sequence[Telling]) -> list[Telling]:
    """As they are, or one for all of them where they are too many."""
    if len(found) <= TOLD_AT_ONCE_MAX:
        return list(found)
    counts: dict[str, int] = {}
    for each in found:
        counts[each.title] = counts.get(each.title, 0) + 1
    text = ", ".join(f"{title}: {count}" for title, count in counts.items())
    token: Token = "danger" if any(each.token == "danger" for each in found) else "success"
    return [Telling(tr("While you were away"), text, token, found[-1].job_id)]


def cursor_of(text: str) -> int | None:
    """What was kept; None: nothing was told yet."""
    return int(text) if text.isascii() and text.isdigit() else None


def _time(detail: str) -> str:
    try:
        return time_text(float(detail))
    except (TypeError, ValueError, OverflowError, OSError):
        return tr("soon")
