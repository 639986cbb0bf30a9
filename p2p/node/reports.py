"""What the coordinator has to be told of an attempt, in which order."""

from __future__ import annotations

import logging
from typing import Protocol, TypeVar

import trio

from p2p.core.errors import CyxWizError, UserError
from p2p.core.limits import RECONNECT_FIRST_S, RECONNECT_MAX_S
from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import HeldJob, StateReport
from p2p.core.signing import Signed
from p2p.core.states import FailureCode, JobState
from p2p.store.node import JobRecord, Phase

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

# Codes with which the coordinator says that it will never want this report.
_FINAL_REFUSALS = frozenset({"superseded", "equivocation"})
# ... that there is something wrong with the report.
_BAD_REPORTS = frozenset({"bad_message", "bad_report", "bad_signature", "bad_statement"})
REFUSED_REPORT = "the coordinator does not accept what the node reports"
_ORDER = (JobState.STAGING, JobState.RUNNING, JobState.DELIVERING)
_TARGETS = {
    Phase.STAGING: JobState.STAGING,
    Phase.INSTALLING: JobState.STAGING,
    Phase.RUNNING: JobState.RUNNING,
    Phase.EXITED: JobState.RUNNING,
    Phase.COLLECTING: JobState.RUNNING,
    Phase.DELIVERING: JobState.DELIVERING,
    Phase.RELEASED: JobState.DELIVERING,
    Phase.FAILED: JobState.FAILED,
}


class Coordinator(Protocol):
    """What reporting needs of the coordinator's link."""

    async def call(self, method: str, request: object, kind: type[T]) -> T: ...


async def deliver_report(coordinator: Coordinator, report: StateReport) -> bool:
    """Tell the coordinator, again and again until it has answered that it knows or will never care.

    False: it refuses the report itself, and would for ever.
    """
    wait_s = RECONNECT_FIRST_S
    while True:
        try:
            await coordinator.call("job.report", report, Ack)
            return True
        except CyxWizError as error:
            if error.code in _FINAL_REFUSALS:
                _LOG.warning("job %s: report refused: %s", report.job_id, error.what)
                return True
            if error.code in _BAD_REPORTS:
                _LOG.error("job %s: report not understood: %s", report.job_id, error.what)
                return False
            _LOG.info("job %s: report not delivered yet: %s", report.job_id, error.what)
        await trio.sleep(wait_s)
        wait_s = min(2 * wait_s, RECONNECT_MAX_S)


def failure_of(phase: Phase, error: CyxWizError) -> FailureCode:
    """Whose fault a failed step is: what a user can mend is the buyer's, everything else the node's."""
    if not isinstance(error, UserError):
        return FailureCode.NODE
    if phase is Phase.INSTALLING:
        return FailureCode.REQUIREMENTS
    if phase is Phase.COLLECTING:
        return FailureCode.OUTPUT_FULL
    return FailureCode.INPUT


def run_seconds(record: JobRecord, now_s: float) -> float:
    """How long the script has run so far, or ran."""
    if record.started_at_s is None:
        return 0.0
    until_s = now_s if record.finished_at_s is None else record.finished_at_s
    return max(0.0, until_s - record.started_at_s)


def next_report(record: JobRecord, signer: str, now_s: float) -> StateReport | None:
    """The report that is due now, one state after the last acknowledged one; None when none is.

    States are reported one by one, so that a coordinator that was away still sees each of them.
    """
    target = _target(record)
    if target is None or record.reported in (target, JobState.FAILED):
        return None
    state = target
    if target is not JobState.FAILED:
        reported = _ORDER.index(record.reported) + 1 if record.reported else 0
        state = _ORDER[reported]
    statement = None
    if state is JobState.DELIVERING and record.statement and record.statement_signature:
        statement = Signed(record.statement, signer, record.statement_signature)
    return StateReport(
        job_id=record.job_id,
        epoch=record.epoch,
        state=state,
        run_seconds=run_seconds(record, now_s),
        failure=record.failure if state is JobState.FAILED else None,
        detail=record.detail if state is JobState.FAILED else "",
        statement=statement,
    )


def held_job(record: JobRecord, now_s: float) -> HeldJob | None:
    """How a heartbeat names the attempt; None when the node holds it no longer.

    The state is the last one that the coordinator has acknowledged.
    """
    if record.phase.is_over or record.reported is JobState.FAILED:
        return None
    state = record.reported or JobState.ASSIGNED
    return HeldJob(record.job_id, record.epoch, state, run_seconds(record, now_s))


def _target(record: JobRecord) -> JobState | None:
    if record.phase is Phase.RUNNING and record.started_at_s is None:
        return JobState.STAGING
    return _TARGETS.get(record.phase)
