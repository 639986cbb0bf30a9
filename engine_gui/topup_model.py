"""More time for a job that goes on: how much was typed, and what it means for job and money. No widgets in
here."""

from __future__ import annotations

from typing import Any

from engine_gui.job_model import JobRow
from gui_kit.words import clean, time_text, tr
from p2p.core.durations import format_duration, parse_duration
from p2p.core.errors import Refused, UserError
from p2p.core.limits import TIMEOUT_MAX_S
from p2p.core.money import Asset, format_amount

Json = dict[str, Any]

CHOICES_S = (1800, 3600, 7200)
"""What can be added with one press."""
_EXTENDABLE = ("queued", "assigned", "staging", "running")


def can_top_up(job: JobRow) -> bool:
    """Whether the agent would take a ``topup``."""
    goes_on = job.stage == "following" and job.state in _EXTENDABLE
    return goes_on and not job.cancelling and not job.topping_up


def seconds_of(text: str) -> int:
    """How much time was typed.

    :raises UserError: ``bad_duration``.
    """
    seconds = parse_duration(text)
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise UserError(
            "bad_duration",
            tr("So much time cannot be added."),
            tr("Nothing was sent."),
            tr("Choose more than nothing and at most {most}.", most=format_duration(TIMEOUT_MAX_S)),
        )
    return seconds


def figure_names() -> tuple[str, ...]:
    """What is said before the yes; the values are those of :func:`figures`."""
    return (
        tr("Is added"),
        tr("May then run for"),
        tr("Until, about"),
        tr("Is locked now"),
        tr("Costs at most"),
    )


def figures(terms: Json, job: Json, now_s: float) -> tuple[str, ...]:
    """From ``topup_terms``, and the job as it was when they were asked for."""
    asset, limit = Asset(terms["asset"]), format_duration(terms["timeout_s"])
    until = tr("{limit} after its start", limit=limit)
    if job["state"] == "running":
        until = time_text(now_s + max(0, terms["timeout_s"] - job["used_seconds"]))
    locked = tr(
        "{amount} of the {balance} in your escrow balance",
        amount=format_amount(terms["units"], asset),
        balance=format_amount(terms["balance_units"], asset),
    )
    return (
        format_duration(terms["seconds"]),
        tr("{limit} in all", limit=limit),
        until,
        locked,
        tr("{amount} in all", amount=format_amount(terms["deposit_units"], asset)),
    )


def require_balance(terms: Json) -> None:
    """Whether the escrow balance holds what would be locked.

    :raises Refused: ``balance_too_low``.
    """
    lacking = terms["units"] - terms["balance_units"]
    if lacking > 0 and not terms["underway"]:
        raise Refused(
            "balance_too_low",
            tr("Your escrow balance lacks {amount}.", amount=format_amount(lacking, Asset(terms["asset"]))),
            tr("Nothing was sent; the job goes on as it was agreed."),
            tr("Deposit more, or add less time."),
        )


def ended_words(before: Json, job: Json) -> tuple[str, bool] | None:
    """How a top-up ended that was underway ``before``, and whether well; None: none did."""
    if not before["topping_up"] or job["topping_up"]:
        return None
    if job["timeout_s"] > before["timeout_s"]:
        limit = format_duration(job["timeout_s"])
        most = format_amount(job["deposit_units"], Asset(job["asset"]))
        return tr("It may run for {limit} now and costs at most {most}.", limit=limit, most=most), True
    why = [event["detail"] for event in job["events"] if event["state"] == "not_topped_up"]
    reason = clean(why[-1]) if why else tr("it has ended")
    return tr("No time was added: {why}.", why=reason), False
