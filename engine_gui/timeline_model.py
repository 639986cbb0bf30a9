"""A job's history and its transactions as rows. No widgets in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui_kit.states import ENGINE_STEPS, JOB_STATES, Look, look
from gui_kit.words import clean, tr

Json = dict[str, Any]

_QUIET = ("following", "quoted", "packaged", "receipted", "settled", "refunded", "closing")
"""Steps of this engine that say nothing beside the coordinator's events."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened."""

    key: str
    number: int
    at_s: float
    by: str
    look: Look
    detail: str


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """One transaction of the job's escrow."""

    key: str
    number: int
    action: str
    status: str
    at_s: float | None
    signature: str
    explorer: str


def event_rows(job: Json) -> list[EventRow]:
    """Engine and coordinator in one list, in order of time, without steps that say nothing."""
    return [
        EventRow(str(number), number, event["at_s"], _by(event), _look(event), clean(event["detail"]))
        for number, event in enumerate(job["events"])
        if not (event["from"] == "engine" and event["state"] in _QUIET and not event["detail"])
    ]


def transaction_rows(job: Json) -> list[TransactionRow]:
    """Every transaction, in order."""
    return [
        TransactionRow(
            key=f"{number} {entry['signature']}",
            number=number,
            action=_action(entry["action"]),
            status=clean(entry["status"].replace("_", " ").capitalize()),
            at_s=entry["at_s"],
            signature=entry["signature"],
            explorer=entry["explorer"] or "",
        )
        for number, entry in enumerate(job["transactions"])
    ]


def _by(event: Json) -> str:
    return tr("This computer") if event["from"] == "engine" else tr("Coordinator")


def _look(event: Json) -> Look:
    words = JOB_STATES | ENGINE_STEPS if event["from"] == "engine" else ENGINE_STEPS | JOB_STATES
    return look(words, event["state"])


def _action(name: str) -> str:
    words = {
        "open": tr("Deposit locked"),
        "assign": tr("Node assigned"),
        "release": tr("Node released"),
        "extend": tr("Time extended"),
        "top_up": tr("Deposit topped up"),
        "claim": tr("Payment claimed"),
        "dispute": tr("Claim disputed"),
        "settle": tr("Settled"),
        "finalize": tr("Paid after review"),
        "resolve": tr("Decided by the arbiter"),
        "cancel": tr("Cancelled"),
        "refund": tr("Refunded"),
        "reclaim": tr("Reclaimed"),
        "close": tr("Closed"),
    }
    return words.get(name) or clean(name.replace("_", " ").capitalize())
