"""The jobs that this node holds: takes them, resumes them after a start, names them in heartbeats."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import trio

from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.ids import parse_job_id, parse_peer_id
from p2p.core.jobspec import NetworkMode, check_data_url
from p2p.core.limits import (
    ADDRESSES_PER_PEER_MAX,
    CHUNK_CACHE_MAX_BYTES,
    DISK_RESERVE_BYTES,
    GIB,
    JOB_ROWS_KEPT_MAX,
    LOGS_KEPT_MAX_BYTES,
    LOGS_KEPT_S,
    OUTPUT_MAX_BYTES,
    REASON_MAX_CHARS,
    STOP_OLDER_S,
    TIDY_INTERVAL_S,
)
from p2p.core.messages.nodes import Assignment, AssignReply, HeldJob, LeaseGrant, StopOrder
from p2p.core.states import JobState
from p2p.core.text import clean_name
from p2p.node.capacity import Capacity
from p2p.node.reports import held_job
from p2p.node.runner import RunSpec
from p2p.node.settings import NodeSettings
from p2p.node.spool import Spool
from p2p.node.supervisor import Services, Supervisor
from p2p.node.tools import remove_tree
from p2p.node.usage import samples_in
from p2p.store.node import JobRecord, Phase
from p2p.store.samples import SampleFile
from p2p.wire.codec import encode

_LOG = logging.getLogger(__name__)

Key = tuple[str, int]


class Jobs:
    """All attempts that are not cleaned up, each under a supervisor of its own."""

    def __init__(
        self,
        services: Services,
        settings: Callable[[], NodeSettings],
        capacity: Callable[[], Capacity],
        refusal: Callable[[Assignment], str],
        nursery: trio.Nursery,
    ) -> None:
        self._services = services
        self._settings = settings
        self._capacity = capacity
        self._refusal = refusal
        self._nursery = nursery
        self._supervisors: dict[Key, Supervisor] = {}
        self._accepting = trio.Lock()
        self.leaving = False

    # -- what is held

    def held(self) -> tuple[HeldJob, ...]:
        """How a heartbeat names what is held now."""
        now_s = self._services.clock.now_s()
        leased = (supervisor for supervisor in self._supervisors.values() if not supervisor.paid)
        found = (held_job(supervisor.record, now_s) for supervisor in leased)
        return tuple(job for job in found if job is not None)

    def supervisors(self) -> tuple[Supervisor, ...]:
        """Those that are not cleaned up yet, oldest first."""
        return tuple(self._supervisors.values())

    def find(self, job_id: str, epoch: int) -> Supervisor | None:
        """The supervisor of an attempt that is not cleaned up."""
        return self._supervisors.get((job_id, epoch))

    def busy_slots(self) -> frozenset[str]:
        """GPU uuids (empty for the CPU slot) that jobs occupy."""
        records = (supervisor.record for supervisor in self._supervisors.values())
        return frozenset(record.gpu_uuid for record in records if record.phase.takes_slot)

    async def spool(self, record: JobRecord) -> Spool:
        """The log of any attempt whose log is kept."""
        supervisor = self._supervisors.get(record.key)
        if supervisor is not None:
            return supervisor.spool
        return Spool(self._folder(record.key) / "log", record.log_bytes, ended=True)

    def samples(self, record: JobRecord) -> SampleFile:
        """What the container of any attempt used; empty once its log is not kept any more."""
        return samples_in(self._folder(record.key))

    # -- start

    async def resume(self) -> None:
        """Go on with everything that the journal holds, after clearing what no job there accounts for."""
        records = await self._services.tables.open_jobs()
        try:
            for removed in await self._services.runner.sweep({record.key for record in records}):
                _LOG.info("removed a leftover: %s", removed)
        except EnvironmentFailure as failure:
            _LOG.warning("leftovers could not be looked for: %s", failure.what)
        for record in records:
            _LOG.info("job %s epoch %d: goes on from %s", *record.key, record.phase.value)
            self._start(record)

    def _start(self, record: JobRecord) -> Supervisor:
        supervisor = Supervisor(self._services, record)
        self._supervisors[record.key] = supervisor
        self._nursery.start_soon(self._supervise, supervisor)
        return supervisor

    async def _supervise(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
            self._supervisors.pop(supervisor.record.key, None)
        except Exception:
            # A mistake of ours in one job must not take the others down; it goes on at the next start.
            _LOG.exception("job %s epoch %d: its supervisor broke", *supervisor.record.key)

    # -- job.assign

    async def assign(self, job: Assignment) -> AssignReply:
        """Take a job if it can run here now; the journal has it before the answer goes out.

        :raises CyxWizError: the journal cannot be written, or Docker broke in an unexpected way.
        """
        async with self._accepting:
            try:
                check_assignment(job)
                return await self._assign(job)
            except EnvironmentFailure as failure:
                return _refused(failure.what)
            except UserError as error:
                return _refused(error.what)

    async def _assign(self, job: Assignment) -> AssignReply:
        tables = self._services.tables
        latest = await tables.latest(job.job_id)
        if latest is not None and latest.epoch > job.epoch:
            return _refused("The node has seen a later attempt of this job.")
        if latest is not None and latest.epoch == job.epoch:
            ended = latest.phase in (Phase.FAILED, Phase.STOPPED, Phase.CLEANED)
            return _refused("That attempt has already ended here.") if ended else AssignReply(True)
        if latest is not None and (older := self.find(*latest.key)) is not None:
            await older.order_stop("superseded by a later attempt")
            with trio.move_on_after(STOP_OLDER_S):
                await older.finished.wait()
        problem = self._problem(job)
        if problem:
            return _refused(problem)
        settings, runner = self._settings(), self._services.runner
        image = await runner.find_image(settings.image or None)
        place = self._capacity().place(job, self.busy_slots(), image)
        if place is None:
            return _refused("No slot that the job could use is free.")
        check_run(job, place.memory_bytes, place.cpus, image)
        record = await tables.accept(job.job_id, job.epoch, encode(job), place)
        self._start(record)
        return AssignReply(True)

    def _problem(self, job: Assignment) -> str:
        """Why the job cannot be taken at all; empty if it may."""
        if words := self._refusal(job):
            return words
        if job.spec.config.network is NetworkMode.OUTBOUND and not self._capacity().outbound:
            return "The node takes no jobs that want the internet."
        needed = 2 * job.spec.input_bytes + OUTPUT_MAX_BYTES + DISK_RESERVE_BYTES
        free = shutil.disk_usage(self._services.folder).free
        if free < needed:
            return f"The node has {free / GIB:.1f} GiB of disk free; the job needs {needed / GIB:.1f} GiB."
        return ""

    # -- orders of the coordinator

    async def stop(self, order: StopOrder) -> None:
        """End the attempts of a job up to the order's epoch."""
        for supervisor in self.supervisors():
            record = supervisor.record
            if record.job_id == order.job_id and record.epoch <= order.epoch:
                await supervisor.order_stop(order.reason)

    async def orders(
        self, sent: tuple[HeldJob, ...], leases: tuple[LeaseGrant, ...], stop: tuple[StopOrder, ...]
    ) -> None:
        """What the coordinator answered to a heartbeat or registration that named ``sent``.

        A delivered job that gets neither lease nor order is over for the coordinator.
        """
        for order in stop:
            await self.stop(order)
        for lease in leases:
            supervisor = self.find(lease.job_id, lease.epoch)
            if supervisor is not None and lease.timeout_s is not None:
                await supervisor.note_limit(lease.timeout_s)
        answered = {(lease.job_id, lease.epoch) for lease in leases}
        answered |= {(order.job_id, order.epoch) for order in stop}
        for job in sent:
            supervisor = self.find(job.job_id, job.epoch)
            if supervisor is None or (job.job_id, job.epoch) in answered:
                continue
            if job.state is JobState.DELIVERING:
                supervisor.order_over()

    async def give_up_all(self, reason: str) -> tuple[Supervisor, ...]:
        """End every attempt that runs, as the seller's decision; which those are.

        One that is being taken at this moment is among them.
        """
        async with self._accepting:
            running = tuple(found for found in self.supervisors() if found.record.phase.takes_slot)
        for supervisor in running:
            await supervisor.give_up(reason)
        return running

    async def stop_all(self, reason: str) -> None:
        """As :meth:`give_up_all`, and wait until nothing runs any more."""
        for supervisor in await self.give_up_all(reason):
            await supervisor.without_slot()

    # -- tidying

    async def tidy_regularly(self) -> None:
        """Keep caches, logs and rows of finished jobs within their limits, until cancelled."""
        while True:
            try:
                await self.tidy()
            except CyxWizError as error:
                _LOG.warning("could not tidy up: %s", error.what)
            await trio.sleep(TIDY_INTERVAL_S)

    async def tidy(self) -> None:
        """Once: drop what is too old or too much."""
        services = self._services
        await trio.to_thread.run_sync(services.staging.chunks.trim, CHUNK_CACHE_MAX_BYTES)
        kept = await services.tables.kept_logs()
        excess = sum(record.log_bytes for record in kept) - LOGS_KEPT_MAX_BYTES
        oldest_s = services.clock.now_s() - LOGS_KEPT_S
        for record in kept:
            if excess <= 0 and record.updated_at_s > oldest_s:
                continue
            # In this order, so that what cannot be removed now is tried again.
            await trio.to_thread.run_sync(_remove_kept, self._folder(record.key))
            await services.tables.note(record, log_kept=False)
            excess -= record.log_bytes
        await services.tables.forget(JOB_ROWS_KEPT_MAX)

    def _folder(self, key: Key) -> Path:
        return self._services.folder / key[0] / str(key[1])


def _remove_kept(folder: Path) -> None:
    remove_tree(folder)
    with suppress(OSError):  # other attempts of the job may have something there
        folder.parent.rmdir()


def check_assignment(job: Assignment) -> None:
    """Look at what came over the wire before anything is done with it.

    :raises UserError: something in it is impossible.
    """
    parse_job_id(job.job_id)
    parse_peer_id(job.engine_peer_id)
    if not 0 < job.epoch < 2**31 or len(job.engine_addresses) > ADDRESSES_PER_PEER_MAX:
        raise UserError("bad_assignment", "The assignment has impossible fields.")
    if job.spec.input_bytes < 0 or job.spec.input_files < 0:
        raise UserError("bad_assignment", "The assignment names inputs of impossible size.")
    if job.spec.data_url:
        check_data_url(job.spec.data_url)


def check_run(job: Assignment, memory_bytes: int, cpus: float, image: str) -> None:
    """Whether the runner could be told to run this.

    :raises UserError: a field is out of range.
    """
    RunSpec(
        job_id=job.job_id,
        epoch=job.epoch,
        script=job.spec.script,
        image=image,
        memory_bytes=memory_bytes,
        cpus=cpus,
        timeout_s=job.limit_s,
    )


def _refused(reason: str) -> AssignReply:
    return AssignReply(False, clean_name(reason, REASON_MAX_CHARS))
