"""Claims per second: one job per claim, durable, by four worker processes, beside PgQueuer.

    python benchmarks/dispatch.py [--jobs 2000] [--rounds 5] [--workers 4]

``cyxwiz``    ``coordinator.service.dispatcher.claim_for``, as the dispatcher calls it: the oldest job that
              fits a free slot, its lease, event row and chain action, checked by the matching rules
``pgqueuer``  the reference: ``Queries.dequeue(batch_size=1)`` of PgQueuer, tables installed as ``durable``

Both in turn in every round, each in a fresh database of one embedded PostgreSQL with fsync and
synchronous_commit on, with all jobs queued beforehand. Medians over the rounds; exit 1 below 1 x PgQueuer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
from pgqueuer.adapters.drivers.psycopg import PsycopgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.ports.repository import EntrypointExecutionParameter
from psycopg.conninfo import make_conninfo

from coordinator.domain.matching import FreeSlot, NodeFacts, Slot
from coordinator.domain.pricing import PriceList, make_terms
from coordinator.service.dispatcher import claim_for
from coordinator.store import jobs
from coordinator.store.database import Database, Tx
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.jobs import NewJob
from coordinator.store.migrate import migrate
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, JobSpec, NetworkMode
from p2p.core.money import Asset
from p2p.core.signing import Signed
from p2p.wire.codec import encode

TARGET = 1.0
BUYERS = 20
"""Jobs come from so many buyers; events of one buyer are numbered one after another."""
DEADLINE_S = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--worker", nargs=3, metavar=("WAY", "DSN", "NUMBER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        way, dsn, number = options.worker
        return work(way, dsn, int(number))
    folder = Path(tempfile.mkdtemp(prefix="cyxwiz-bench-"))
    server = EmbeddedPostgres(folder / "postgres")
    try:
        return compare(server.start(), options.jobs, options.rounds, options.workers)
    finally:
        server.stop()
        shutil.rmtree(folder)


def compare(dsn: str, count: int, rounds: int, workers: int) -> int:
    """Measure both ways in turn and print the medians."""
    rates: dict[str, list[float]] = {"cyxwiz": [], "pgqueuer": []}
    fills: dict[str, Callable[[str, int], None]] = {"cyxwiz": fill_cyxwiz, "pgqueuer": fill_pgqueuer}
    for number in range(rounds):
        for way, fill in fills.items():
            fresh = create_database(dsn, f"{way}{number}")
            fill(fresh, count)
            rate = measure(way, fresh, count, workers)
            rates[way].append(rate)
            print(f"round {number + 1}: {way:9} {rate:7.0f} claims/s", flush=True)
            drop_database(dsn, f"{way}{number}")
    medians = {way: statistics.median(found) for way, found in rates.items()}
    ratio = medians["cyxwiz"] / medians["pgqueuer"]
    print(
        f"\n{workers} workers, {count} jobs, {rounds} rounds: cyxwiz {medians['cyxwiz']:.0f} claims/s, "
        f"PgQueuer {medians['pgqueuer']:.0f} claims/s: {ratio:.2f} x (target {TARGET:.2f} x)"
    )
    return 0 if ratio >= TARGET else 1


def create_database(dsn: str, name: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return make_conninfo(dsn, dbname=name)


def drop_database(dsn: str, name: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def measure(way: str, dsn: str, count: int, workers: int) -> float:
    """Claims per second from the common start of all workers to the end of the last."""
    command = [sys.executable, __file__, "--worker", way, dsn]
    running = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(workers)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    begun_s = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    claimed: list[str] = []
    for process in running:
        claimed += json.loads(process.communicate(timeout=DEADLINE_S)[0])
    took_s = time.perf_counter() - begun_s
    if len(claimed) != count or len(set(claimed)) != count:
        raise AssertionError(f"{way}: {len(claimed)} claims of {len(set(claimed))} jobs, not {count}")
    return count / took_s


def work(way: str, dsn: str, number: int) -> int:
    """One worker process: claim until nothing is left, then print the ids."""
    claimed = work_cyxwiz(dsn, number) if way == "cyxwiz" else asyncio.run(work_pgqueuer(dsn))
    print(json.dumps(claimed))
    return 0


def wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


# -- ours


def fill_cyxwiz(dsn: str, count: int) -> None:
    with Database(dsn) as db:
        with db.raw() as connection:
            migrate(connection)

        def insert(tx: Tx) -> None:
            for number in range(count):
                jobs.insert(tx, new_job(number), SYSTEM_CLOCK.now_s())

        db.transact(insert)
        with db.raw() as connection:
            connection.execute("ANALYZE")


def new_job(number: int) -> NewJob:
    prices = PriceList({"cpu": 40_000, "rtx4090": 400_000}, 150_000_000)
    spec = JobSpec("bench", "train.py", JobConfig(), sha256(b"").digest(), 10, 1, False, Asset.USDC)
    terms = make_terms(
        job_id=new_job_id(),
        buyer=f"{number % BUYERS:040d}".replace("0", "A"),
        asset=Asset.USDC,
        config=spec.config,
        prices=prices,
        fee_bps=1000,
        spec_hash=bytes(32),
        coordinator_wallet="c",
        now_s=SYSTEM_CLOCK.now_s(),
    )
    return NewJob(spec, terms, Signed(encode(terms), "signer", bytes(64)), "engine", (), "signature")


def work_cyxwiz(dsn: str, number: int) -> list[str]:
    claimed = []
    with Database(dsn, connections_max=1) as db:
        db.transact(lambda tx: tx.rows("jobs.counts"))
        wait_for_start()
        while True:
            now_s = SYSTEM_CLOCK.now_s()
            free = free_slot(f"node{number}", f"slot{len(claimed)}", now_s)
            job = claim_for(db, free, now_s)
            if job is None:
                return claimed
            claimed.append(job.job_id)


def free_slot(peer_id: str, name: str, now_s: float) -> FreeSlot:
    slot = Slot(name, "rtx4090", 24 * 2**30)
    modes = frozenset(NetworkMode)
    node = NodeFacts(peer_id, "wallet", (slot,), 0, True, modes, "image", 2**40, now_s + 60)
    return FreeSlot(node, slot)


# -- PgQueuer


def fill_pgqueuer(dsn: str, count: int) -> None:
    async def fill() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            async with PsycopgDriver(connection) as driver:
                queries = Queries(driver)
                await queries.install()
                await queries.enqueue(["job"] * count, [b"payload"] * count, [0] * count)
            await connection.execute("ANALYZE")

    asyncio.run(fill())


async def work_pgqueuer(dsn: str) -> list[str]:
    claimed = []
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    async with connection, PsycopgDriver(connection) as driver:
        queries = Queries(driver)
        manager = uuid.uuid4()
        await queries.queue_size()
        wait_for_start()
        while found := await queries.dequeue(
            batch_size=1,
            entrypoints={"job": EntrypointExecutionParameter(0)},
            queue_manager_id=manager,
            global_concurrency_limit=None,
            heartbeat_timeout=timedelta(seconds=30),
        ):
            claimed += [str(job.id) for job in found]
    return claimed


if __name__ == "__main__":
    os.environ.pop("PGQUEUER_DURABILITY", None)
    sys.exit(main())
