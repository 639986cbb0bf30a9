"""What must not be overlooked about a job: what holds it up, why it waits, why it failed, that money runs
low. No widgets in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine_gui.job_model import failure_lines, is_low, job_row, misfit_lines, waiting_words
from engine_gui.topup_model import can_top_up
from gui_kit.tokens import Token
from gui_kit.words import amount_text, clean, duration_text, tr
from p2p.core.money import Asset
from p2p.local.protocol import error_from_json

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """A heading and what follows from it; ``more_time``: whether that can be mended by adding some."""

    what: str
    rest: tuple[str, ...]
    icon: str
    token: Token
    more_time: bool = False


def notice_of(job: Json) -> Notice | None:
    """The one thing to say; what the person has to mend comes first."""
    if job["problem"] and not job["final"]:
        what, *rest = error_from_json(job["problem"]).lines() or (tr("Something went wrong."),)
        return Notice(clean(what), tuple(clean(line) for line in rest), "alert-outline", "warning")
    if job["failure"]:
        back = _money_back(job)
        lines = [clean(line) for line in failure_lines(job)]
        what = lines[0] if lines else tr("The job failed.")
        return Notice(what, (*lines[1:], *back), "alert-circle-outline", "danger")
    if job["state"] == "queued":
        lines = misfit_lines(job["misfits"], job["nodes_online"])
        return Notice(waiting_words(job), tuple(clean(line) for line in lines), "timer-sand", "warning")
    if is_low(job):
        left = duration_text(max(0, job["timeout_s"] - job["used_seconds"]))
        words = tr("The job is stopped when its time limit is reached, and fails.")
        if job["topping_up"]:
            words = tr("More time is being added.")
        what = tr("{time} of its time are left.", time=left)
        return Notice(what, (words,), "timer-alert-outline", "warning", can_top_up(job_row(job)))
    return None


def _money_back(job: Json) -> tuple[str, ...]:
    cost = job["cost"]
    if cost is None:
        return ()
    asset = Asset(job["asset"])
    return (
        tr("{amount} came back to your escrow balance.", amount=amount_text(cost["refund_units"], asset)),
    )
