"""One attempt at one job, from the moment it was accepted until nothing of it is left.

The journal has the phase; this drives it. Each step may be begun again from its start: that is what
happens after ``kill -9``. A step that fails notes why and the attempt ends; an order to stop interrupts
whatever is going on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from p2p.core.clock import Clock
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.limits import (
    LOG_DRAIN_S,
    REASON_MAX_CHARS,
    RECONNECT_FIRST_S,
    RECONNECT_MAX_S,
    TIMEOUT_MAX_S,
)
from p2p.core.manifest import Manifest
from p2p.core.messages.disputes import DisputeNotice
from p2p.core.messages.nodes import PAID_UNFETCHED, Assignment
from p2p.core.states import FailureCode, JobState
from p2p.core.text import clean_name
from p2p.net.identity import PeerIdentity
from p2p.node.attempt import Attempt, limit_of
from p2p.node.following import LogKeeper
from p2p.node.reading import restarted_since
from p2p.node.reports import REFUSED_REPORT, Coordinator, deliver_report, failure_of, next_report
from p2p.node.results import describe, make_statement, sign
from p2p.node.runner import Runner, RunSpec
from p2p.node.spool import Spool
from p2p.node.staging import Progress, Staging
from p2p.node.tools import known_error, patiently, remove_tree
from p2p.node.transfer import OutputSource
from p2p.node.usage import supervise_sampled
from p2p.store.node import PHASES, JobRecord, NodeTables, Phase
from p2p.wire.codec import decode, encode

_LOG = logging.getLogger(__name__)

# Reasons of a stop order that only say that the buyer has everything.
_DELIVERED = frozenset({JobState.COMPLETED.value, JobState.SETTLED.value})


@dataclass(frozen=True, slots=True)
class Services:
    """What all jobs of a node share. ``folder`` holds what is kept per job: log and outputs."""

    tables: NodeTables
    runner: Runner
    staging: Staging
    identity: PeerIdentity
    coordinator: Coordinator
    outputs: OutputSource
    clock: Clock
    folder: Path


class Supervisor(Attempt):
    """Drives one attempt; :meth:`run` returns once it is cleaned up."""

    def __init__(self, services: Services, record: JobRecord) -> None:
        super().__init__(services.tables, services.clock, record)
        self._services = services
        self.job = decode(Assignment, record.assignment)
        self.folder = services.folder / record.job_id / str(record.epoch)
        self.spool = Spool(self.folder / "log", record.log_bytes, ended=not may_still_print(record.phase))
        self.progress = Progress()
        self.finished = trio.Event()
        self.paid = False
        """Over for the coordinator; only the buyer may still come for the outputs."""
        self._scope = trio.CancelScope()
        self._over = False

    # -- what others tell it

    async def order_stop(self, reason: str) -> None:
        """The coordinator does not want this attempt any more; ``reason`` may be the job's last state."""
        if self.record.phase in (Phase.DELIVERING, Phase.RELEASED) and reason == PAID_UNFETCHED:
            self.paid = True
            self._wake()
            return
        delivered = self.record.phase is Phase.DELIVERING and reason in _DELIVERED
        if delivered or Phase.STOPPED not in PHASES[self.record.phase]:
            self.order_over()
        elif self.record.stop_reason is None:
            await self._note(stop_reason=clean_name(reason, REASON_MAX_CHARS) or "stopped")
            self._scope.cancel()

    def order_over(self) -> None:
        """The job is over for the coordinator: nobody will ask for the outputs any more."""
        self._over = True
        self._wake()

    async def give_up(self, reason: str) -> None:
        """The seller stops the attempt; the coordinator is told."""
        if Phase.FAILED in PHASES[self.record.phase] and self.record.failure is None:
            await self._note(failure=FailureCode.STOPPED, detail=clean_name(reason, REASON_MAX_CHARS))
            self._scope.cancel()

    async def order_received(self) -> None:
        """The buyer's engine has everything."""
        if self.record.received_at_s is None:
            await self._note(received_at_s=self._services.clock.now_s())

    async def note_dispute(self, notice: DisputeNotice) -> None:
        """The claim is disputed, or that has ended."""
        await self._note(dispute=encode(notice))

    async def note_limit(self, timeout_s: int) -> None:
        """The buyer has paid for more time; a limit never shrinks."""
        if self.limit_s < timeout_s <= TIMEOUT_MAX_S:
            await self._note(timeout_s=timeout_s)
            self._services.runner.extend(self.spec)

    # -- what others ask of it

    @property
    def limit_s(self) -> int:
        """How long the container may run, by now."""
        return limit_of(self.job, self.record)

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    def manifest(self) -> Manifest | None:
        """Of the outputs, once they are released to the buyer."""
        if self.record.phase not in (Phase.DELIVERING, Phase.RELEASED) or self.record.manifest is None:
            return None
        return decode(Manifest, self.record.manifest)

    @property
    def spec(self) -> RunSpec:
        """How the attempt runs, as it was decided when it was accepted."""
        config = self.job.spec.config
        return RunSpec(
            job_id=self.record.job_id,
            epoch=self.record.epoch,
            script=self.job.spec.script,
            image=self.record.image,
            memory_bytes=self.record.memory_bytes,
            cpus=self.record.cpus,
            timeout_s=self.limit_s,
            gpus=(self.record.gpu_uuid,) if self.record.gpu_uuid else (),
            network=config.network,
        )

    # -- the drive

    async def run(self) -> None:
        """Go on from wherever the journal says until the attempt is cleaned up."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report)
            wait_s = RECONNECT_FIRST_S
            while self.record.phase is not Phase.CLEANED:
                before = self.record.phase
                if await self._attempt(self._next_step()):
                    continue
                wait_s = RECONNECT_FIRST_S if self.record.phase is not before else wait_s
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, RECONNECT_MAX_S)
            nursery.cancel_scope.cancel()
        self.finished.set()

    def _next_step(self) -> Callable[[], Awaitable[None]]:
        later = PHASES[self.record.phase]
        if self.record.stop_reason is not None and Phase.STOPPED in later:
            return self._end_by_order
        if self.record.failure is not None and Phase.FAILED in later:
            return self._end_failed
        steps: dict[Phase, Callable[[], Awaitable[None]]] = {
            Phase.ASSIGNED: self._begin,
            Phase.STAGING: self._stage,
            Phase.INSTALLING: self._install,
            Phase.RUNNING: self._run,
            Phase.EXITED: self._after_exit,
            Phase.COLLECTING: self._collect,
            Phase.DELIVERING: self._deliver,
            Phase.RELEASED: self._await_settlement,
            Phase.FAILED: self._await_report,
            Phase.STOPPED: self._clean,
        }
        return steps[self.record.phase]

    async def _attempt(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Take a step; False if it should be tried again after a while."""
        try:
            with trio.CancelScope() as self._scope:
                await step()
        except Exception as problem:
            # Also a mistake of ours ends the attempt: an attempt that nobody drives would keep its lease.
            return await self._step_failed(step, known_error(problem))
        return True

    async def _step_failed(self, step: Callable[[], Awaitable[None]], error: CyxWizError) -> bool:
        ending = step in (self._end_by_order, self._end_failed)
        if ending or Phase.FAILED not in PHASES[self.record.phase]:
            _LOG.warning("job %s: %s: %s", self.record.job_id, self.record.phase.value, error.what)
            return False
        failure = failure_of(self.record.phase, error)
        detail = clean_name(" ".join(error.lines()[:2]), REASON_MAX_CHARS)
        return await self._try_note(failure=failure, detail=detail)

    # -- the steps, one per phase

    async def _begin(self) -> None:
        await self._advance(Phase.STAGING)

    async def _stage(self) -> None:
        runner = self._services.runner
        await self._services.staging.stage(
            self.job, runner.input_dir(self.spec), self.progress, self.record.accepted_at_s
        )
        await runner.prepare(self.spec)
        await self._advance(Phase.INSTALLING)

    async def _install(self) -> None:
        if self.job.spec.has_requirements:
            await self._services.runner.install_requirements(self.spec, self._log_install)
        await self._advance(Phase.RUNNING)

    def _log_install(self, line: str) -> None:
        _LOG.info("job %s: %s", self.record.job_id, clean_name(line, REASON_MAX_CHARS))

    async def _run(self) -> None:
        runner, spec = self._services.runner, self.spec
        await self._find_or_start()
        keeper = LogKeeper(runner, spec, self.spool, self._commit_log)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.follow, self.record.log_cursor)
            report = await supervise_sampled(runner, spec, self.folder, self._services.clock)
        self.spool.end()
        failure, detail = report.failure, report.words
        if failure is not None and restarted_since(self.record.started_at_s, report.finished_at_s):
            # Whatever the exit code says: the machine's restart ended it, not the script.
            failure, detail = FailureCode.NODE, "The node's machine was restarted while the job ran."
        elif failure is not None and (line := await keeper.last_line()):
            detail = f"{detail} Last line: {line}"
        await self._advance(
            Phase.EXITED,
            exit_code=report.exit_code,
            started_at_s=report.started_at_s,
            finished_at_s=report.finished_at_s,
            cpu_seconds=report.usage.cpu_s,
            memory_peak_bytes=report.usage.memory_peak_bytes,
            failure=failure,
            detail=clean_name(detail, REASON_MAX_CHARS),
        )

    async def _find_or_start(self) -> None:
        """Be sure that the container runs or ran; never run it a second time."""
        runner, spec = self._services.runner, self.spec
        if self.record.started_at_s is not None:
            if await patiently(lambda: runner.state(spec), self._services.clock) is None:
                raise EnvironmentFailure(
                    "container_gone",
                    "The job's container is not on the node any more.",
                    "Somebody removed it while the job ran.",
                )
            return
        container = await patiently(lambda: runner.start(spec), self._services.clock)
        state = await patiently(lambda: runner.state(spec), self._services.clock)
        started_at_s = state.started_at_s if state is not None else None
        if started_at_s is None:
            raise EnvironmentFailure("container_gone", "The job's container did not start.")
        await self._note(container_id=container, started_at_s=started_at_s)

    async def _after_exit(self) -> None:
        await self._advance(Phase.COLLECTING)

    async def _collect(self) -> None:
        services = self._services
        await trio.to_thread.run_sync(remove_tree, self.outputs)
        collected = await services.runner.collect(self.spec, self.outputs)
        paths = tuple(file.path for file in collected.files)
        manifest = await trio.to_thread.run_sync(describe, self.outputs, paths)
        log_sha256 = await self.spool.sha256()
        statement = make_statement(self.job, self.record, manifest, log_sha256, self.record.image)
        signed = sign(services.identity, statement)
        detail = f"{len(paths)} files"
        if collected.skipped_count:
            first = collected.skipped[0]
            detail += f"; {collected.skipped_count} left out, such as {first.name}, which {first.reason}"
        await self._advance(
            Phase.DELIVERING,
            detail,
            manifest=encode(manifest),
            statement=signed.payload,
            statement_signature=signed.signature,
        )

    async def _deliver(self) -> None:
        await self._services.runner.cleanup(self.spec)
        await self._wait_while_kept(lambda: self._over or self.record.received_at_s is not None)
        if self.record.received_at_s is not None and not self._over:
            await self._advance(Phase.RELEASED)
        else:
            await self._clean()

    async def _await_settlement(self) -> None:
        await self._wait_while_kept(lambda: self._over or self.paid)
        await self._clean()

    async def _await_report(self) -> None:
        while self.record.reported is not JobState.FAILED and not self._over:
            await self._changed.wait()
        await self._clean()

    async def _clean(self) -> None:
        self._services.outputs.withdraw(*self.record.key)
        await trio.to_thread.run_sync(remove_tree, self.outputs)
        self.spool.end()
        await self._advance(Phase.CLEANED)

    # -- the two bad ends

    async def _end_failed(self) -> None:
        await self._end_container(self.record.failure or FailureCode.NODE, self.record.detail)
        await self._advance(Phase.FAILED, self.record.detail)

    async def _end_by_order(self) -> None:
        reason = self.record.stop_reason or ""
        await self._end_container(FailureCode.STOPPED, reason)
        await self._advance(Phase.STOPPED, reason)

    async def _end_container(self, failure: FailureCode, reason: str) -> None:
        """Stop what runs, take the rest of its log if possible, and remove it with its mounts."""
        runner, spec = self._services.runner, self.spec
        state = await runner.state(spec)
        if self.record.phase is Phase.RUNNING and state is not None and state.status != "created":
            await runner.stop(spec, failure, reason)
            try:
                with trio.move_on_after(LOG_DRAIN_S):
                    keeper = LogKeeper(runner, spec, self.spool, self._commit_log)
                    await keeper.follow(self.record.log_cursor)
            except EnvironmentFailure as problem:
                _LOG.warning("job %s: the end of its log is lost: %s", self.record.job_id, problem.what)
            state = await runner.state(spec)
            if state is not None and state.over:
                await self._note(exit_code=state.exit_code, finished_at_s=state.finished_at_s)
        await runner.cleanup(spec)
        self.spool.end()

    async def _report(self) -> None:
        """Tell the coordinator each state, for as long as it takes."""
        services = self._services
        while True:
            changed = self._changed
            due = next_report(self.record, services.identity.peer_id, services.clock.now_s())
            if due is None:
                await changed.wait()
                continue
            if not await deliver_report(services.coordinator, due):
                await self.order_stop(REFUSED_REPORT)
                await trio.sleep_forever()
            if not await self._try_note(reported=due.state):
                await trio.sleep(RECONNECT_MAX_S)


def may_still_print(phase: Phase) -> bool:
    """Whether the log of an attempt in ``phase`` can still grow."""
    return phase in (Phase.ASSIGNED, Phase.STAGING, Phase.INSTALLING, Phase.RUNNING)
