"""The engine's tables: jobs by stage, their input files and history, hashes of files, settings.

A stage changes by one function, :meth:`EngineTables.advance`: compare-and-set on the revision, and an event
row in the same transaction. It is called *before* the deed that the stage stands for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import Bug
from p2p.core.ids import HASH_BYTES
from p2p.core.limits import HASHED_FILES_MAX
from p2p.store.journal import Journal
from p2p.store.stages import Stage, check_stage


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as the journal has it. Times are Unix seconds; blobs are encoded messages."""

    job_id: str
    revision: int
    stage: Stage
    created_at_s: float
    updated_at_s: float
    wallet: str
    spec: bytes
    out_folder: str
    cancel_wanted: bool
    terms: bytes | None
    signer: str
    open_transaction: bytes | None
    open_signature: str
    open_last_valid: int
    cancel_transaction: bytes | None
    cancel_signature: str
    cancel_last_valid: int
    view: bytes | None
    epoch: int
    log_complete: bool
    statement: bytes | None
    receipt: bytes | None
    fetched_at_s: float | None
    charged_units: int | None
    problem: str | None
    dispute: bytes | None
    dispute_transaction: bytes | None
    dispute_signature: str
    dispute_last_valid: int
    dispute_known: bool
    topup: bytes | None
    topup_transaction: bytes | None
    topup_signature: str
    topup_last_valid: int
    escrow_units: int


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input: its manifest path, where it lies here (``os.fsencode``), its size when it was hashed."""

    path: str
    source: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job begins with."""

    job_id: str
    wallet: str
    spec: bytes
    manifest: bytes
    out_folder: str
    files: Sequence[InputFile]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of a job's history; ``remote_seq`` is the coordinator's number, None for what was here."""

    at_s: float
    state: str
    detail: str
    remote_seq: int | None = None


@dataclass(frozen=True, slots=True)
class NewsRow:
    """One thing that is worth telling; its number, and what it is about."""

    seq: int
    at_s: float
    kind: str
    job_id: str | None
    detail: str


_COLUMNS = tuple(field.name for field in fields(JobRow))
_FLAGS = ("cancel_wanted", "log_complete", "dispute_known")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
_INSERT = """
    INSERT INTO jobs (job_id, revision, stage, created_at_s, updated_at_s, wallet, spec, out_folder)
    VALUES (:job_id, 1, 'packaged', :now_s, :now_s, :wallet, :spec, :out_folder)
"""
_INSERT_MANIFEST = "INSERT INTO input_manifests (job_id, manifest) VALUES (?, ?)"
_INSERT_FILE = "INSERT INTO input_files (job_id, path, source, size_bytes) VALUES (?, ?, ?, ?)"
_INSERT_EVENT = """
    INSERT INTO job_events (job_id, at_s, state, detail, remote_seq) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (job_id, remote_seq) DO NOTHING
"""
_BY_PREFIX = _SELECT + " WHERE substr(job_id, 1, length(?1)) = ?1 ORDER BY created_at_s DESC LIMIT 2"
_OLD_DROPPED = "DELETE FROM jobs WHERE stage = 'dropped' AND updated_at_s < ? RETURNING job_id"
_KEEP_HASHES = """
    DELETE FROM hashed_files WHERE source IN
        (SELECT source FROM hashed_files ORDER BY used_at_s DESC LIMIT -1 OFFSET ?)
"""
_PUT_HASHES = """
    INSERT INTO hashed_files (source, identity, chunks, used_at_s) VALUES (?, ?, ?, ?)
    ON CONFLICT (source) DO UPDATE SET identity = excluded.identity, chunks = excluded.chunks,
        used_at_s = excluded.used_at_s
"""


class EngineTables:
    """The buyer's jobs over a journal."""

    def __init__(self, journal: Journal, clock: Clock = SYSTEM_CLOCK) -> None:
        self._journal = journal
        self._clock = clock

    # -- jobs

    async def add(self, job: NewJob) -> JobRow:
        """Write a packaged job down, with its files."""
        now_s = self._clock.now_s()
        row = {name: getattr(job, name) for name in ("job_id", "wallet", "spec", "out_folder")}

        def write(connection: sqlite3.Connection) -> JobRow:
            connection.execute(_INSERT, row | {"now_s": now_s})
            connection.execute(_INSERT_MANIFEST, (job.job_id, job.manifest))
            rows = ((job.job_id, file.path, file.source, file.size_bytes) for file in job.files)
            connection.executemany(_INSERT_FILE, rows)
            connection.execute(_INSERT_EVENT, (job.job_id, now_s, Stage.PACKAGED.value, "", None))
            return _fetch(connection, job.job_id)

        return await self._journal.write(write)

    async def advance(self, job: JobRow, new: Stage, detail: str = "", **values: Any) -> JobRow:
        """Move ``job`` to ``new`` and set columns with it, provided that nobody moved it since it was read.

        A problem that was noted is forgotten unless ``values`` has one.

        :raises Bug: the table of stages does not have the step, or the row is stale.
        """
        check_stage(job.stage, new)
        now_s = self._clock.now_s()
        columns = {"problem": None, **values, "stage": new, "updated_at_s": now_s}

        def write(connection: sqlite3.Connection) -> JobRow:
            if not _update(connection, job.job_id, columns, expected=job.revision):
                raise Bug(f"job {job.job_id} moved on behind its supervisor's back")
            connection.execute(_INSERT_EVENT, (job.job_id, now_s, new.value, detail, None))
            return _fetch(connection, job.job_id)

        return await self._journal.write(write)

    async def note(self, job_id: str, **values: Any) -> JobRow:
        """Set columns other than the stage; returns the job as it is now. The revision stays."""
        if "stage" in values:
            raise Bug("a stage changes by advance() only")

        def write(connection: sqlite3.Connection) -> JobRow:
            _update(connection, job_id, values)
            return _fetch(connection, job_id)

        return await self._journal.write(write)

    async def job(self, job_id: str) -> JobRow | None:
        """One job by its whole id."""
        found = await self._many(_SELECT + " WHERE job_id = ?", (job_id,))
        return found[0] if found else None

    async def by_prefix(self, prefix: str) -> tuple[JobRow, ...]:
        """Up to two jobs whose id begins with ``prefix``: more than one means that it is ambiguous."""
        return await self._many(_BY_PREFIX, (prefix,))

    async def newest(self, limit: int) -> tuple[JobRow, ...]:
        """The last jobs, newest first, without those that were never agreed to."""
        sql = " WHERE stage NOT IN ('packaged', 'quoted', 'dropped') ORDER BY created_at_s DESC LIMIT ?"
        return await self._many(_SELECT + sql, (limit,))

    async def unfinished(self) -> tuple[JobRow, ...]:
        """Jobs on which the engine goes on by itself, oldest first."""
        stages = ", ".join(f"'{stage.value}'" for stage in Stage if stage.needs_work)
        return await self._many(f"{_SELECT} WHERE stage IN ({stages}) ORDER BY created_at_s", ())

    async def waiting(self) -> tuple[JobRow, ...]:
        """Plans to which nobody has said yes or no."""
        return await self._many(_SELECT + " WHERE stage IN ('packaged', 'quoted')", ())

    async def forget_dropped(self, before_s: float) -> tuple[str, ...]:
        """Delete jobs that were dropped before ``before_s``; returns their ids."""

        def write(connection: sqlite3.Connection) -> tuple[str, ...]:
            return tuple(row["job_id"] for row in connection.execute(_OLD_DROPPED, (before_s,)).fetchall())

        return await self._journal.write(write)

    async def manifest(self, job_id: str) -> bytes:
        """The encoded manifest of the job's inputs."""
        sql = "SELECT manifest FROM input_manifests WHERE job_id = ?"
        row = await self._journal.read(lambda c: c.execute(sql, (job_id,)).fetchone())
        if row is None:
            raise Bug(f"job {job_id} has no manifest in the journal")
        return bytes(row["manifest"])

    async def input_files(self, job_id: str) -> tuple[InputFile, ...]:
        """The job's inputs and where they lie."""
        sql = "SELECT path, source, size_bytes FROM input_files WHERE job_id = ? ORDER BY path"

        def read(connection: sqlite3.Connection) -> tuple[InputFile, ...]:
            return tuple(InputFile(*row) for row in connection.execute(sql, (job_id,)).fetchall())

        return await self._journal.read(read)

    # -- history

    async def add_events(self, job_id: str, events: Iterable[EventRow]) -> None:
        """Append to a job's history; the coordinator's events are taken once each."""
        rows = [(job_id, e.at_s, e.state, e.detail, e.remote_seq) for e in events]
        await self._journal.write(lambda connection: connection.executemany(_INSERT_EVENT, rows))

    async def events(self, job_id: str) -> tuple[EventRow, ...]:
        """A job's history in order of time."""
        sql = "SELECT at_s, state, detail, remote_seq FROM job_events WHERE job_id = ? ORDER BY at_s, seq"

        def read(connection: sqlite3.Connection) -> tuple[EventRow, ...]:
            return tuple(EventRow(*row) for row in connection.execute(sql, (job_id,)).fetchall())

        return await self._journal.read(read)

    # -- news

    async def last_news(self) -> int:
        """The number of the newest; 0 if there was none."""
        sql = "SELECT coalesce(max(seq), 0) AS seq FROM news"
        return int(await self._journal.read(lambda c: c.execute(sql).fetchone()["seq"]))

    async def news_after(self, seq: int, limit: int) -> tuple[NewsRow, ...]:
        """What came after a number, oldest first."""
        sql = "SELECT seq, at_s, kind, job_id, detail FROM news WHERE seq > ? ORDER BY seq LIMIT ?"

        def read(connection: sqlite3.Connection) -> tuple[NewsRow, ...]:
            return tuple(NewsRow(*row) for row in connection.execute(sql, (seq, limit)).fetchall())

        return await self._journal.read(read)

    async def add_news(self, kind: str, detail: str, mark: str) -> bool:
        """Add what is about no job, unless it was told under this mark; whether it is new."""
        sql = "INSERT OR IGNORE INTO news (at_s, kind, detail, mark) VALUES (?, ?, ?, ?)"
        row = (self._clock.now_s(), kind, detail, mark)
        return await self._journal.write(lambda c: c.execute(sql, row).rowcount > 0)

    # -- hashes of files

    async def hashes(self, wanted: Iterable[tuple[bytes, str]]) -> dict[bytes, tuple[bytes, ...]]:
        """The chunk hashes of those ``(source, identity)`` that are still what they were."""
        sql = "SELECT chunks FROM hashed_files WHERE source = ? AND identity = ?"
        pairs = list(wanted)

        def read(connection: sqlite3.Connection) -> dict[bytes, tuple[bytes, ...]]:
            rows = ((source, connection.execute(sql, (source, mark)).fetchone()) for source, mark in pairs)
            return {source: _split(row["chunks"]) for source, row in rows if row is not None}

        return await self._journal.read(read)

    async def keep_hashes(self, found: Iterable[tuple[bytes, str, Sequence[bytes]]]) -> None:
        """Remember ``(source, identity, chunk hashes)``; the longest unused are forgotten."""
        now_s = self._clock.now_s()
        rows = [(source, identity, b"".join(chunks), now_s) for source, identity, chunks in found]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(_PUT_HASHES, rows)
            connection.execute(_KEEP_HASHES, (HASHED_FILES_MAX,))

        await self._journal.write(write)

    # -- settings

    async def setting(self, name: str) -> str | None:
        """A setting, or None."""
        sql = "SELECT value FROM settings WHERE name = ?"
        row = await self._journal.read(lambda c: c.execute(sql, (name,)).fetchone())
        return None if row is None else str(row["value"])

    async def set_setting(self, name: str, value: str | None) -> None:
        """Keep a setting; None removes it."""

        def write(connection: sqlite3.Connection) -> None:
            if value is None:
                connection.execute("DELETE FROM settings WHERE name = ?", (name,))
            else:
                connection.execute("REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))

        await self._journal.write(write)

    async def _many(self, sql: str, values: tuple[Any, ...]) -> tuple[JobRow, ...]:
        def read(connection: sqlite3.Connection) -> tuple[JobRow, ...]:
            return tuple(_row(row) for row in connection.execute(sql, values).fetchall())

        return await self._journal.read(read)


def _split(chunks: bytes) -> tuple[bytes, ...]:
    return tuple(chunks[at : at + HASH_BYTES] for at in range(0, len(chunks), HASH_BYTES))


def _fetch(connection: sqlite3.Connection, job_id: str) -> JobRow:
    row = connection.execute(_SELECT + " WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise Bug(f"job {job_id} is not in the journal")
    return _row(row)


def _update(
    connection: sqlite3.Connection, job_id: str, values: dict[str, Any], *, expected: int | None = None
) -> bool:
    unknown = set(values) - set(_COLUMNS)
    if unknown:
        raise Bug(f"the table of jobs has no column {sorted(unknown)[0]}")
    row = {name: item.value if isinstance(item, Enum) else item for name, item in values.items()}
    setting = ", ".join(f"{name} = :{name}" for name in values)
    # A note leaves the revision alone: only steps compete with one another.
    step = ", revision = revision + 1" if expected is not None else ""
    guard = " AND revision = :expected" if expected is not None else ""
    sql = f"UPDATE jobs SET {setting}{step} WHERE job_id = :job_id{guard}"
    return connection.execute(sql, row | {"job_id": job_id, "expected": expected}).rowcount == 1


def _row(row: sqlite3.Row) -> JobRow:
    values = {name: row[name] for name in _COLUMNS}
    values["stage"] = Stage(values["stage"])
    for flag in _FLAGS:
        values[flag] = bool(values[flag])
    return JobRow(**values)
