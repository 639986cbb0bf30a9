"""Where PostgreSQL is, as an operator writes it (libpq's connection string or URI), and its password."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from p2p.core.errors import EnvironmentFailure, UserError


def read_dsn(file: Path) -> str:
    """The one that a file holds.

    :raises EnvironmentFailure: it cannot be read; :raises UserError: ``bad_dsn``.
    """
    try:
        dsn = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFailure(
            "no_database",
            f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.",
            "Without it the database is not known; nothing was read or changed.",
            "Name a file that holds a PostgreSQL DSN and that this user may read.",
            retryable=False,
        ) from None
    has_password(dsn)
    return dsn


def has_password(dsn: str) -> bool:
    """Whether a password stands in it.

    :raises UserError: ``bad_dsn``. What stands there is not repeated: it may hold a password.
    """
    try:
        return bool(conninfo_to_dict(dsn).get("password"))
    except psycopg.Error:
        raise UserError(
            "bad_dsn",
            "The PostgreSQL DSN cannot be understood.",
            "Nothing was read or changed.",
            "Write it like `host=db.example dbname=cyxwiz user=cyxwiz`.",
        ) from None
