"""The journal on real SQLite: durable, atomic, crash-safe, honest about a broken disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.store.journal import Journal
from p2p.store.migrations import Migration

NOTE = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (text <> ''));"
SIZE = "-- a comment\nALTER TABLE note ADD COLUMN size INTEGER NOT NULL DEFAULT 0;\n"
STEPS = (Migration(1, "first", NOTE),)
MORE = (*STEPS, Migration(2, "second", SIZE))


def add(text: str) -> object:
    return lambda connection: connection.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM note").fetchone()[0])


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal.db"
    async with Journal.open(path, STEPS) as journal:
        assert await journal.write(add("one")) == 1
    async with Journal.open(path, STEPS) as journal:
        assert await journal.read(count) == 1


async def test_the_journal_is_as_durable_as_sqlite_can_be(tmp_path: Path) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    async with Journal.open(tmp_path / "j.db", STEPS) as journal:
        assert await journal.read(pragmas) == ["wal", 2, 1]


async def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO note (text) VALUES ('kept?')")
        connection.execute("INSERT INTO note (text) VALUES ('')")

    async with Journal.open(tmp_path / "j.db", STEPS) as journal:
        with pytest.raises(sqlite3.IntegrityError):
            await journal.write(half)
        assert await journal.read(count) == 0
        assert await journal.write(add("next")) == 1


async def test_cancelling_a_write_never_tears_it(tmp_path: Path) -> None:
    async with Journal.open(tmp_path / "j.db", STEPS) as journal:
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.write(add("never begun"))
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            started = trio.Event()

            async def write() -> None:
                started.set()
                await journal.write(add("begun"))

            nursery.start_soon(write)
            await started.wait()
            nursery.cancel_scope.cancel()
        assert await journal.read(count) in (0, 1)
        await journal.write(add("still usable"))


async def test_tasks_started_before_the_journal_may_use_it(tmp_path: Path) -> None:
    send, receive = trio.open_memory_channel[Journal](1)
    done = trio.Event()

    async def early() -> None:
        journal = await receive.receive()
        await journal.write(add("from an older task"))
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(early)
        await trio.lowlevel.checkpoint()
        async with Journal.open(tmp_path / "j.db", STEPS) as journal:
            await send.send(journal)
            await done.wait()
            assert await journal.read(count) == 1


async def test_writers_do_not_lose_each_others_updates(tmp_path: Path) -> None:
    def bump(connection: sqlite3.Connection) -> None:
        size = connection.execute("SELECT size FROM note WHERE id = 1").fetchone()[0]
        connection.execute("UPDATE note SET size = ? WHERE id = 1", (size + 1,))

    async with Journal.open(tmp_path / "j.db", MORE) as one, Journal.open(tmp_path / "j.db", MORE) as two:
        await one.write(add("counter"))
        async with trio.open_nursery() as nursery:
            for journal in (one, two) * 10:
                nursery.start_soon(journal.write, bump)
        assert await one.read(lambda c: c.execute("SELECT size FROM note").fetchone()[0]) == 20


async def test_migrations_keep_data_and_are_applied_once(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with Journal.open(path, STEPS) as journal:
        await journal.write(add("old"))
    for _ in range(2):
        async with Journal.open(path, MORE) as journal:
            row = await journal.read(lambda c: tuple(c.execute("SELECT text, size FROM note").fetchone()))
            assert row == ("old", 0)


async def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    broken = (*STEPS, Migration(2, "bad", "CREATE TABLE extra (id);\nCREATE TABLE note (id);\n"))
    with pytest.raises(EnvironmentFailure):
        async with Journal.open(path, broken):
            raise AssertionError("opened")
    async with Journal.open(path, STEPS) as journal:
        tables = await journal.read(lambda c: [r[0] for r in c.execute("SELECT name FROM sqlite_master")])
        assert tables == ["note"]


async def test_a_newer_journal_is_left_alone(tmp_path: Path) -> None:
    async with Journal.open(tmp_path / "j.db", MORE):
        pass
    with pytest.raises(EnvironmentFailure) as caught:
        async with Journal.open(tmp_path / "j.db", STEPS):
            raise AssertionError("opened")
    assert caught.value.code == "journal_too_new"


async def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(EnvironmentFailure) as caught:
        async with Journal.open(path, STEPS):
            raise AssertionError("opened")
    assert caught.value.code == "journal_damaged"
    assert str(path) in caught.value.what
    assert len(caught.value.lines()) == 3


async def test_a_full_disk_is_an_environment_failure_and_loses_nothing(tmp_path: Path) -> None:
    async with Journal.open(tmp_path / "j.db", STEPS) as journal:
        await journal.write(add("before"))
        await journal.read(lambda c: c.execute("PRAGMA max_page_count = 3").fetchone())
        with pytest.raises(EnvironmentFailure) as caught:
            await journal.write(add("x" * 100_000))
        assert caught.value.code == "disk_full"
        assert await journal.read(count) == 1


WRITER = """
import sys, trio
from pathlib import Path
from p2p.store.journal import Journal
from p2p.store.migrations import Migration
NOTE = "CREATE TABLE note (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL);"
STEPS = (Migration(1, "first", NOTE),)
def pair(n):
    def transaction(c):
        c.execute("INSERT INTO note (id, a, b) VALUES (?, ?, 0)", (n, n))
        c.execute("UPDATE note SET b = a WHERE id = ?", (n,))
    return transaction
async def main():
    async with Journal.open(Path(sys.argv[1]), STEPS) as journal:
        n = 0
        while True:
            n += 1
            await journal.write(pair(n))
            print(n, flush=True)
trio.run(main)
"""


@pytest.mark.process
async def test_kill_9_in_the_middle_of_writing_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout is not None
    acknowledged = 0
    with process, process.stdout as lines:
        for line in lines:
            acknowledged = int(line)
            if acknowledged == 30:
                process.send_signal(signal.SIGKILL)
        # Whatever was printed between the signal and the end was acknowledged too.
    steps = (Migration(1, "first", "-- the table is there already\n"),)
    async with Journal.open(path, steps) as journal:
        select = "SELECT id, a, b FROM note ORDER BY id"
        rows = await journal.read(lambda c: [tuple(row) for row in c.execute(select)])
    assert len(rows) in (acknowledged, acknowledged + 1)
    assert rows == [(n, n, n) for n in range(1, len(rows) + 1)]
