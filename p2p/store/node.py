"""The node's tables: every attempt that this node took, and how far each has come.

A phase changes by one function, :meth:`NodeTables.advance`: compare-and-set on the revision, and an event
row in the same transaction. It is called *before* the deed that the phase stands for, so that an agent
that was killed finds what it may have been doing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import Bug, Refused
from p2p.core.states import FailureCode, JobState
from p2p.store.journal import Journal


class Phase(Enum):
    """Where an attempt is on this node. The comments say what is true from then on."""

    ASSIGNED = "assigned"  # accepted; the slot is taken
    STAGING = "staging"  # inputs may be partly here
    INSTALLING = "installing"  # inputs are here and verified
    RUNNING = "running"  # a container may exist
    EXITED = "exited"  # the container has ended; exit code and times are known
    COLLECTING = "collecting"  # the log is complete; outputs are being hashed
    DELIVERING = "delivering"  # the result statement is signed; the slot is free
    RELEASED = "released"  # the engine has everything
    FAILED = "failed"  # ended without success; the slot is free
    STOPPED = "stopped"  # ended by order of the coordinator; nobody waits for it
    CLEANED = "cleaned"  # nothing is left but this row and perhaps the log

    @property
    def takes_slot(self) -> bool:
        """The attempt occupies its GPU (or the CPU slot)."""
        return self in _SLOTTED

    @property
    def is_over(self) -> bool:
        """Only tidying is left."""
        return self in (Phase.STOPPED, Phase.CLEANED)


_P = Phase
_SLOTTED = frozenset({_P.ASSIGNED, _P.STAGING, _P.INSTALLING, _P.RUNNING, _P.EXITED, _P.COLLECTING})

PHASES: dict[Phase, frozenset[Phase]] = {
    _P.ASSIGNED: frozenset({_P.STAGING, _P.FAILED, _P.STOPPED}),
    _P.STAGING: frozenset({_P.INSTALLING, _P.FAILED, _P.STOPPED}),
    _P.INSTALLING: frozenset({_P.RUNNING, _P.FAILED, _P.STOPPED}),
    _P.RUNNING: frozenset({_P.EXITED, _P.FAILED, _P.STOPPED}),
    _P.EXITED: frozenset({_P.COLLECTING, _P.FAILED, _P.STOPPED}),
    _P.COLLECTING: frozenset({_P.DELIVERING, _P.FAILED, _P.STOPPED}),
    _P.DELIVERING: frozenset({_P.RELEASED, _P.STOPPED, _P.CLEANED}),
    _P.RELEASED: frozenset({_P.CLEANED}),
    _P.FAILED: frozenset({_P.CLEANED}),
    _P.STOPPED: frozenset({_P.CLEANED}),
    _P.CLEANED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One attempt as the journal has it. Times are Unix seconds; blobs are encoded messages."""

    job_id: str
    epoch: int
    revision: int
    phase: Phase
    assignment: bytes
    gpu_uuid: str
    image: str
    cpus: float
    memory_bytes: int
    container_id: str
    accepted_at_s: float
    updated_at_s: float
    started_at_s: float | None
    finished_at_s: float | None
    exit_code: int | None
    cpu_seconds: float
    memory_peak_bytes: int
    failure: FailureCode | None
    detail: str
    stop_reason: str | None
    manifest: bytes | None
    statement: bytes | None
    statement_signature: bytes | None
    reported: JobState | None
    received_at_s: float | None
    log_bytes: int
    log_cursor: str
    log_kept: bool
    dispute: bytes | None
    timeout_s: int | None

    @property
    def key(self) -> tuple[str, int]:
        return (self.job_id, self.epoch)


@dataclass(frozen=True, slots=True)
class Place:
    """What of the node an attempt gets: the GPU (empty: none), the image's digest, CPUs, memory."""

    gpu_uuid: str
    image: str
    cpus: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """One change of phase."""

    at_s: float
    old: Phase | None
    new: Phase
    detail: str


_COLUMNS = tuple(field.name for field in fields(JobRecord))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
_INSERT = """
    INSERT INTO jobs (job_id, epoch, revision, phase, assignment, gpu_uuid, image, cpus, memory_bytes,
                      accepted_at_s, updated_at_s)
    VALUES (:job_id, :epoch, 1, 'assigned', :assignment, :gpu_uuid, :image, :cpus, :memory_bytes,
            :now_s, :now_s)
    ON CONFLICT (job_id, epoch) DO NOTHING
"""
_EVENT = """
    INSERT INTO job_events (job_id, epoch, at_s, old, new, detail)
    VALUES (:job_id, :epoch, :at_s, :old, :new, :detail)
"""
_EVENTS = "SELECT at_s, old, new, detail FROM job_events WHERE job_id = ? AND epoch = ? ORDER BY seq"
_BY_KEY = " WHERE job_id = :job_id AND epoch = :epoch"
_OPEN = " WHERE phase <> 'cleaned' ORDER BY accepted_at_s"
_NEWEST = " ORDER BY accepted_at_s DESC LIMIT ?"
_LATEST = " WHERE job_id = ? ORDER BY epoch DESC LIMIT 1"
_KEPT_LOGS = " WHERE log_kept AND phase = 'cleaned' ORDER BY updated_at_s"
_FORGET = """
    DELETE FROM jobs WHERE phase = 'cleaned' AND NOT log_kept AND (job_id, epoch) NOT IN
        (SELECT job_id, epoch FROM jobs ORDER BY accepted_at_s DESC LIMIT ?)
"""


class NodeTables:
    """The jobs of a node over its journal."""

    def __init__(self, journal: Journal, clock: Clock = SYSTEM_CLOCK) -> None:
        self._journal = journal
        self._clock = clock
        self.on_step: Callable[[JobRecord], None] = lambda record: None
        """Told of each attempt that is taken or moves to another phase, once that is in the journal."""

    async def accept(self, job_id: str, epoch: int, assignment: bytes, place: Place) -> JobRecord:
        """Take a job on a slot; taking the same attempt again changes nothing and returns it as it is.

        :raises Refused: ``slot_taken``.
        """
        now_s = self._clock.now_s()

        def write(connection: sqlite3.Connection) -> tuple[bool, JobRecord]:
            row = {"job_id": job_id, "epoch": epoch, "assignment": assignment, "now_s": now_s}
            try:
                inserted = connection.execute(_INSERT, row | asdict(place)).rowcount
            except sqlite3.IntegrityError:
                raise Refused("slot_taken", "Another job runs in that slot.") from None
            if inserted:
                _add_event(connection, job_id, epoch, now_s, None, Phase.ASSIGNED, "")
            return inserted > 0, _fetch(connection, job_id, epoch)

        is_new, record = await self._journal.write(write)
        if is_new:
            self.on_step(record)
        return record

    async def advance(self, job: JobRecord, new: Phase, event: str = "", **values: Any) -> JobRecord:
        """Move ``job`` to ``new`` and set columns with it, provided that nobody moved it since it was read.

        ``event`` is the detail of the event row.

        :raises Bug: the table of phases does not have the step, or the record is stale.
        """
        if new not in PHASES[job.phase]:
            raise Bug(f"an attempt that is {job.phase.value} cannot become {new.value}")
        now_s = self._clock.now_s()

        def write(connection: sqlite3.Connection) -> JobRecord:
            columns = {"phase": new, "updated_at_s": now_s, **values}
            if not _update(connection, job, columns, revision=job.revision):
                raise Bug(f"job {job.job_id} epoch {job.epoch} moved on behind its supervisor's back")
            _add_event(connection, job.job_id, job.epoch, now_s, job.phase, new, event)
            return _fetch(connection, job.job_id, job.epoch)

        record = await self._journal.write(write)
        self.on_step(record)
        return record

    async def note(self, job: JobRecord, **values: Any) -> JobRecord:
        """Set columns of ``job`` other than its phase; returns it as it is now."""

        def write(connection: sqlite3.Connection) -> JobRecord:
            _update(connection, job, values)
            return _fetch(connection, job.job_id, job.epoch)

        return await self._journal.write(write)

    async def find(self, job_id: str, epoch: int) -> JobRecord | None:
        """One attempt."""
        return await self._one(_SELECT + " WHERE job_id = ? AND epoch = ?", (job_id, epoch))

    async def latest(self, job_id: str) -> JobRecord | None:
        """The attempt with the highest epoch that this node ever took of a job."""
        return await self._one(_SELECT + _LATEST, (job_id,))

    async def open_jobs(self) -> tuple[JobRecord, ...]:
        """Attempts that are not cleaned up yet, oldest first."""
        return await self._many(_SELECT + _OPEN, ())

    async def newest(self, limit: int) -> tuple[JobRecord, ...]:
        """The last attempts taken, newest first."""
        return await self._many(_SELECT + _NEWEST, (limit,))

    async def kept_logs(self) -> tuple[JobRecord, ...]:
        """Finished attempts whose log is still here, oldest first."""
        return await self._many(_SELECT + _KEPT_LOGS, ())

    async def forget(self, keep: int) -> int:
        """Drop finished attempts without a log, except the newest ``keep``; returns how many went."""

        def write(connection: sqlite3.Connection) -> int:
            return connection.execute(_FORGET, (keep,)).rowcount

        return await self._journal.write(write)

    async def events(self, job_id: str, epoch: int) -> tuple[PhaseEvent, ...]:
        """The history of one attempt."""

        def read(connection: sqlite3.Connection) -> tuple[PhaseEvent, ...]:
            rows = connection.execute(_EVENTS, (job_id, epoch)).fetchall()
            return tuple(
                PhaseEvent(row["at_s"], row["old"] and Phase(row["old"]), Phase(row["new"]), row["detail"])
                for row in rows
            )

        return await self._journal.read(read)

    async def _one(self, sql: str, values: Iterable[Any]) -> JobRecord | None:
        found = await self._many(sql, tuple(values))
        return found[0] if found else None

    async def _many(self, sql: str, values: tuple[Any, ...]) -> tuple[JobRecord, ...]:
        def read(connection: sqlite3.Connection) -> tuple[JobRecord, ...]:
            return tuple(_record(row) for row in connection.execute(sql, values).fetchall())

        return await self._journal.read(read)


def _fetch(connection: sqlite3.Connection, job_id: str, epoch: int) -> JobRecord:
    row = connection.execute(_SELECT + _BY_KEY, {"job_id": job_id, "epoch": epoch}).fetchone()
    if row is None:
        raise Bug(f"job {job_id} epoch {epoch} is not in the journal")
    return _record(row)


def _update(
    connection: sqlite3.Connection, job: JobRecord, values: dict[str, Any], *, revision: int | None = None
) -> bool:
    unknown = set(values) - set(_COLUMNS)
    if unknown:
        raise Bug(f"the table of jobs has no column {sorted(unknown)[0]}")
    row = {name: item.value if isinstance(item, Enum) else item for name, item in values.items()}
    row |= {"job_id": job.job_id, "epoch": job.epoch, "expected": revision}
    setting = "".join(f", {name} = :{name}" for name in values)
    # A note leaves the revision alone: only steps compete with one another.
    bump = "revision = revision + 1" if revision is not None else "revision = revision"
    guard = " AND revision = :expected" if revision is not None else ""
    return connection.execute(f"UPDATE jobs SET {bump}{setting}{_BY_KEY}{guard}", row).rowcount == 1


def _add_event(
    connection: sqlite3.Connection,
    job_id: str,
    epoch: int,
    at_s: float,
    old: Phase | None,
    new: Phase,
    detail: str,
) -> None:
    row = {"job_id": job_id, "epoch": epoch, "at_s": at_s, "new": new.value, "detail": detail}
    connection.execute(_EVENT, row | {"old": old.value if old else None})


def _record(row: sqlite3.Row) -> JobRecord:
    values = {name: row[name] for name in _COLUMNS}
    values["phase"] = Phase(values["phase"])
    values["failure"] = FailureCode(values["failure"]) if values["failure"] else None
    values["reported"] = JobState(values["reported"]) if values["reported"] else None
    values["log_kept"] = bool(values["log_kept"])
    return JobRecord(**values)
