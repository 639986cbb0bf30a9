"""What a job's container used over time, from its node to its engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UsageSample:
    """``cpu_percent``: 100 is one core. ``disk_bytes``: what its output file system holds. The GPU's numbers
    are None where there is none."""

    at_s: float
    cpu_percent: float
    memory_bytes: int
    disk_bytes: int
    processes: int
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """``job.usage``: the samples of an attempt after the first so many."""

    job_id: str
    epoch: int
    after: int


@dataclass(frozen=True, slots=True)
class UsageReply:
    """``more``: ask again at once; ``ended``: the container has ended, no more samples will come. ``cpus``,
    ``memory_bytes``: what the container may use."""

    samples: tuple[UsageSample, ...]
    more: bool
    ended: bool
    cpus: float
    memory_bytes: int
