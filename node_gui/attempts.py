"""Attempts at jobs as the window shows them. Pure: nothing is asked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui_kit.states import NODE_PHASES, Look, look
from gui_kit.words import bytes_text, duration_text, short_id, tr

LIVE = frozenset({"assigned", "staging", "installing", "running", "exited", "collecting", "delivering"})
"""Phases in which an attempt takes a slot."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as a row of the table."""

    key: str
    job_id: str
    name: str
    phase: str
    accepted_at_s: float
    run_seconds: float
    timeout_s: float
    detail: str
    failure: str
    gpu: str
    staged_bytes: int | None
    staging_bytes: int | None

    @property
    def title(self) -> str:
        """Its name, or the beginning of its id."""
        return self.name or short_id(self.job_id)

    @property
    def look(self) -> Look:
        return look(NODE_PHASES, self.phase)

    @property
    def is_live(self) -> bool:
        """Whether it takes a slot now."""
        return self.phase in LIVE


def attempt_row(job: dict[str, Any]) -> AttemptRow:
    """From an item of the answer to ``jobs``, or of ``jobs`` in ``status``."""
    return AttemptRow(
        f"{job['job_id']}/{job['epoch']}",
        job["job_id"],
        job["name"],
        job["phase"],
        job["accepted_at_s"],
        job["run_seconds"],
        job["timeout_s"],
        job["detail"],
        job["failure"] or "",
        job["gpu_uuid"],
        job["staged_bytes"],
        job["staging_bytes"],
    )


def how_far(attempt: AttemptRow) -> tuple[str, float | None]:
    """Words for how far an attempt is, and the share that is done, if that can be said.

    A run is measured against its limit: a script may well end earlier.
    """
    if attempt.phase == "running":
        words = tr("{ran} of at most {limit}", ran=duration_text(attempt.run_seconds),
                   limit=duration_text(attempt.timeout_s))  # fmt: skip
        return words, min(1.0, attempt.run_seconds / max(1.0, attempt.timeout_s))
    if attempt.phase == "staging" and attempt.staging_bytes:
        done = attempt.staged_bytes or 0
        words = tr("{done} of {total}", done=bytes_text(done), total=bytes_text(attempt.staging_bytes))
        return words, min(1.0, done / attempt.staging_bytes)
    if attempt.run_seconds:
        return tr("ran {ran}", ran=duration_text(attempt.run_seconds)), None
    return "", None


def limits_of(job: dict[str, Any], status: dict[str, Any]) -> list[tuple[str, str]]:
    """What the sandbox of an attempt allows, as names and values."""
    found = job.get("limits") or {}
    cpus = found.get("cpus", status.get("job_cpus"))
    memory = found.get("memory_bytes", status.get("job_memory_bytes"))
    output = found.get("output_bytes")
    pairs = [(tr("Time"), duration_text(job["timeout_s"]))]
    if cpus:
        pairs.append((tr("CPUs"), f"{cpus:g}"))
    if memory:
        pairs.append((tr("Memory"), bytes_text(memory)))
    if output:
        pairs.append((tr("Output"), bytes_text(output)))
    if "network" in found:
        allowed = found["network"] not in ("none", False)
        pairs.append((tr("Internet"), tr("allowed, but nothing on this network") if allowed else tr("none")))
    pairs.append((tr("GPU"), job["gpu_uuid"] or tr("none, CPU only")))
    return pairs
