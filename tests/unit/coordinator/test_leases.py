from __future__ import annotations

from itertools import pairwise

import pytest

from coordinator.domain.leases import after_failure, after_refusal, is_expired, steps_to
from coordinator.domain.reasons import Reason
from p2p.core.limits import ATTEMPTS_MAX
from p2p.core.states import TRANSITIONS, FailureCode, JobState


@pytest.mark.parametrize("code", FailureCode)
def test_only_a_nodes_failure_is_tried_again(code: FailureCode) -> None:
    step = after_failure(1, code)
    assert (step.state is JobState.FAILED) == code.is_buyers
    if not code.is_buyers:
        assert (step.state, step.attempt) == (JobState.QUEUED, 2)
        assert step.exclude_s > 0


def test_the_last_attempt_ends_the_job() -> None:
    attempt, states = 1, []
    while True:
        step = after_failure(attempt, FailureCode.NODE_LOST)
        states.append(step.state)
        if step.state is JobState.FAILED:
            break
        attempt = step.attempt
    assert len(states) == ATTEMPTS_MAX == 3


def test_a_refusal_costs_no_attempt() -> None:
    step = after_refusal(2)
    assert (step.state, step.attempt) == (JobState.QUEUED, 2)


def test_a_lease_is_over_at_its_moment() -> None:
    assert not is_expired(10.0, 9.999)
    assert is_expired(10.0, 10.0)


def test_a_lost_report_leaves_no_gap() -> None:
    s = JobState
    assert steps_to(s.ASSIGNED, s.DELIVERING) == (s.STAGING, s.RUNNING, s.DELIVERING)
    assert steps_to(s.RUNNING, s.STAGING) == ()
    assert steps_to(s.RUNNING, s.RUNNING) == ()
    assert steps_to(s.QUEUED, s.RUNNING) == ()
    for old in (s.ASSIGNED, s.STAGING, s.RUNNING):
        path = (old, *steps_to(old, s.DELIVERING))
        assert all(after in TRANSITIONS[before] for before, after in pairwise(path))


def test_every_reason_has_words() -> None:
    assert all(reason.words.endswith(".") for reason in Reason)
