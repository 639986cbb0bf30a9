"""Plain SQL migrations, each in its own transaction and remembered with its checksum."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

import psycopg

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import EnvironmentFailure

_NAME = re.compile(r"(\d{4})_\w+\.sql\Z")
_LOCK_KEY = 0x6379785F6D6967  # any number that nobody else uses

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at_s double precision NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. ``sha256`` is that of its text: a step that was applied must never change."""

    number: int
    name: str
    sql: str
    sha256: str


def load_migrations() -> tuple[Migration, ...]:
    """All steps in order; no number is there twice."""
    found = []
    for entry in (files("coordinator.store") / "migrations").iterdir():
        match = _NAME.match(entry.name)
        if match:
            text = entry.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), entry.name, text, sha256(text.encode()).hexdigest()))
    found.sort(key=lambda migration: migration.number)
    if len({migration.number for migration in found}) != len(found):
        raise ValueError("two migrations have one number")
    return tuple(found)


def migrate(
    connection: psycopg.Connection[Any], *, up_to: int | None = None, clock: Clock = SYSTEM_CLOCK
) -> list[str]:
    """Apply what is missing, up to a number; the names of the steps applied.

    Two coordinators that start at once wait for one another.

    :raises EnvironmentFailure: the database was made by another or a newer version of this program.
    """
    connection.commit()
    connection.autocommit = True
    applied = []
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK_KEY,))
        try:
            connection.execute(_TABLE)
            done = _applied(connection)
            steps = load_migrations()
            _check(done, steps)
            for step in steps:
                if step.number not in done and (up_to is None or step.number <= up_to):
                    _apply(connection, step, clock.now_s())
                    applied.append(step.name)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK_KEY,))
    finally:
        connection.autocommit = False
    return applied


def _applied(connection: psycopg.Connection[Any]) -> dict[int, tuple[str, str]]:
    rows = connection.execute("SELECT number, name, sha256 FROM schema_migrations").fetchall()
    return {number: (name, digest) for number, name, digest in rows}


def _apply(connection: psycopg.Connection[Any], step: Migration, now_s: float) -> None:
    with connection.transaction():
        connection.execute(step.sql)
        connection.execute(
            "INSERT INTO schema_migrations VALUES (%s, %s, %s, %s)",
            (step.number, step.name, step.sha256, now_s),
        )


def _check(done: dict[int, tuple[str, str]], steps: tuple[Migration, ...]) -> None:
    known = {step.number: step for step in steps}
    for number, (name, digest) in sorted(done.items()):
        step = known.get(number)
        if step is None:
            raise _foreign(f"The database has the step {name!r}, which this version does not know.")
        if step.sha256 != digest:
            raise _foreign(f"The database's step {name!r} differs from this version's {step.name!r}.")


def _foreign(what: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "schema_mismatch",
        what,
        "Nothing was changed.",
        "Run the version of cyxwiz that this database belongs to, or a newer one.",
        retryable=False,
    )


def pending(connection: psycopg.Connection[Any]) -> list[str]:
    """The steps that :func:`migrate` would apply."""
    exists = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    done = _applied(connection) if exists and exists[0] else {}
    connection.rollback()
    return [step.name for step in load_migrations() if step.number not in done]
