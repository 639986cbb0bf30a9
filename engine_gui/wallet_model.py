"""What the wallet's pages show, computed from the agent's answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gui_kit.states import Look
from gui_kit.words import short_id, time_text, tr
from p2p.core.money import Asset, format_amount, format_usd

Json = Mapping[str, Any]

NOT_HELD = frozenset({"packaged", "quoted", "opening"})
"""Stages of a job in which its deposit has not left the balance yet."""
NO_LOGIN = "not_logged_in"
"""The agent's word for that no wallet is connected, or that its login has ended."""


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of the wallet. ``spend_units``: what this computer's session key may still spend; None: it
    has none."""

    asset: Asset
    available_units: int
    held_units: int
    wallet_units: int
    spend_units: int | None
    until_s: float | None

    @property
    def spend_words(self) -> str:
        """What this computer may spend, and until when."""
        if self.spend_units is None or self.until_s is None:
            return tr("Nothing yet")
        amount = format_amount(self.spend_units, self.asset)
        return tr("{amount} until {time}", amount=amount, time=time_text(self.until_s))


def balances(answer: Json, jobs: Sequence[Json]) -> tuple[Balance, ...]:
    """From ``wallet_balance`` and ``jobs``; the asset that most people pay with is the first."""
    found = [
        Balance(
            Asset(entry["asset"]),
            entry["escrow_units"],
            held_units(jobs, Asset(entry["asset"])),
            entry["wallet_units"],
            entry["session"]["remaining_units"] if entry["session"] else None,
            entry["session"]["expires_at_s"] if entry["session"] else None,
        )
        for entry in answer["assets"]
    ]
    return tuple(sorted(found, key=lambda balance: balance.asset is not Asset.USDC))


def held_units(jobs: Sequence[Json], asset: Asset) -> int:
    """What jobs that have not ended hold of an asset."""
    return sum(
        job["deposit_units"]
        for job in jobs
        if job["asset"] == asset.value and not job["final"] and job["stage"] not in NOT_HELD
    )


def available_text(answer: Json) -> str:
    """What can be spent on jobs, for the status bar: every asset of which there is something."""
    amounts = [
        format_amount(entry["escrow_units"], Asset(entry["asset"]))
        for entry in sorted(answer["assets"], key=lambda entry: entry["asset"] != Asset.USDC.value)
        if entry["escrow_units"] or entry["asset"] == Asset.USDC.value
    ]
    return tr("Available: {amounts}", amounts=" · ".join(amounts))


def unknown_text(code: str) -> str:
    """Why the status bar has no balance; ``code``: of the error."""
    return tr("No wallet is connected") if code == NO_LOGIN else tr("Balance not known")


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Something that became of the money."""

    key: str
    at_s: float
    what: str
    units: int
    amount: str
    usd_micros: int
    dollars: str
    job_id: str
    job: str
    ledger: str
    signature: str
    explorer: str


def history_rows(answer: Sequence[Json]) -> list[HistoryRow]:
    """From ``wallet_history``. A transaction may do several things, even the same one twice."""
    rows: list[HistoryRow] = []
    seen: dict[str, int] = {}
    for entry in answer:
        base = f"{entry['signature']}/{entry['kind']}/{entry['asset']}/{entry['job_id']}"
        seen[base] = seen.get(base, 0) + 1
        rows.append(_history_row(entry, f"{base}/{seen[base]}"))
    return rows


def _history_row(entry: Json, key: str) -> HistoryRow:
    moved = bool(entry["asset"] and entry["units"])
    usd = entry["usd_micros"] if moved else None
    job_id = entry["job_id"] or ""
    explorer = entry["explorer"] or ""
    return HistoryRow(
        key=key,
        at_s=entry["at_s"] or 0.0,
        what=entry["words"][:1].upper() + entry["words"][1:],
        units=entry["units"] or 0,
        amount=format_amount(entry["units"], Asset(entry["asset"])) if moved else "",
        usd_micros=usd or 0,
        dollars="" if usd is None else format_usd(usd),
        job_id=job_id,
        job=entry["job_name"] or short_id(job_id),
        ledger=entry["ledger_words"],
        signature=entry["signature"] or "",
        explorer=explorer if explorer.startswith("https://") else "",
    )


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A key that may spend what is in escrow."""

    key: str
    asset: str
    remaining: str
    remaining_units: int
    until_s: float
    ended: bool
    here: bool
    sol: str


def session_rows(answer: Sequence[Json], now_s: float) -> list[SessionRow]:
    """From ``wallet_sessions``."""
    return [
        SessionRow(
            key=entry["key"],
            asset=Asset(entry["asset"]).symbol if entry["asset"] else "?",
            remaining=format_amount(entry["remaining_units"], Asset(entry["asset"]))
            if entry["asset"]
            else str(entry["remaining_units"]),
            remaining_units=entry["remaining_units"],
            until_s=entry["expires_at_s"],
            ended=entry["expires_at_s"] <= now_s,
            here=entry["here"],
            sol=format_amount(entry["sol_units"], Asset.SOL),
        )
        for entry in answer
    ]


SESSION_ACTIVE = Look("May spend", "key-outline", "success")
SESSION_ENDED = Look("Ended", "clock-alert-outline", "muted")


def session_look(row: SessionRow) -> Look:
    """Whether a key still may."""
    found = SESSION_ENDED if row.ended else SESSION_ACTIVE
    return Look(tr(found.word), found.icon, found.token)
