"""The self-test as it is shown. Pure: nothing is asked here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gui_kit.words import tr

_FILE_OPTION = "--file"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that jobs need. ``state``: a key of :data:`gui_kit.states.CHECKS`; ``commands``: those that
    mend it, to copy; ``action``: what the agent would do about it by itself, in words, or empty."""

    key: str
    title: str
    state: str
    found: str
    needed: str
    why: str
    fix: str
    commands: tuple[str, ...] = ()
    action: str = ""
    wants_file: bool = False


def check_of(row: dict[str, Any]) -> Check:
    """From an item of the answer to ``check``."""
    missing = "missing" if row["required"] else "limited"
    name, action = row["name"], row.get("action") or ""
    return Check(
        key=row.get("id", name),
        title=title_of(name),
        state="ok" if row["ok"] else missing,
        found=row["found"],
        needed=row["needed"],
        why=row["why"],
        fix="" if row["ok"] else row["fix"],
        commands=tuple(row.get("commands", ())),
        action=action.removesuffix(".").partition(":")[0],
        wants_file=_FILE_OPTION in action,
    )


def title_of(name: str) -> str:
    """A row's name as a heading."""
    words = ["GPU" if word == "gpu" else word for word in name.split()]
    title = " ".join(words)
    return title[:1].upper() + title[1:]


def in_order(checks: Sequence[Check]) -> list[Check]:
    """What needs somebody first."""
    rank = {"missing": 0, "limited": 1}
    return sorted(checks, key=lambda check: rank.get(check.state, 2))


def verdict(checks: Sequence[Check]) -> tuple[str, str]:
    """The state of all of them together, and a sentence about it."""
    missing = [check.title for check in checks if check.state == "missing"]
    limited = [check.title for check in checks if check.state == "limited"]
    if missing:
        return "missing", tr("No job can run here yet. Missing: {names}.", names=", ".join(missing))
    if limited:
        return "limited", tr("Jobs can run here. Limited: {names}.", names=", ".join(limited))
    return "ok", tr("Everything that jobs need is here.")
