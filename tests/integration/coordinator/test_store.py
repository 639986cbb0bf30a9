"""The database's own promises: migrations, compare-and-set, claims, the ledger's invariants."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import psycopg
import pytest

from coordinator.domain.matching import Slot
from coordinator.store import jobs, nodes
from coordinator.store.database import Database, Tx
from coordinator.store.migrate import load_migrations, migrate, pending
from coordinator.store.queries import load_all
from coordinator.store.records import JobRow
from p2p.core.errors import Bug, EnvironmentFailure, Refused
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import GIB
from p2p.core.messages.nodes import GpuInfo, Hardware, NodeAdvert
from p2p.core.states import JobState
from p2p.testing.queue import NOW_S, WALLET, in_threads, load, queue

# -- migrations


def test_migrations_apply_once_and_are_remembered(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as connection:
        names = [step.name for step in load_migrations()]
        assert pending(connection) == names
        assert migrate(connection) == names
        assert migrate(connection) == []
        assert pending(connection) == []


OLD_JOB: dict[str, Any] = {
    "job_id": "0b" * 16,
    "name": "n",
    "buyer": WALLET,
    "engine_peer_id": "engine",
    "engine_addresses": ["/ip4/127.0.0.1/tcp/1"],
    "state": "queued",
    "created_at_s": NOW_S,
    "updated_at_s": NOW_S,
    "spec": b"spec",
    "terms_payload": b"terms",
    "terms_signer": "signer",
    "terms_signature": b"s",
    "asset": "usdc",
    "deposit_units": 40_000,
    "fee_bps": 1000,
    "timeout_s": 3600,
    "gpu_type": "any",
    "min_vram_bytes": 0,
    "network": "none",
    "disk_bytes": 1,
    "rates": '{"cpu": {"usd": 40000, "units": 40000}}',
    "open_signature": "open",
}
"""As the first version wrote it."""


def test_the_rates_step_keeps_what_a_database_had(empty_dsn: str) -> None:
    """Data written under the first schema is still there and whole after the later steps."""
    columns, places = ", ".join(OLD_JOB), ", ".join(f"%({name})s" for name in OLD_JOB)
    with psycopg.connect(empty_dsn) as connection:
        assert migrate(connection, up_to=1) == ["0001_initial.sql"]
        connection.execute(f"INSERT INTO jobs ({columns}) VALUES ({places})", OLD_JOB)  # type: ignore[arg-type]
    with Database(empty_dsn) as db:
        with db.raw() as connection:
            assert migrate(connection) == [step.name for step in load_migrations()[1:]]
        kept = asdict(load(db, OLD_JOB["job_id"]))
        wanted_job = OLD_JOB | {"rates": json.loads(OLD_JOB["rates"])}
        assert {name: kept[name] for name in wanted_job} == wanted_job
        rates = {row["gpu_class"] for row in db.transact(lambda tx: tx.rows("rates.all"))}
    wanted = (
        "cpu rtx3060 rtx3080 rtx3090 rtx4070 rtx4080 rtx4090 a4000 a5000 a6000 l4 l40s t4 v100 a100 h100 h200"
    )
    assert rates >= set(wanted.split())


def test_a_changed_or_unknown_step_stops_everything(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE schema_migrations SET sha256 = 'x' WHERE number = 1")
        connection.commit()
        with pytest.raises(EnvironmentFailure, match="differs"):
            migrate(connection)
        connection.execute("DELETE FROM schema_migrations WHERE number = 1")
        connection.execute("INSERT INTO schema_migrations VALUES (999, '0999_later.sql', 'x', 0)")
        connection.commit()
        with pytest.raises(EnvironmentFailure, match="does not know"):
            migrate(connection)


def test_two_coordinators_may_migrate_at_once(empty_dsn: str) -> None:
    def work(_: int) -> list[str]:
        with psycopg.connect(empty_dsn) as connection:
            return migrate(connection)

    results = in_threads(3, work)
    assert sorted(map(len, results)) == [0, 0, len(load_migrations())]


# -- compare and set


def test_of_two_transitions_at_once_one_wins(db: Database) -> None:
    (job_id,) = queue(db)
    seen = load(db, job_id)

    def cancel(_: int) -> JobRow:
        return db.transact(lambda tx: jobs.move(tx, seen, JobState.CANCELLED, "x", NOW_S))

    results = in_threads(4, cancel)
    winners = [result for result in results if isinstance(result, JobRow)]
    assert len(winners) == 1
    assert {result.code for result in results if isinstance(result, Refused)} == {"job_moved"}
    assert load(db, job_id).revision == seen.revision + 1
    events = db.transact(lambda tx: jobs.events_after(tx, WALLET, job_id, 0, 100))
    assert [(event.old, event.new) for event in events] == [
        (None, JobState.QUEUED),
        (JobState.QUEUED, JobState.CANCELLED),
    ]


def test_the_transition_table_is_the_law(db: Database) -> None:
    (job_id,) = queue(db)
    with pytest.raises(Refused) as caught:
        db.transact(lambda tx: jobs.move(tx, load(db, job_id), JobState.SETTLED, "x", NOW_S))
    assert caught.value.code == "bad_transition"
    assert load(db, job_id).status is JobState.QUEUED


def test_events_become_visible_in_the_order_of_their_numbers(db: Database) -> None:
    """A later number waits for an earlier one of the same buyer that is not committed yet."""
    first, second = queue(db, 2)
    holding, release = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        jobs.move(tx, load(db, first), JobState.CANCELLED, "slow", NOW_S)
        holding.set()
        assert release.wait(10)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(db.transact, slow)
        assert holding.wait(10)
        two = pool.submit(
            db.transact, lambda tx: jobs.move(tx, load(db, second), JobState.CANCELLED, "quick", NOW_S)
        )
        while not db.transact(lambda tx: _waiting(tx)):
            assert not two.done()
        release.set()
        one.result(10)
        two.result(10)
    events = db.transact(lambda tx: jobs.events_after(tx, WALLET, "", 0, 100))
    assert [event.code for event in events][-2:] == ["slow", "quick"]


def _waiting(tx: Tx) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    row = tx._connection.execute(query).fetchone()
    return bool(row and row[0])


# -- the registry


def test_heartbeats_are_flushed_for_many_nodes_at_once(db: Database) -> None:
    gpu = GpuInfo("g0", "RTX 4090", "rtx4090", 24 * GIB)
    for number in range(3):
        advert = NodeAdvert(
            f"n{number}", WALLET, (), Hardware((gpu,), 4, 1, GIB), 5, True, (NetworkMode.NONE,), "i", "1"
        )
        db.transact(lambda tx, advert=advert: nodes.register(tx, advert, NOW_S))  # type: ignore[misc]
    beats = [nodes.Beat(f"n{n}", NOW_S + 100 + n, n != 1, n * GIB, 1.0, 2) for n in range(2)]
    db.transact(lambda tx: nodes.flush_beats(tx, beats))
    found = db.transact(lambda tx: nodes.online(tx, NOW_S + 101))
    assert [(node.peer_id, node.available, node.disk_free_bytes) for node in found] == [
        ("n0", True, 0),
        ("n1", False, GIB),
    ]  # n2 has not been heard of
    assert found[0].slots == (Slot("g0", "rtx4090", 24 * GIB),)


def test_an_unreachable_database_is_the_environments_fault() -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        Database("host=/nowhere dbname=x").open()
    assert caught.value.code == "database_unavailable"
    assert len(caught.value.lines()) == 3


def test_a_restarted_server_is_not_noticed(db: Database) -> None:
    """Connections that died while they lay in the pool are replaced before anybody sees an error."""
    (job_id,) = queue(db)
    with psycopg.connect(db._dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert load(db, job_id).status is JobState.QUEUED


def test_a_deadlock_is_broken_and_tried_again(db: Database) -> None:
    first, second = queue(db, 2)
    barrier = threading.Barrier(2)
    turns: list[int] = []

    def work(number: int) -> None:
        order = (first, second) if number == 0 else (second, first)

        def lock_both(tx: Tx) -> None:
            turns.append(number)
            jobs.lock(tx, order[0])
            if len(turns) <= 2:
                barrier.wait(10)
            jobs.lock(tx, order[1])

        db.transact(lock_both)

    assert in_threads(2, work) == [None, None]
    assert len(turns) >= 3


def test_a_transaction_of_one_statement_has_no_second(db: Database) -> None:
    (job_id,) = queue(db)

    def work(tx: Tx) -> None:
        jobs.find(tx, job_id)
        jobs.find(tx, job_id)

    with pytest.raises(Bug):
        db.transact_one(work)


ROUTINE = {
    ("jobs.unfinished", "jobs_unfinished"): {"after_seq": 0, "limit": 200},
    ("jobs.unfinished_of_buyer", "jobs_unfinished_of_buyer"): {"buyer": WALLET},
    ("jobs.latest", "jobs_by_age"): {"state": None, "limit": 50},
    ("jobs.of_buyer", "jobs_of_buyer"): {"buyer": WALLET, "limit": 50},
    ("jobs.expired", "jobs_leased"): {"now_s": NOW_S, "limit": 200},
    ("jobs.earnings", "jobs_earned"): {"wallet": WALLET, "before_seq": 9**9, "since_s": 0.0, "limit": 50},
    ("jobs.events_after", "job_events_of_buyer"): {"buyer": WALLET, "after_seq": 0, "limit": 50},
    ("ledger.accounts_after", "balances_pkey"): {"account": "", "asset": "", "limit": 200},
    ("ledger.total", "postings_of_account"): {"account": "chain", "asset": "usdc"},
    ("ledger.since_slot", "transfers_by_slot"): {"slot": 5},
    ("ledger.of_signatures", "transfers_by_signature"): {"signatures": ["s"]},
    ("ledger.standing", "transfers_of_escrow"): {"owners": [WALLET], "job_ids": ["0" * 32]},
    ("ledger.links", "transfers_in_order"): {"after_seq": 5, "limit": 200},
    ("ledger.of_account", "postings_of_account"): {"account": f"user:{WALLET}", "limit": 50},
    ("outbox.due", "one_live_action"): {"now_s": NOW_S, "limit": 50},
    ("outbox.next_due", "one_live_action"): {},
    ("outbox.unclaimed", "jobs_leased"): {"limit": 200},
}


@pytest.mark.parametrize(("query", "index"), ROUTINE)
def test_what_is_asked_all_the_time_reads_no_whole_table(db: Database, query: str, index: str) -> None:
    with db.raw() as connection:
        rows = connection.execute(f"EXPLAIN {load_all()[query]}", ROUTINE[query, index]).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert f" {index} " in plan
    assert "Seq Scan" not in plan
