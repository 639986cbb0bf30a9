"""The life of a job."""

from __future__ import annotations

import pytest

from p2p.core.errors import Refused
from p2p.core.states import (
    DISPUTE_TRANSITIONS,
    TRANSITIONS,
    DisputeState,
    FailureCode,
    JobState,
    check_dispute_step,
    check_transition,
)


def test_every_state_is_in_the_table_and_reachable() -> None:
    assert set(TRANSITIONS) == set(JobState)
    reached = {JobState.QUEUED}
    while new := {s for state in reached for s in TRANSITIONS[state]} - reached:
        reached |= new
    assert reached == set(JobState)


def test_every_job_can_end_with_its_money_moved() -> None:
    ends = {JobState.SETTLED, JobState.REFUNDED}
    assert {state for state in JobState if state.is_final} == ends
    can_end = set(ends)
    while new := {s for s in JobState if TRANSITIONS[s] & can_end} - can_end:
        can_end |= new
    assert can_end == set(JobState)


def test_failed_work_is_never_paid_and_paid_work_never_refunded() -> None:
    assert TRANSITIONS[JobState.FAILED] == {JobState.REFUNDED}
    with pytest.raises(Refused, match="settled cannot become refunded"):
        check_transition(JobState.SETTLED, JobState.REFUNDED)
    check_transition(JobState.RUNNING, JobState.DELIVERING)


def test_only_delivered_or_cancelled_work_is_paid() -> None:
    ways = {state for state in JobState if JobState.SETTLED in TRANSITIONS[state]}
    # Delivering: by a claim that stood through its window. Running work only after it was cancelled.
    assert ways == {JobState.DELIVERING, JobState.COMPLETED, JobState.CANCELLED}


def test_leased_and_over_exclude_each_other() -> None:
    assert not [state for state in JobState if state.is_leased and state.is_over]
    assert all(JobState.QUEUED in TRANSITIONS[state] for state in JobState if state.is_leased)


def test_every_failure_has_words_of_its_own() -> None:
    assert len({code.words for code in FailureCode}) == len(FailureCode)
    assert not FailureCode.NODE_LOST.is_buyers
    assert FailureCode.OUT_OF_MEMORY.is_buyers


def test_a_dispute_ends_once() -> None:
    assert set(DISPUTE_TRANSITIONS) == set(DisputeState)
    assert {state for state in DisputeState if not state.is_final} == {DisputeState.OPEN}
    for old in DisputeState:
        for new in DisputeState:
            if old is DisputeState.OPEN and new is not old:
                check_dispute_step(old, new)
            else:
                with pytest.raises(Refused, match=f"{old.value} cannot become {new.value}"):
                    check_dispute_step(old, new)
