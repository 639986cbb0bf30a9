"""What is known of jobs beside the journal: who waits for news, how far transfers and the script are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import trio

from p2p.core.metrics import Progress
from p2p.local.signals import Signal


class Direction(Enum):
    """Which way files go."""

    UP = "up"  # inputs, to the node
    DOWN = "down"  # outputs, from the node


@dataclass(slots=True)
class Transfer:
    """A transfer that goes on now."""

    direction: Direction
    done_bytes: int
    total_bytes: int


@dataclass(slots=True)
class LiveJob:
    """One job's news: ``log`` is rung when its log has grown, ``news`` when anything else has changed,
    ``retry`` when somebody did something about what stopped it. ``usage_limits``: cores and memory of its
    container; ``usage_ended``: the attempt all of whose samples are here. ``top_up_lock``: held
    while one is agreed to, so that two are not signed at once."""

    job_id: str
    news: Signal = field(default_factory=Signal)
    log: Signal = field(default_factory=Signal)
    retry: Signal = field(default_factory=Signal)
    transfer: Transfer | None = None
    progress: Progress = field(default_factory=Progress)
    metrics: dict[str, float] = field(default_factory=dict)
    usage_lock: trio.Lock = field(default_factory=trio.Lock)
    usage_limits: tuple[float, int] | None = None
    usage_ended: int = 0
    top_up_lock: trio.Lock = field(default_factory=trio.Lock)


class LiveJobs:
    """All jobs' news, made when they are first asked for."""

    def __init__(self) -> None:
        self._jobs: dict[str, LiveJob] = {}
        self.any = Signal()

    def __getitem__(self, job_id: str) -> LiveJob:
        return self._jobs.setdefault(job_id, LiveJob(job_id))

    def ring(self, job_id: str) -> None:
        """Something about the job has changed."""
        self[job_id].news.ring()
        self.any.ring()

    def retry_all(self) -> None:
        """Somebody did something that may help any job."""
        for job in self._jobs.values():
            job.retry.ring()

    def forget(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
