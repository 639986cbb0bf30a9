"""Leases, attempts and fencing epochs.

Each claim of a job raises its epoch; only the node that holds the current epoch may speak for the job.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2p.core.limits import (
    ATTEMPT_SLACK_S,
    ATTEMPTS_MAX,
    LOST_EXCLUDE_S,
    REFUSED_EXCLUDE_S,
    REQUIREMENTS_INSTALL_MAX_S,
    STAGING_MAX_S,
)
from p2p.core.states import FailureCode, JobState


@dataclass(frozen=True, slots=True)
class NextStep:
    """Where a job goes after an attempt ended badly; ``exclude_s``: how long the node is kept off it."""

    state: JobState
    attempt: int
    exclude_s: float


def after_failure(attempt: int, code: FailureCode) -> NextStep:
    """A buyer's failure ends the job; another one is tried again elsewhere, ``ATTEMPTS_MAX`` times in all."""
    if code.is_buyers or attempt >= ATTEMPTS_MAX:
        return NextStep(JobState.FAILED, attempt, 0.0)
    return NextStep(JobState.QUEUED, attempt + 1, LOST_EXCLUDE_S)


def after_refusal(attempt: int) -> NextStep:
    """A node that does not take a job costs it no attempt."""
    return NextStep(JobState.QUEUED, attempt, REFUSED_EXCLUDE_S)


def is_expired(lease_expires_at_s: float, now_s: float) -> bool:
    """The node's time is over at the moment named, not after it."""
    return now_s >= lease_expires_at_s


def attempt_ends_s(
    state: JobState, assigned_at_s: float | None, running_at_s: float | None, timeout_s: int
) -> float:
    """When an attempt in ``state`` has to have gone on, however punctually its node beats."""
    if state is JobState.RUNNING and running_at_s is not None:
        return running_at_s + timeout_s + ATTEMPT_SLACK_S
    if state in (JobState.ASSIGNED, JobState.STAGING) and assigned_at_s is not None:
        return assigned_at_s + STAGING_MAX_S + REQUIREMENTS_INSTALL_MAX_S + ATTEMPT_SLACK_S
    return math.inf


def steps_to(old: JobState, new: JobState) -> tuple[JobState, ...]:
    """The states to pass through when a node reports ``new``, so that a lost report leaves no gap.

    Empty when the job is already there or further: repeating a report is harmless.
    """
    order = (JobState.ASSIGNED, JobState.STAGING, JobState.RUNNING, JobState.DELIVERING)
    if old not in order or new not in order:
        return ()
    return order[order.index(old) + 1 : order.index(new) + 1]
