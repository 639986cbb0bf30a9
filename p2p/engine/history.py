"""A wallet's history: what the chain says and what the coordinator's ledger says, as one list. Pure.

The chain decides what happened; the ledger is the coordinator's account of it. Each line says whether both
have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from p2p.chain.history import HistoryEntry
from p2p.core.ids import JobId
from p2p.core.limits import LEDGER_PENDING_S
from p2p.core.messages.jobs import Posting
from p2p.core.money import Asset, format_amount


class Ledger(Enum):
    """What the ledger says of something that moved money of the wallet."""

    POSTED = "posted"
    PENDING = "pending"  # on the chain a short while ago
    CHAIN_ONLY = "chain_only"
    LEDGER_ONLY = "ledger_only"
    DIFFERS = "differs"
    OLDER = "older"  # than the postings that were asked for
    AWAY = "away"  # nobody answered


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history. ``ledger`` is none for what moves no money of the wallet.

    ``ledger_units``: what the ledger has posted to the wallet: negative out of its balance.
    """

    kind: str
    units: int
    asset: Asset | None
    signature: str
    at_s: float | None
    job_id: JobId | None
    ledger: Ledger | None
    ledger_units: int | None = None

    @property
    def ledger_words(self) -> str:
        if self.ledger is Ledger.DIFFERS and self.asset is not None:
            return f"the ledger says {format_amount(abs(self.ledger_units or 0), self.asset)}"
        return "" if self.ledger is None else _LEDGER_WORDS[self.ledger]


_LEDGER_WORDS = {
    Ledger.POSTED: "posted",
    Ledger.PENDING: "not posted yet",
    Ledger.CHAIN_ONLY: "only on the chain",
    Ledger.LEDGER_ONLY: "only in the ledger",
    Ledger.OLDER: "older than the postings that came",
    Ledger.AWAY: "",
}

KIND_WORDS = {
    "deposit": "deposit",
    "withdraw": "withdrawal",
    "authorize": "session key allowed",
    "revoke": "session key ended",
    "open": "job opened",
    "top_up": "job topped up",
    "assign": "node assigned",
    "claim": "pay claimed by the node",
    "dispute": "claim disputed",
    "settle": "job settled, rest back",
    "resolve": "dispute decided, rest back",
    "finalize": "claim paid, rest back",
    "cancel": "job cancelled",
    "refund": "job refunded",
    "reclaim": "deposit reclaimed",
    "close": "job's account closed",
    "reversal": "posting taken back",
    "carry": "fees carried over",
}
"""What each kind of line is called; the later steps of a job come later."""

_POSTED_AS = {
    "deposit": "deposit",
    "withdraw": "withdraw",
    "open": "open",
    "top_up": "top_up",
    "settle": "settle",
    "resolve": "settle",
    "finalize": "settle",
    "cancel": "refund",
    "refund": "refund",
    "reclaim": "refund",
}
_ONCE_A_JOB = ("open", "settle", "refund")
_STEPS = {kind: step for step, kind in enumerate(KIND_WORDS)}
_REVERSAL = "reversal:"

_Key = tuple[str, str, str]


def join(
    entries: Sequence[HistoryEntry],
    postings: Sequence[Posting] | None,
    *,
    now_s: float,
    all_entries: bool,
    all_postings: bool,
) -> list[Line]:
    """Both newest first. ``postings`` is none if the ledger could not be read; ``all_…``: nothing older was
    left out, so that what is missing is missing.
    """
    left = _by_key(postings or ())
    oldest_s = 0.0 if all_postings or not postings else min(posting.at_s for posting in postings)
    lines = [_line(entry, left, postings is None, oldest_s, now_s) for entry in entries]
    times = [entry.time_s for entry in entries if entry.time_s is not None]
    # What is posted may be dated later than what it posts: near the end of what came, nothing is missed.
    begin_s = min(times) + LEDGER_PENDING_S if times and not all_entries else 0.0
    extra = [_ledger_line(posting) for found in left.values() for posting in found if posting.at_s >= begin_s]
    return _in_order(_merged(lines, sorted(extra, key=lambda line: line.at_s or 0.0, reverse=True)))


def _by_key(postings: Iterable[Posting]) -> dict[_Key, list[Posting]]:
    """Without those that were taken back."""
    back = {posting.transfer_id for posting in postings if posting.transfer_id.startswith(_REVERSAL)}
    gone = back | {each.removeprefix(_REVERSAL) for each in back}
    found: dict[_Key, list[Posting]] = {}
    for posting in postings:
        if posting.transfer_id not in gone:
            key = _key(posting.kind, posting.signature.partition(":")[0], posting.job_id)
            found.setdefault(key, []).append(posting)
    return found


def _key(kind: str, signature: str, job_id: str | None) -> _Key:
    """What a job does once is known by the job alone."""
    return (kind, "" if kind in _ONCE_A_JOB and job_id else signature, job_id or "")


def _line(
    entry: HistoryEntry, left: dict[_Key, list[Posting]], away: bool, oldest_s: float, now_s: float
) -> Line:
    posted_as = _POSTED_AS.get(entry.kind)
    ledger: Ledger | None = None
    units: int | None = None
    if posted_as is not None and entry.units:
        found = left.get(_key(posted_as, entry.signature, entry.job_id))
        if away:
            ledger = Ledger.AWAY
        elif found:
            posting = next((each for each in found if abs(each.units) == entry.units), found[0])
            found.remove(posting)
            units = posting.units
            same = (abs(posting.units), posting.asset) == (entry.units, entry.asset)
            ledger = Ledger.POSTED if same else Ledger.DIFFERS
        elif entry.time_s is not None and entry.time_s < oldest_s:
            ledger = Ledger.OLDER
        else:
            recent = entry.time_s is None or entry.time_s > now_s - LEDGER_PENDING_S
            ledger = Ledger.PENDING if recent else Ledger.CHAIN_ONLY
    return Line(
        entry.kind, entry.units, entry.asset, entry.signature, entry.time_s, entry.job_id, ledger, units
    )


def _ledger_line(posting: Posting) -> Line:
    return Line(
        kind=posting.kind,
        units=abs(posting.units),
        asset=posting.asset,
        signature=posting.signature.partition(":")[0],
        at_s=posting.at_s,
        job_id=JobId(posting.job_id) if posting.job_id else None,
        ledger=Ledger.LEDGER_ONLY,
        ledger_units=posting.units,
    )


def _merged(lines: list[Line], extra: list[Line]) -> list[Line]:
    """Both newest first; the order of ``lines``, which knows more than their times, is kept."""
    found: list[Line] = []
    for line in lines:
        while extra and line.at_s is not None and (extra[0].at_s or 0.0) > line.at_s:
            found.append(extra.pop(0))
        found.append(line)
    return found + extra


def _in_order(lines: list[Line]) -> list[Line]:
    """The steps of a job that the chain dates to one second, newest first, whatever order they came in."""
    found = list(lines)
    places: dict[tuple[float | None, JobId], list[int]] = {}
    for place, line in enumerate(lines):
        if line.job_id is not None:
            places.setdefault((line.at_s, line.job_id), []).append(place)
    for same in places.values():
        steps = sorted((lines[place] for place in same), key=_step, reverse=True)
        for place, line in zip(same, steps, strict=True):
            found[place] = line
    return found


def _step(line: Line) -> int:
    return _STEPS.get(line.kind, len(_STEPS))
