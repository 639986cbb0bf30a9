"""Shared by the commands: where the database is, and how things are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from coordinator.service.files import CoordinatorFiles
from coordinator.store.database import Database, Tx
from coordinator.store.dsn import has_password, read_dsn
from coordinator.store.records import JobRow
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import is_job_id_prefix
from p2p.core.money import Asset, format_amount
from p2p.local.home import find_home

DSN_VARIABLE = "CYXWIZ_DSN"
ID_SHOWN_CHARS = 8
PEER_SHOWN_CHARS = 12


def dsn_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--dsn`` and ``--dsn-file`` of every command, which gets either as ``dsn``."""

    @click.option(
        "--dsn",
        envvar=DSN_VARIABLE,
        default=None,
        help="PostgreSQL to use instead of the one that the coordinator brings; no password in it.",
    )
    @click.option(
        "--dsn-file",
        envvar=f"{DSN_VARIABLE}_FILE",
        type=click.Path(path_type=Path),
        default=None,
        metavar="FILE",
        help="A file that holds the DSN, with its password if it has one.",
    )
    @wraps(function)
    def with_dsn(*arguments: Any, dsn: str | None, dsn_file: Path | None, **named: Any) -> Any:
        if dsn is not None and dsn_file is not None:
            raise click.UsageError("--dsn and --dsn-file exclude each other.")
        if dsn is not None and has_password(dsn):
            raise UserError(
                "password_in_sight",
                "There is a password in the DSN, where other programs can read it.",
                "Nothing was read or changed.",
                "Write the DSN into a file of mode 0600 and name that with --dsn-file, or use ~/.pgpass.",
            )
        return function(*arguments, dsn=read_dsn(dsn_file) if dsn_file else dsn, **named)

    return with_dsn


def files() -> CoordinatorFiles:
    """The coordinator's folder of this home."""
    return CoordinatorFiles(find_home().coordinator.folder)


@contextmanager
def database(dsn: str | None) -> Iterator[Database]:
    """The database of the coordinator of this home.

    :raises EnvironmentFailure: none is known, or it does not answer.
    """
    known = dsn or _known_dsn()
    if known is None:
        raise EnvironmentFailure(
            "no_database",
            f"No coordinator has run in {files().folder} yet.",
            "There is no database to look into.",
            "Start one with `cyxwiz-coordinator serve`, or name a database with --dsn or --dsn-file.",
            retryable=False,
        )
    try:
        opened = Database(known, connections_max=2)
        opened.open()
    except EnvironmentFailure as error:
        raise EnvironmentFailure(
            error.code,
            error.what,
            "Nothing was read or changed.",
            "Is the coordinator running? `cyxwiz-coordinator serve` starts it and its database.",
        ) from None
    with opened:
        yield opened


def _known_dsn() -> str | None:
    try:
        return files().dsn.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFailure(
            "no_database",
            f"{files().dsn} cannot be read: {os.strerror(error.errno or 0)}.",
            "Without it the database is not known.",
            "Run this as the user who runs the coordinator.",
            retryable=False,
        ) from None


def find_job(tx: Tx, prefix: str) -> JobRow:
    """The job whose id begins with these digits.

    :raises UserError: they are no id, or of several jobs.
    :raises Refused: they are of none.
    """
    if not is_job_id_prefix(prefix):
        raise UserError("bad_job_id", f"{prefix[:40]!r} is not a job id.", hint="It has 4 to 32 hex digits.")
    rows = tx.all_as(JobRow, "jobs.by_prefix", prefix=prefix)
    if not rows:
        raise Refused(
            "unknown_job", f"There is no job {prefix}.", hint="`cyxwiz-coordinator jobs` lists them."
        )
    if len(rows) > 1:
        raise UserError("ambiguous_job_id", f"Several jobs begin with {prefix}.", hint="Give more digits.")
    return rows[0]


def when(at_s: float | None) -> str:
    """Local date and time."""
    if not at_s:
        return "never"
    return datetime.fromtimestamp(at_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def amount(units: int, asset: str) -> str:
    return format_amount(units, Asset(asset))
