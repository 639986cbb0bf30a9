"""What a node reports of a job under its epoch."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from coordinator.domain.leases import after_failure, steps_to
from coordinator.domain.metering import run_start_s, used_seconds, used_units
from coordinator.domain.reasons import Reason
from coordinator.service.checks import HASH_BYTES, check_duration, check_signed, clean_detail
from coordinator.service.claims import withdraw
from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import JobRow, LoginRow
from p2p.core.errors import Refused, UserError
from p2p.core.limits import LOG_TOTAL_MAX_BYTES, MANIFEST_FILES_MAX, OUTPUT_MAX_BYTES
from p2p.core.messages.auth import Ack
from p2p.core.messages.jobs import ResultStatement
from p2p.core.messages.nodes import StateReport
from p2p.core.signing import Domain, Signed, signing_input
from p2p.core.states import FailureCode, JobState
from p2p.net.identity import verify_peer_signature
from p2p.wire.codec import decode

logger = logging.getLogger(__name__)

_REASONS = {
    JobState.STAGING: Reason.STAGING,
    JobState.RUNNING: Reason.RUNNING,
    JobState.DELIVERING: Reason.DELIVERING,
}


@dataclass(frozen=True, slots=True)
class _Checked:
    report: StateReport
    statement: ResultStatement | None


class Reports:
    """``job.report``."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def report(self, login: LoginRow, report: StateReport) -> Ack:
        """Move the job on.

        :raises Refused: ``superseded``: the job is no longer this node's under this epoch;
            ``equivocation``: another statement was signed for this epoch before.
        :raises UserError: the report contradicts itself or the job.
        """
        checked = _check(login.peer_id, report)
        job = await self._context.run(lambda tx: self._apply(tx, login.peer_id, checked))
        await self._context.effect(Boundary.REPORT_KEPT)
        if job is None:
            logger.error("job %s: node %s signed two results for one epoch", report.job_id, login.peer_id)
            raise Refused("equivocation", "Another result was signed for this epoch before.")
        self._context.events.post(job.buyer)
        if report.state in (JobState.FAILED, JobState.DELIVERING):
            self._context.dispatch.set()  # a slot is free
            self._context.settle.set()
        return Ack()

    def _apply(self, tx: Tx, peer_id: str, checked: _Checked) -> JobRow | None:
        """None: it contradicts an earlier result, and is kept as evidence."""
        now_s = self._context.now_s()
        report = checked.report
        job = jobs.lock(tx, report.job_id)
        if job is None or job.node_peer_id != peer_id or job.epoch != report.epoch:
            raise _superseded()
        if _is_repeated(job, report):
            return job
        if not job.status.is_leased:
            raise _superseded()
        if report.state is JobState.FAILED:
            return _fail(tx, job, report, now_s)
        if checked.statement is not None and report.statement is not None:
            _check_against(job, checked.statement)
            if not jobs.put_statement(tx, job, report.statement, now_s):
                return None
        for state in steps_to(job.status, report.state):
            job = self._step(tx, job, state, checked, now_s)
        return job

    def _step(self, tx: Tx, job: JobRow, state: JobState, checked: _Checked, now_s: float) -> JobRow:
        if state is JobState.RUNNING:
            start_s = run_start_s(now_s, checked.report.run_seconds, job.assigned_at_s or now_s)
            tx.execute("jobs.set_running", job_id=job.job_id, running_at_s=start_s)
        if state is JobState.DELIVERING and checked.statement is not None:
            begun_s = job.running_at_s if job.running_at_s is not None else now_s
            seconds = used_seconds(checked.statement.run_seconds, now_s - begun_s, job.timeout_s)
            units = used_units(job.rate_units_per_hour or 0, seconds, job.deposit_units)
            tx.execute("jobs.set_used", job_id=job.job_id, used_seconds=seconds, used_units=units)
        jobs.move(tx, job, state, _REASONS[state].value, now_s, clean_detail(checked.report.detail))
        moved = jobs.lock(tx, job.job_id)
        assert moved is not None
        return moved


def _fail(tx: Tx, job: JobRow, report: StateReport, now_s: float) -> JobRow:
    code, detail = report.failure or FailureCode.NODE, clean_detail(report.detail)
    standing = withdraw(tx, job, now_s)
    if standing is None:
        return end_attempt(tx, job, code, detail, now_s)
    # Nobody else can be assigned any more; a node that cannot deliver after all is not paid.
    if standing.window_ends_at_s is not None and standing.window_ends_at_s <= now_s:
        raise _superseded()
    failed = jobs.fail(tx, job, code, detail, now_s)
    outbox.refund(tx, failed, now_s)
    return failed


def end_attempt(tx: Tx, job: JobRow, code: FailureCode, detail: str, now_s: float) -> JobRow:
    """An attempt ended badly: again elsewhere, or the end and everything back to the buyer."""
    step = after_failure(job.attempt, code)
    if step.state is JobState.QUEUED:
        return jobs.requeue(tx, job, step, code.value, now_s, detail)
    failed = jobs.fail(tx, job, code, detail, now_s)
    outbox.refund(tx, failed, now_s)
    return failed


def _is_repeated(job: JobRow, report: StateReport) -> bool:
    """Whether the job is where the report wants it already, or further."""
    if report.state is JobState.FAILED:
        return job.status in (JobState.FAILED, JobState.REFUNDED)
    return job.status in (JobState.COMPLETED, JobState.SETTLED)


def _check(peer_id: str, report: StateReport) -> _Checked:
    check_duration(report.run_seconds)
    if report.state not in (*_REASONS, JobState.FAILED):
        raise UserError("bad_report", f"A node cannot report {report.state.value}.")
    if (report.state is JobState.FAILED) != (report.failure is not None):
        raise UserError("bad_report", "A failure needs its code, and only a failure has one.")
    if (report.state is JobState.DELIVERING) != (report.statement is not None):
        raise UserError("bad_report", "A result needs its statement, and only a result has one.")
    if report.statement is None:
        return _Checked(report, None)
    return _Checked(report, _verified(peer_id, report, report.statement))


def _verified(peer_id: str, report: StateReport, signed: Signed) -> ResultStatement:
    check_signed(signed)
    if signed.signer != peer_id or not verify_peer_signature(
        peer_id, signing_input(Domain.RESULT, signed.payload), signed.signature
    ):
        raise UserError("bad_signature", "The result statement is not signed by this node.")
    statement = decode(ResultStatement, signed.payload)
    check_duration(statement.run_seconds)
    good = (
        statement.job_id == report.job_id
        and statement.epoch == report.epoch
        and statement.exit_code == 0
        and len(statement.output_root) == HASH_BYTES
        and len(statement.log_sha256) == HASH_BYTES
        and 0 <= statement.output_bytes <= OUTPUT_MAX_BYTES
        and 0 <= statement.output_files <= MANIFEST_FILES_MAX
        and 0 <= statement.log_bytes <= LOG_TOTAL_MAX_BYTES
    )
    if not good:
        raise UserError("bad_statement", "The result statement is not one of a success of this job.")
    return statement


def _check_against(job: JobRow, statement: ResultStatement) -> None:
    if statement.input_root != job.job_spec.input_root:
        raise UserError("bad_statement", "The result statement is about other inputs.")


def _superseded() -> Refused:
    return Refused(
        "superseded",
        "This job is not this node's under this epoch.",
        "Somebody else runs it by now, or it has ended; nothing will be paid for it.",
        "Stop it and clean up.",
    )
