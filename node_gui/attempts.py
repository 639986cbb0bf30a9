"""Attempts at jobs as the window shows them. Pure: nothing is asked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gui_kit.states import NODE_PHASES, PAYS, Look, look
from gui_kit.words import bytes_text, duration_text, short_id, time_text, tr
from p2p.core.money import Asset, format_amount

LIVE = frozenset({"assigned", "staging", "installing", "running", "exited", "collecting", "delivering"})
"""Phases in which an attempt takes a slot."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as a row of the table. ``net_units``: what it earned so far, None if that is not known;
    ``pay``: a key of :data:`gui_kit.states.PAYS`, or empty; ``fraction``: what its script says is done."""

    key: str
    job_id: str
    name: str
    phase: str
    accepted_at_s: float
    run_seconds: float
    timeout_s: float
    detail: str
    gpu: str
    staged_bytes: int | None
    staging_bytes: int | None
    fraction: float | None
    asset: Asset
    net_units: int | None
    fee_units: int | None
    pay: str
    is_estimate: bool

    @property
    def title(self) -> str:
        """Its name, or the beginning of its id."""
        return self.name or short_id(self.job_id)

    @property
    def look(self) -> Look:
        return look(NODE_PHASES, self.phase)

    @property
    def pay_look(self) -> Look | None:
        """How far its pay is."""
        return look(PAYS, self.pay) if self.pay else None

    @property
    def earned(self) -> str:
        """What it earned, in words."""
        if self.net_units is None:
            return "–"
        amount = format_amount(self.net_units, self.asset)
        return tr("about {amount}", amount=amount) if self.is_estimate else amount

    @property
    def is_live(self) -> bool:
        """Whether it takes a slot now."""
        return self.phase in LIVE


def attempt_row(job: Mapping[str, Any]) -> AttemptRow:
    """From an item of the answer to ``jobs``, or of ``jobs`` in ``status``."""
    pay = job.get("pay") or {}
    return AttemptRow(
        key=f"{job['job_id']}/{job['epoch']}",
        job_id=job["job_id"],
        name=job["name"],
        phase=job["phase"],
        accepted_at_s=job["accepted_at_s"],
        run_seconds=job["run_seconds"],
        timeout_s=job["timeout_s"],
        detail=job["detail"],
        gpu=job["gpu_uuid"],
        staged_bytes=job["staged_bytes"],
        staging_bytes=job["staging_bytes"],
        fraction=job.get("progress"),
        asset=Asset(pay.get("asset", Asset.USDC.value)),
        net_units=pay.get("net_units"),
        fee_units=pay.get("fee_units"),
        pay=pay.get("state") or "",
        is_estimate=bool(pay.get("estimate")),
    )


def how_far(attempt: AttemptRow) -> tuple[str, float | None]:
    """Words for how far an attempt is, and the share that is done, if that can be said.

    A run is measured by what its script says, else against its limit: a script may well end earlier.
    """
    if attempt.phase == "running":
        ran, limit = duration_text(attempt.run_seconds), duration_text(attempt.timeout_s)
        words = tr("{ran} of at most {limit}", ran=ran, limit=limit)
        if attempt.fraction is not None:
            return f"{words} · {attempt.fraction:.0%}", min(1.0, max(0.0, attempt.fraction))
        return words, min(1.0, attempt.run_seconds / max(1.0, attempt.timeout_s))
    if attempt.phase == "staging" and attempt.staging_bytes:
        done = attempt.staged_bytes or 0
        words = tr("{done} of {total}", done=bytes_text(done), total=bytes_text(attempt.staging_bytes))
        return words, min(1.0, done / attempt.staging_bytes)
    if attempt.run_seconds:
        return tr("ran {ran}", ran=duration_text(attempt.run_seconds)), None
    return "", None


def dispute_words(job: Mapping[str, Any]) -> str:
    """What the buyer disputes, and what to do about it; empty without a dispute."""
    found = job.get("dispute")
    if not found:
        return ""
    what = tr("The buyer disputes this job ({state}): {reason}", state=found["state"], reason=found["reason"])
    if found["decided_units"] is not None:
        return what
    until = time_text(found["decide_until_s"])
    return tr("{what}\nThe arbiter decides until {time}. What you say to it, once: cyxwiz-node answer {job} "
              "--text …", what=what, time=until, job=short_id(job["job_id"]).rstrip("…"))  # fmt: skip


def limits_of(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the sandbox of an attempt allows, as names and values."""
    found = job["limits"]
    outside = tr("allowed, but nothing on this network")
    return [
        (tr("Time"), duration_text(found["timeout_s"])),
        (tr("CPUs"), f"{found['cpus']:g}"),
        (tr("Memory"), bytes_text(found["memory_bytes"])),
        (tr("Output"), bytes_text(found["disk_bytes"])),
        (tr("Internet"), tr("none") if found["network"] == "none" else outside),
        (tr("GPU"), job["gpu_uuid"] or tr("none, CPU only")),
    ]
