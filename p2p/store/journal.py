"""An agent's journal: SQLite behind one thread, durable when a write returns.

A transaction is one synchronous function that runs on the connection's own thread from BEGIN to COMMIT;
nothing awaits inside it, so a cancelled task can neither hold a transaction open nor tear one apart.

aiosqlite needs asyncio, so the journal brings its own trio-asyncio loop and hands every call to it
explicitly: tasks that were started elsewhere may use the journal too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
import trio
import trio_asyncio

from p2p.core.errors import Bug, EnvironmentFailure
from p2p.core.limits import JOURNAL_BUSY_TIMEOUT_S
from p2p.store.migrations import Migration

T = TypeVar("T")

Transaction = Callable[[sqlite3.Connection], T]


class Journal:
    """Open with :meth:`open`. Safe to use from any task of the same trio run."""

    def __init__(self, connection: aiosqlite.Connection, loop: Any, path: Path) -> None:
        self._connection = connection
        self._loop = loop
        self.path = path

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, steps: Sequence[Migration]) -> AsyncIterator[Journal]:
        """Open or create the journal at ``path`` and bring its schema up to date.

        :raises EnvironmentFailure: ``journal_unavailable``, ``journal_damaged``, ``journal_too_new`` or
            ``disk_full``.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failure(path, error.strerror or str(error)) from error
        async with _loop() as loop:
            connection = await _connect(loop, path)
            journal = cls(connection, loop, path)
            try:
                await journal._prepare(steps)
                yield journal
            finally:
                with trio.CancelScope(shield=True):
                    await trio_asyncio.aio_as_trio(connection.close, loop=loop)()

    async def read(self, function: Transaction[T]) -> T:
        """Run ``function`` on one consistent state of the journal.

        :raises EnvironmentFailure: the journal cannot be read.
        """
        return await self._run(partial(_in_transaction, "BEGIN", function))

    async def write(self, function: Transaction[T]) -> T:
        """Run ``function`` as one transaction: durable when this returns, undone when it raises.

        Not cancelled once it has begun. ``sqlite3.IntegrityError`` (a broken invariant) passes through.

        :raises EnvironmentFailure: the journal cannot be written.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):
            return await self._run(partial(_in_transaction, "BEGIN IMMEDIATE", function))
        raise Bug("a shielded write was cancelled")

    async def _prepare(self, steps: Sequence[Migration]) -> None:
        await self._run(_configure)
        version = await self.read(lambda connection: _version(connection))
        if version > len(steps):
            raise EnvironmentFailure(
                "journal_too_new",
                f"The journal {self.path} was written by a newer version of CyxWiz.",
                "It is left untouched.",
                "Install that version again, or a newer one.",
                retryable=False,
            )
        for step in steps[version:]:
            await self.write(partial(_migrate, step))

    async def _run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            run = trio_asyncio.aio_as_trio(_on_connection, loop=self._loop)
            return cast(T, await run(self._connection, function))
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise _translate(self.path, error) from error


@asynccontextmanager
async def _loop() -> AsyncIterator[Any]:
    """A trio-asyncio loop whose nurseries don't wrap what the body raised into exception groups."""
    raised: BaseException | None = None
    try:
        async with trio_asyncio.open_loop() as loop:
            try:
                yield loop
            except BaseException as error:
                raised = error
                raise
    except BaseExceptionGroup as group:
        if raised is not None and _holds_only(group, raised):
            raise raised from raised.__cause__
        raise


def _holds_only(group: BaseException, error: BaseException) -> bool:
    while group is not error:
        if not isinstance(group, BaseExceptionGroup) or len(group.exceptions) != 1:
            return False
        group = group.exceptions[0]
    return True


async def _connect(loop: Any, path: Path) -> aiosqlite.Connection:
    async def connect() -> aiosqlite.Connection:
        return await aiosqlite.connect(path, timeout=JOURNAL_BUSY_TIMEOUT_S, isolation_level=None)

    try:
        return cast(aiosqlite.Connection, await trio_asyncio.aio_as_trio(connect, loop=loop)())
    except sqlite3.Error as error:
        raise _translate(path, error) from error


async def _on_connection(connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
    # aiosqlite's public methods hop threads once per statement; its `_execute` runs a whole function on the
    # connection's thread, which makes a transaction atomic against cancellation. The version is pinned.
    execute: Any = connection._execute
    return cast(T, await execute(function, connection._conn))


def _in_transaction(begin: str, function: Transaction[T], connection: sqlite3.Connection) -> T:
    connection.execute(begin)
    try:
        result = function(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _configure(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    # WAL with FULL: a COMMIT has been fsynced when it returns (https://sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(step: Migration, connection: sqlite3.Connection) -> None:
    # Another process may have been faster: decided inside the write transaction.
    if _version(connection) >= step.number:
        return
    for statement in _statements(step.sql):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {step.number:d}")


def _statements(sql: str) -> list[str]:
    """Split a script; ``executescript`` would commit the transaction that it runs in."""
    found, pending = [], ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in pending.splitlines()):
        raise ValueError(f"an unfinished SQL statement: {pending.strip()[:80]!r}")
    return found


def _translate(path: Path, error: sqlite3.Error) -> EnvironmentFailure:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return EnvironmentFailure(
            "disk_full",
            f"The disk that holds {path} is full.",
            "Nothing that was recorded is lost; nothing new can be started.",
            "Free some space and try again.",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return EnvironmentFailure(
            "journal_damaged",
            f"The journal {path} is damaged ({error}).",
            "Jobs and money are safe with the coordinator and on the chain; only this record is unreadable.",
            "Restore the file from a backup, or move it away to begin a new one.",
            retryable=False,
        )
    return _failure(path, str(error))


def _failure(path: Path, reason: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "journal_unavailable",
        f"The journal {path} cannot be used: {reason}.",
        "Without it nothing can be started safely, so nothing was.",
        "Check the folder's owner and permissions, and that no other agent uses it.",
    )
