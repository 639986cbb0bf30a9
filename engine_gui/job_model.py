"""A job of the agent's ``jobs``, ``show`` and ``watch`` as the window shows it. No widgets in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine_gui.job_form import limit_text
from gui_kit.states import JOB_STATES, Look, look
from gui_kit.words import amount_text, duration_text, tr
from p2p.core.limits import BUDGET_LOW, JOB_NAME_MAX_CHARS
from p2p.core.money import Asset, format_amount
from p2p.core.text import clean_name

Json = dict[str, Any]

ID_CHARS = 8
"""Digits of a job id that are shown; any command of ``cyxwiz`` takes them."""
_PEER_CHARS = 5
_GPU_MAX_CHARS = 16
_CANCELLABLE = ("opening", "opened", "following")
_HAS_RESULTS = ("fetching", "verified", "receipted", "settled")
_RUNS = ("running", "delivering")


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as a row of the table."""

    key: str
    name: str
    state: str
    held_up: bool
    cancelling: bool
    topping_up: bool
    gpu: str
    fraction: float | None
    used_seconds: int
    timeout_s: int
    used_units: int
    deposit_units: int
    asset: Asset
    node: str
    created_at_s: float
    stage: str
    final: bool
    succeeded: bool | None
    fetched: bool
    out: str


def job_row(job: Json) -> JobRow:
    """From an item of ``jobs``, ``show`` or ``watch``."""
    return JobRow(
        key=job["job_id"],
        name=clean_name(job["name"], JOB_NAME_MAX_CHARS),
        state=job["state"],
        held_up=job["problem"] is not None,
        cancelling=bool(job["cancel_wanted"]) and not job["final"],
        topping_up=job["topping_up"],
        gpu=clean_name(job["gpu_class"] or job["gpu_type"], _GPU_MAX_CHARS),
        fraction=fraction(job),
        used_seconds=job["used_seconds"],
        timeout_s=job["timeout_s"],
        used_units=job["used_units"],
        deposit_units=job["deposit_units"],
        asset=Asset(job["asset"]),
        node=job["node_peer_id"],
        created_at_s=job["created_at_s"],
        stage=job["stage"],
        final=job["final"],
        succeeded=job["succeeded"],
        fetched=job["fetched"],
        out=job["out"],
    )


def fraction(job: Json) -> float | None:
    """What a progress bar shows: the transfer that goes on, else how far the script says it is."""
    transfer = job["transfer"]
    if transfer and transfer["total_bytes"]:
        return min(1.0, float(transfer["done_bytes"]) / float(transfer["total_bytes"]))
    return job["progress"] if job["state"] == "running" else None


def row_look(row: JobRow) -> Look:
    """State in word, icon and colour; that it is held up or being cancelled comes first."""
    found = look(JOB_STATES, row.state)
    if row.cancelling:
        return Look(tr("Cancelling"), "cancel", "warning")
    if row.held_up and not row.final:
        return Look(tr("Held up"), "alert-outline", "warning")
    return found


def time_of_limit(used_seconds: float, timeout_s: int) -> str:
    """``0:42 / 1 h``."""
    return f"{duration_text(used_seconds)} / {limit_text(timeout_s)}"


def cost_of_escrow(used_units: int, deposit_units: int, asset: Asset) -> str:
    """``0.0042 / 0.40 USDC``."""
    return f"{amount_text(used_units, asset, symbol=False)} / {amount_text(deposit_units, asset)}"


def short_peer(peer_id: str) -> str:
    """The end of a peer id, by which people tell two apart: their beginnings are all alike."""
    return f"…{peer_id[-_PEER_CHARS:]}" if peer_id else "–"


def can_cancel(job: JobRow) -> bool:
    """Whether the agent would take a ``cancel``."""
    return job.stage in _CANCELLABLE and not job.cancelling


def can_fetch(job: JobRow) -> bool:
    """Whether it has results, or is about to."""
    return job.stage in _HAS_RESULTS


# -- filters of the list

Filter = Callable[[JobRow], bool]


def filters() -> tuple[tuple[str, Filter | None], ...]:
    """What the list can be narrowed to, by the words that name it."""
    return (
        (tr("All states"), None),
        (tr("Under way"), lambda row: not row.final),
        (tr("Waiting"), lambda row: row.state in ("opening", "queued") and not row.final),
        (tr("Running"), lambda row: row.state in ("assigned", "staging", *_RUNS) and not row.final),
        (tr("Held up"), lambda row: row.held_up and not row.final),
        (tr("Succeeded"), lambda row: row.succeeded is True),
        (tr("Failed or refunded"), lambda row: row.succeeded is False),
    )


# -- what cancelling does to the money


def cancel_terms(job: Json) -> tuple[str, tuple[tuple[str, str], ...]]:
    """In words and in exact amounts, as the agent has them now."""
    asset, used, deposit = Asset(job["asset"]), job["used_units"], job["deposit_units"]
    if used == 0:
        words = tr("It has not run yet, so the whole deposit comes back to your escrow balance.")
        return words, (
            (tr("You pay"), format_amount(0, asset)),
            (tr("Comes back"), format_amount(deposit, asset)),
        )
    words = tr(
        "You pay for the time that it has run, until its node stops it. Its results are not fetched, and it "
        "cannot be taken up again."
    )
    return words, (
        (tr("Ran for"), duration_text(job["used_seconds"])),
        (tr("You pay, about"), format_amount(used, asset)),
        (tr("Comes back, about"), format_amount(max(0, deposit - used), asset)),
    )


# -- why it waits, and what went wrong


def misfit_lines(misfits: list[Json], nodes_online: int) -> list[str]:
    """Why nodes don't fit, per rule."""
    if not nodes_online:
        return [tr("No node is online. The job starts as soon as one that fits comes.")]
    return [
        tr("{count} of {all} nodes {words}", count=misfit["nodes"], all=nodes_online, words=misfit["words"])
        for misfit in misfits
    ]


def waiting_words(job: Json) -> str:
    """Why a queued job still waits, in one sentence above the lines of :func:`misfit_lines`."""
    if not job["nodes_online"]:
        return tr("No node is online now.")
    if job["misfits"]:
        return tr("Why it still waits")
    return tr("A node that can take it is being asked.")


def failure_lines(job: Json) -> list[str]:
    """Why it failed, and what the node adds."""
    words, detail = str(job["failure_words"] or ""), str(job["detail"] or "")
    if not words:
        return [detail] if detail else []
    return [detail] if detail.startswith(words) else [part for part in (words, detail) if part]


def is_low(job: Json) -> bool:
    """Whether a running job has used so much of its time that it may be stopped before its end."""
    return job["state"] == "running" and float(job["budget_used"]) >= BUDGET_LOW


def percent(value: float | None) -> str:
    """``42 %``."""
    return "" if value is None else f"{value * 100:.0f} %"
