"""Between engine and node directly: manifests, logs and the end of a delivery."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Side(Enum):
    """Which files of a job."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """``files.manifest``: the files of one side of a job, under an epoch."""

    job_id: str
    epoch: int
    side: Side


@dataclass(frozen=True, slots=True)
class ManifestReply:
    """The manifest (an encoded :class:`p2p.core.manifest.Manifest`) and the grant for its chunks."""

    manifest: bytes
    grant: str


@dataclass(frozen=True, slots=True)
class LogRequest:
    """``logs.follow`` (streaming): a job's log from a byte offset, until the job has ended."""

    job_id: str
    epoch: int
    offset: int


@dataclass(frozen=True, slots=True)
class LogItem:
    """Raw log bytes at ``offset``; ``ended`` with the last one. Untrusted text: clean before showing."""

    offset: int
    data: bytes
    ended: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedNotice:
    """``job.received`` (engine to node): everything arrived; outputs may be deleted after settlement."""

    job_id: str
    epoch: int
