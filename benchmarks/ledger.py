"""Transfers posted per second, linked by hashes, beside the same rows without a chain of hashes.

    python benchmarks/ledger.py [--jobs 2000] [--rounds 5]

``linked``    ``coordinator.store.ledger.post`` as the follower calls it: pages of 500 transfers, numbered and
              hashed under the lock of the head, balances kept and checked by the database
``one``       the same, one transfer to a transaction
``unlinked``  the reference: the way before there was a chain of hashes: a transfer to a transaction, its
              lines and balances row by row

``wait`` is how long a small commit of something else takes while ``linked`` posts all the time, and how long
without: jobs do not wait for the ledger. All on one embedded PostgreSQL with fsync on, each round in fresh
databases, in turn. Medians; exit 1 if ``linked`` is below 1 x ``unlinked``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Cause, Escrow, Payees, Transfer
from coordinator.store import ledger
from coordinator.store.database import Database
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.migrate import migrate
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import LEDGER_PAGE_MAX
from p2p.core.money import Asset

TARGET = 1.0
PEOPLE = 50
LAST_UNLINKED = 7
"""The last step of the schema without a chain of hashes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cyxwiz-bench-"))
    server = EmbeddedPostgres(folder / "postgres")
    try:
        return compare(server.start(), options.jobs, options.rounds)
    finally:
        server.stop()
        shutil.rmtree(folder)


def compare(dsn: str, jobs: int, rounds: int) -> int:
    ways: dict[str, tuple[int | None, Callable[[Database, list[Transfer]], None]]] = {
        "linked": (None, lambda db, transfers: post(db, transfers, LEDGER_PAGE_MAX)),
        "one": (None, lambda db, transfers: post(db, transfers, 1)),
        "unlinked": (LAST_UNLINKED, post_unlinked),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    waits: dict[bool, list[float]] = {False: [], True: []}
    for number in range(1, rounds + 1):
        for way, (up_to, work) in ways.items():
            with database(dsn, up_to) as db:
                transfers = history(jobs, plain=up_to is not None)
                began_s = time.monotonic()
                work(db, transfers)
                rates[way].append(len(transfers) / (time.monotonic() - began_s))
                print(f"round {number}: {way:9} {rates[way][-1]:7.0f} transfers/s", flush=True)
        for busy in waits:
            with database(dsn, None) as db:
                waits[busy].append(commits_ms(db, busy=busy))
    found = {way: statistics.median(each) for way, each in rates.items()}
    quiet, busy_ms = (statistics.median(waits[busy]) for busy in (False, True))
    ratio = found["linked"] / found["unlinked"]
    print(
        f"\n{3 * jobs} transfers, {rounds} rounds: linked {found['linked']:.0f}/s in pages, "
        f"{found['one']:.0f}/s one by one; unlinked {found['unlinked']:.0f}/s: "
        f"{ratio:.2f} x (target {TARGET:.2f} x), "
        f"{found['one'] / found['unlinked']:.2f} x one by one"
    )
    print(f"wait: another commit takes {busy_ms:.2f} ms while the ledger posts, {quiet:.2f} ms without")
    return 0 if ratio >= TARGET else 1


def history(jobs: int, *, plain: bool) -> list[Transfer]:
    """A deposit, an opening and a settlement for each of ``jobs``. ``plain``: in an older schema's names."""
    found: list[Transfer] = []
    numbers = count()
    for number in range(jobs):
        buyer, node = Wallet(f"B{number % PEOPLE:039d}"), Wallet(f"N{number % PEOPLE:039d}")
        job_id = JobId(f"{number:032x}")
        pot = Escrow(buyer, job_id, Asset.USDC)
        found += [
            rules.deposit(buyer, Asset.USDC, 1000, cause(next(numbers))),
            rules.open_job(pot, 1000, cause(next(numbers))),
            rules.settle(pot, 1000, 700, Payees(node, "F" * 40, 1000), cause(next(numbers))),
        ]
    return [old_names(transfer) for transfer in found] if plain else found


def cause(number: int) -> Cause:
    return Cause(f"{number:088d}", number, 1_800_000_000)


def old_names(transfer: Transfer) -> Transfer:
    names = {
        f"escrow:{transfer.owner}:{transfer.job_id}": f"escrow:{transfer.job_id}",
        rules.user("F" * 40): "fees",
    }
    lines = sorted(
        (rules.Line(names.get(line.account, line.account), line.units) for line in transfer.lines),
        key=lambda line: line.account,
    )
    return Transfer(
        transfer.transfer_id,
        transfer.kind,
        transfer.asset,
        transfer.owner,
        transfer.job_id,
        transfer.signature,
        None,
        transfer.at_s,
        tuple(lines),
    )


def post(db: Database, transfers: list[Transfer], size: int) -> None:
    for first in range(0, len(transfers), size):
        page = transfers[first : first + size]
        db.transact(lambda tx, page=page: ledger.post(tx, page))  # type: ignore[misc]


def post_unlinked(db: Database, transfers: list[Transfer]) -> None:
    """As it was done before: see the first step of the schema."""
    for transfer in transfers:
        with db.raw() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO transfers VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (transfer_id) DO NOTHING",
                (
                    transfer.transfer_id,
                    transfer.kind.value,
                    transfer.asset.value,
                    transfer.job_id,
                    transfer.signature,
                    transfer.at_s,
                ),
            )
            cursor.executemany(
                "INSERT INTO postings VALUES (%s, %s, %s, %s)",
                [
                    (transfer.transfer_id, line.account, transfer.asset.value, line.units)
                    for line in transfer.lines
                ],
            )


def commits_ms(db: Database, *, busy: bool) -> float:
    """The median time of a small transaction that has nothing to do with the ledger."""
    done = threading.Event()
    transfers = history(1_000_000 // 500, plain=False)
    with db.raw() as connection:
        connection.execute("CREATE TABLE other (number integer PRIMARY KEY, value integer)")
        connection.execute("INSERT INTO other SELECT generate_series(1, 100), 0")

    def poster() -> None:
        for first in range(0, len(transfers), LEDGER_PAGE_MAX):
            if done.is_set():
                return
            post(db, transfers[first : first + LEDGER_PAGE_MAX], LEDGER_PAGE_MAX)

    thread = threading.Thread(target=poster if busy else done.wait)
    thread.start()
    times = []
    for number in range(200):
        began_s = time.monotonic()
        with db.raw() as connection:
            connection.execute("UPDATE other SET value = value + 1 WHERE number = %s", (number % 100 + 1,))
        times.append((time.monotonic() - began_s) * 1000)
    done.set()
    thread.join()
    return statistics.median(times)


@contextmanager
def database(dsn: str, up_to: int | None) -> Iterator[Database]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
        connection.execute("CREATE DATABASE bench")
    fresh = make_conninfo(dsn, dbname="bench")
    with psycopg.connect(fresh) as connection:
        migrate(connection, up_to=up_to)
    with Database(fresh) as db:
        yield db


if __name__ == "__main__":
    sys.exit(main())
