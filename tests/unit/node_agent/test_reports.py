"""What is due to be reported follows from the phase and from what was acknowledged."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.jobspec import JobConfig, JobSpec
from p2p.core.limits import LOG_TOTAL_MAX_BYTES
from p2p.core.manifest import Manifest
from p2p.core.messages.nodes import Assignment
from p2p.core.money import Asset
from p2p.core.states import TRANSITIONS, FailureCode, JobState
from p2p.node.reports import deliver_report, held_job, next_report, run_seconds
from p2p.node.results import make_statement
from p2p.store.node import PHASES, JobRecord, Phase

T = TypeVar("T")

NOW_S = 1000.0
SIGNER = "peer"
RECORD = JobRecord(
    job_id="a" * 32,
    epoch=1,
    revision=1,
    phase=Phase.ASSIGNED,
    assignment=b"",
    gpu_uuid="",
    image="sha256:1",
    cpus=1.0,
    memory_bytes=1 << 30,
    container_id="",
    accepted_at_s=900.0,
    updated_at_s=900.0,
    started_at_s=None,
    finished_at_s=None,
    exit_code=None,
    cpu_seconds=0.0,
    memory_peak_bytes=0,
    failure=None,
    detail="",
    stop_reason=None,
    manifest=None,
    statement=None,
    statement_signature=None,
    reported=None,
    received_at_s=None,
    log_bytes=0,
    log_cursor="",
    log_kept=True,
    dispute=None,
    timeout_s=None,
)


def drain(record: JobRecord) -> tuple[list[JobState], JobRecord]:
    """Report until nothing is due."""
    states = []
    while (report := next_report(record, SIGNER, NOW_S)) is not None:
        states.append(report.state)
        record = replace(record, reported=report.state)
    return states, record


@given(st.data())
def test_along_any_way_through_the_phases_the_coordinator_can_follow(data: st.DataObject) -> None:
    record, seen = RECORD, [JobState.ASSIGNED]
    while PHASES[record.phase]:
        phase = data.draw(st.sampled_from(sorted(PHASES[record.phase], key=lambda phase: phase.value)))
        record = replace(record, phase=phase, started_at_s=950.0 if phase is Phase.RUNNING else None)
        if phase is Phase.FAILED:
            record = replace(record, failure=FailureCode.NODE)
        if data.draw(st.booleans()):  # otherwise the coordinator is away meanwhile
            states, record = drain(record)
            seen += states
    for old, new in pairwise(seen):
        assert new in TRANSITIONS[old]


def test_what_a_coordinator_missed_is_reported_one_by_one() -> None:
    record = replace(RECORD, phase=Phase.DELIVERING, statement=b"s", statement_signature=b"x")
    assert drain(record)[0] == [JobState.STAGING, JobState.RUNNING, JobState.DELIVERING]


def test_only_a_delivery_has_the_statement_and_only_a_failure_its_reason() -> None:
    delivering = replace(
        RECORD,
        phase=Phase.DELIVERING,
        reported=JobState.RUNNING,
        statement=b"s",
        statement_signature=b"x",
        detail="The script ended normally.",
    )
    report = next_report(delivering, SIGNER, NOW_S)
    assert report is not None
    assert report.statement is not None
    assert (report.statement.payload, report.statement.signer) == (b"s", SIGNER)
    assert (report.failure, report.detail) == (None, "")
    failed = replace(RECORD, phase=Phase.FAILED, failure=FailureCode.TIMEOUT, detail="It had 10 s.")
    report = next_report(failed, SIGNER, NOW_S)
    assert report is not None
    assert (report.state, report.failure, report.detail) == (
        JobState.FAILED,
        FailureCode.TIMEOUT,
        "It had 10 s.",
    )


def test_running_is_reported_only_once_the_container_has_started() -> None:
    intended = replace(RECORD, phase=Phase.RUNNING, reported=JobState.STAGING)
    assert next_report(intended, SIGNER, NOW_S) is None
    assert next_report(replace(intended, started_at_s=990.0), SIGNER, NOW_S) is not None


@pytest.mark.parametrize("phase", [Phase.ASSIGNED, Phase.STOPPED, Phase.CLEANED])
def test_nothing_is_reported_of(phase: Phase) -> None:
    assert next_report(replace(RECORD, phase=phase), SIGNER, NOW_S) is None


def test_time_runs_from_start_to_finish() -> None:
    assert run_seconds(RECORD, NOW_S) == 0
    started = replace(RECORD, started_at_s=990.0)
    assert run_seconds(started, NOW_S) == 10
    assert run_seconds(replace(started, finished_at_s=992.5), NOW_S) == 2.5


def test_a_heartbeat_names_what_is_held_by_the_last_acknowledged_state() -> None:
    held = held_job(replace(RECORD, phase=Phase.RUNNING, started_at_s=990.0), NOW_S)
    assert held is not None
    assert (held.state, held.run_seconds) == (JobState.ASSIGNED, 10)
    failed = replace(RECORD, phase=Phase.FAILED, failure=FailureCode.NODE)
    assert held_job(failed, NOW_S) is not None
    assert held_job(replace(failed, reported=JobState.FAILED), NOW_S) is None
    assert held_job(replace(RECORD, phase=Phase.STOPPED), NOW_S) is None


class Answering:
    """A coordinator that answers each report with the next of ``answers``."""

    def __init__(self, *answers: CyxWizError | None) -> None:
        self.answers = list(answers)

    async def call(self, method: str, request: object, kind: type[T]) -> T:
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer
        return kind()


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [
        ((None,), True),
        ((EnvironmentFailure("peer_unreachable", "Away."), None), True),
        ((UserError("unknown_method", "Not yet."), None), True),  # a coordinator that is just starting
        ((Refused("superseded", "Late."),), True),
        ((UserError("bad_statement", "No."),), False),
    ],
)
async def test_a_report_is_delivered_unless_the_coordinator_will_never_take_it(
    answers: tuple[CyxWizError | None, ...], accepted: bool, autojump_clock: trio.testing.MockClock
) -> None:
    coordinator = Answering(*answers)
    report = next_report(replace(RECORD, phase=Phase.STAGING), SIGNER, NOW_S)
    assert report is not None
    assert await deliver_report(coordinator, report) is accepted
    assert not coordinator.answers


def test_a_log_longer_than_a_job_may_have_is_not_sworn_to() -> None:
    config = JobConfig()
    spec = JobSpec("n", "train.py", config, bytes(32), 1, 1, False, Asset.USDC)
    job = Assignment("a" * 32, 1, spec, SIGNER, (), 45.0, "cpu", 1)
    record = replace(RECORD, phase=Phase.COLLECTING, log_bytes=LOG_TOTAL_MAX_BYTES)
    assert make_statement(job, record, Manifest(()), bytes(32), "sha256:1").log_bytes == LOG_TOTAL_MAX_BYTES
    with pytest.raises(UserError) as caught:
        make_statement(job, replace(record, log_bytes=LOG_TOTAL_MAX_BYTES + 1), Manifest(()), bytes(32), "x")
    assert caught.value.code == "log_full"
