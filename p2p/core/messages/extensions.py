"""More time for a job that goes on: asked for, paid into its escrow, then agreed."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.signing import Signed


@dataclass(frozen=True, slots=True)
class ExtendRequest:
    """``job.extend``: what would so many seconds more cost a job that has not ended its run? Nothing is
    changed by it."""

    job_id: str
    seconds: int


@dataclass(frozen=True, slots=True)
class ExtendOffer:
    """The job's terms with the longer limit and the deposit that it takes; all else as it was agreed."""

    terms: Signed


@dataclass(frozen=True, slots=True)
class ExtendedRequest:
    """``job.extended``: the escrow holds the deposit of these terms; let the job run so long. Idempotent."""

    job_id: str
    terms: Signed
