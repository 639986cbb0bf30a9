"""The pool, and how a transaction is run from trio: one thread hop each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
import trio
from psycopg import errors as pg_errors
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

from coordinator.store.queries import load_all
from p2p.core.errors import Bug, EnvironmentFailure, UserError
from p2p.core.limits import (
    DATABASE_POOL_MAX,
    DATABASE_STATEMENT_TIMEOUT_S,
    DATABASE_TRANSACTION_RETRIES_MAX,
    DATABASE_WAIT_S,
)

T = TypeVar("T")
Row = dict[str, Any]

# Planning anew for each set of values takes as long as a claim itself, so plans are made once. They are
# made when the tables may be empty, and must still be right when these are full: always by index.
_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        f"statement_timeout={int(DATABASE_STATEMENT_TIMEOUT_S * 1000)}",
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "enable_bitmapscan=off",
    )
)
_RETRIED = (pg_errors.SerializationFailure, pg_errors.DeadlockDetected)


class Tx:
    """A transaction in progress. Queries are called by name, see :mod:`coordinator.store.queries`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._queries = load_all()

    def rows(self, query: str, /, **parameters: Any) -> list[Row]:
        """All rows, as dicts."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._queries[query], parameters).fetchall()

    def row(self, query: str, /, **parameters: Any) -> Row | None:
        """The first row, or None."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._queries[query], parameters).fetchone()

    def all_as(self, kind: type[T], query: str, /, **parameters: Any) -> list[T]:
        """All rows, each as a ``kind`` whose fields are the columns."""
        with self._connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(self._queries[query], parameters).fetchall()

    def one_as(self, kind: type[T], query: str, /, **parameters: Any) -> T | None:
        """The first row as a ``kind``, or None."""
        with self._connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(self._queries[query], parameters).fetchone()

    def execute(self, query: str, /, **parameters: Any) -> int:
        """Run a statement; how many rows it touched."""
        return self._connection.execute(self._queries[query], parameters).rowcount

    def execute_many(self, query: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once per set of parameters, in one round trip."""
        if parameters:
            with self._connection.cursor() as cursor:
                cursor.executemany(self._queries[query], parameters)


class _OneStatement(Tx):
    """Refuses a second statement, which would be another transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self._used = False

    def one_as(self, kind: type[T], query: str, /, **parameters: Any) -> T | None:
        self._use()
        return super().one_as(kind, query, **parameters)

    def execute(self, query: str, /, **parameters: Any) -> int:
        self._use()
        return super().execute(query, **parameters)

    def _use(self) -> None:
        if self._used:
            raise Bug("a second statement in a transaction of one")
        self._used = True


def as_json(value: Any) -> Jsonb:
    """A parameter for a ``jsonb`` column."""
    return Jsonb(value)


class UniqueBroken(Exception):
    """Somebody else was faster: the constraint named allows only one such row."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class Overdrawn(Exception):
    """A posting would make an account negative."""


class _Attempt:
    """Whether a failed attempt certainly changed nothing and may go better on another connection."""

    def __init__(self) -> None:
        self.may_be_repeated = False

    @contextmanager
    def on(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Around the work, inside the transaction: what fails in here was not committed."""
        try:
            yield
        except (*_RETRIED, psycopg.OperationalError) as error:
            self.may_be_repeated = isinstance(error, _RETRIED) or connection.broken
            raise


class Database:
    """A pool of connections to one database. Its blocking methods may be called from any thread."""

    def __init__(self, dsn: str, *, connections_max: int = DATABASE_POOL_MAX) -> None:
        self._dsn = dsn
        self._pool = ConnectionPool(
            dsn,
            min_size=1,
            max_size=connections_max,
            timeout=DATABASE_WAIT_S,
            kwargs={"options": _OPTIONS},
            open=False,
        )
        self._limiter_tokens = connections_max
        self._limiter: trio.CapacityLimiter | None = None

    def open(self) -> None:
        """Connect.

        :raises EnvironmentFailure: ``database_unavailable``.
        """
        with _explained():
            # The pool would try for long and say only that it took too long.
            psycopg.connect(self._dsn, connect_timeout=int(DATABASE_WAIT_S)).close()
            self._pool.open(wait=True, timeout=DATABASE_WAIT_S)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Database:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in one transaction of this thread.

        Again if PostgreSQL had to break a deadlock, or if the connection had died while it lay in the pool
        (its server was restarted): nothing was committed then.

        :raises EnvironmentFailure: the database cannot be reached or has no room.
        :raises UniqueBroken: another transaction holds what only one may hold.
        :raises Overdrawn: an account would be negative.
        """
        for tries_left in range(DATABASE_TRANSACTION_RETRIES_MAX, -1, -1):
            attempt = _Attempt()
            try:
                with _explained(), self._pool.connection() as connection, attempt.on(connection):
                    return work(Tx(connection))
            except (*_RETRIED, EnvironmentFailure):
                if not tries_left or not attempt.may_be_repeated:
                    raise
        raise Bug("a transaction was tried no times")

    def transact_one(self, work: Callable[[Tx], T]) -> T:
        """Like :meth:`transact` for work of a single statement, which is a transaction by itself.

        Saves the round trips of BEGIN and COMMIT.
        """
        with _explained(), self._pool.connection() as connection:
            connection.autocommit = True
            try:
                return work(_OneStatement(connection))
            finally:
                if not connection.broken:
                    connection.autocommit = False

    async def run(self, work: Callable[[Tx], T]) -> T:
        """:meth:`transact` in a worker thread; a commit that has begun is never cancelled."""
        return await self.in_thread(partial(self.transact, work))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Anything that blocks on this database, in a worker thread that is sure to get a connection."""
        if self._limiter is None:
            self._limiter = trio.CapacityLimiter(self._limiter_tokens)
        return await trio.to_thread.run_sync(work, limiter=self._limiter)

    @contextmanager
    def raw(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection for migrations and benchmarks, committed at the end."""
        with _explained(), self._pool.connection() as connection:
            yield connection


@contextmanager
def _explained() -> Iterator[None]:
    """PostgreSQL's errors as ours; what a broken CHECK or a wrong statement raises is a bug and stays."""
    try:
        yield
    except pg_errors.UniqueViolation as error:
        raise UniqueBroken(error.diag.constraint_name or "") from error
    except pg_errors.CheckViolation as error:
        if error.diag.constraint_name == "not_overdrawn":
            raise Overdrawn from error
        raise
    except _RETRIED:
        raise
    except psycopg.DataError as error:
        if error.sqlstate is not None:
            raise
        # The driver's own: a character 0, which PostgreSQL's text cannot hold. Only strangers send one.
        raise UserError("bad_message", "A message was refused: its text is malformed.") from error
    except pg_errors.DiskFull as error:
        raise _unavailable(error, "The database's disk is full.") from error
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise _unavailable(error, "The coordinator cannot reach its database.") from error


def _unavailable(error: Exception, what: str) -> EnvironmentFailure:
    reason = str(error).strip().partition("\n")[0][:200]
    return EnvironmentFailure(
        "database_unavailable",
        f"{what} ({reason})" if reason else what,
        "Nothing was changed; running jobs go on and nothing is paid twice.",
        "Try again in a moment; the operator sees the cause in the coordinator's log.",
    )
