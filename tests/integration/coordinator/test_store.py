"""The database's own promises: migrations, compare-and-set, claims, the ledger's invariants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.domain.leases import after_failure, after_refusal
from coordinator.domain.matching import FreeSlot, NodeFacts, Slot, fits
from coordinator.domain.pricing import PriceList, make_terms
from coordinator.service.dispatcher import claim_for
from coordinator.store import jobs, nodes, outbox
from coordinator.store.database import Database, Tx, UniqueBroken
from coordinator.store.jobs import NewJob
from coordinator.store.migrate import load_migrations, migrate, pending
from coordinator.store.records import JobRow
from p2p.core.errors import Bug, EnvironmentFailure, Refused
from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, JobSpec, NetworkMode
from p2p.core.limits import GIB, LEASE_S
from p2p.core.messages.nodes import GpuInfo, Hardware, NodeAdvert
from p2p.core.money import Asset
from p2p.core.signing import Signed
from p2p.core.states import FailureCode, JobState
from p2p.wire.codec import encode

NOW_S = 1000.0
PRICES = PriceList({"cpu": 40_000, "rtx4090": 400_000, "h100": 2_000_000}, 150_000_000)
WALLET = "B" * 43


def new_job(buyer: str = WALLET, **config: Any) -> NewJob:
    spec = JobSpec("n", "a.py", JobConfig(**config), sha256(b"").digest(), 10, 1, False, Asset.USDC)
    terms = make_terms(
        job_id=new_job_id(),
        buyer=buyer,
        asset=Asset.USDC,
        config=spec.config,
        prices=PRICES,
        fee_bps=1000,
        spec_hash=b"",
        coordinator_wallet="c",
        now_s=NOW_S,
    )
    return NewJob(spec, terms, Signed(encode(terms), "signer", b"s"), "engine", (), "open")


def queue(db: Database, count: int = 1, **traits: Any) -> list[str]:
    made = [new_job(**traits) for _ in range(count)]
    for job in made:
        db.transact(lambda tx, job=job: jobs.insert(tx, job, NOW_S))  # type: ignore[misc]
    return [job.terms.job_id for job in made]


def free(peer_id: str = "node", slot: str = "cpu", **traits: Any) -> FreeSlot:
    found = Slot(slot, traits.pop("gpu_class", "cpu"), traits.pop("vram_bytes", 0))
    node = NodeFacts(peer_id, "W" * 43, (found,), 0, True, frozenset(NetworkMode), "i", 100 * GIB, NOW_S + 1)
    return FreeSlot(replace(node, **traits), found)


def claim(db: Database, slot: FreeSlot, now_s: float = NOW_S) -> JobRow | None:
    return claim_for(db, slot, now_s)


def load(db: Database, job_id: str) -> JobRow:
    found = db.transact(lambda tx: jobs.find(tx, job_id))
    assert found is not None
    return found


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work`` in threads that all start at once; exceptions are results."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(10)
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# -- migrations


def test_migrations_apply_once_and_are_remembered(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as connection:
        names = [step.name for step in load_migrations()]
        assert pending(connection) == names
        assert migrate(connection) == names
        assert migrate(connection) == []
        assert pending(connection) == []


def test_the_rates_step_keeps_what_a_database_had(empty_dsn: str) -> None:
    """Data written under the first schema is still there and whole after the later steps."""
    with psycopg.connect(empty_dsn) as connection:
        assert migrate(connection, up_to=1) == ["0001_initial.sql"]
    with Database(empty_dsn) as db:
        (job_id,) = queue(db)
        before = load(db, job_id)
        with db.raw() as connection:
            assert migrate(connection) == [step.name for step in load_migrations()[1:]]
        assert load(db, job_id) == before
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


# -- claims


def test_no_job_is_claimed_twice_and_none_is_left(db: Database) -> None:
    job_ids = queue(db, 60)

    def work(number: int) -> list[str]:
        mine = []
        for turn in range(100):
            job = claim(db, free(f"node{number}", f"slot{turn}"))
            if job is None:
                break
            mine.append(job.job_id)
        return mine

    results = in_threads(6, work)
    claimed = [job_id for mine in results for job_id in mine]
    assert sorted(claimed) == sorted(job_ids)
    assert {load(db, job_id).epoch for job_id in job_ids} == {1}
    actions = db.transact(lambda tx: tx.rows("outbox.counts"))
    assert actions == [{"kind": "assign", "state": "prepared", "actions": 60}]


def test_first_come_first_served_among_jobs_for_the_same_nodes(db: Database) -> None:
    big = queue(db, 1, gpu_type="h100")
    small = queue(db, 3, gpu_type="cpu")
    order = [claim(db, free(slot=f"s{n}")) for n in range(3)]
    assert [job.job_id for job in order if job] == small
    job = claim(db, free("dgx", "g", gpu_class="h100", vram_bytes=80 * GIB))
    assert job is not None
    assert job.job_id == big[0]
    assert (job.gpu_class, job.rate_units_per_hour) == ("h100", 2_000_000)


def test_a_slot_takes_one_job(db: Database) -> None:
    queue(db, 2)
    assert claim(db, free()) is not None
    with pytest.raises(UniqueBroken) as caught:
        claim(db, free())
    assert caught.value.constraint == "one_job_per_slot"


classes = st.sampled_from(["cpu", "rtx4090", "h100"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    gpu_type=classes | st.just("any"),
    min_vram=st.sampled_from([0, 24 * GIB, 48 * GIB]),
    max_price=st.sampled_from([None, 40_000, 500_000, 3_000_000]),
    network=st.sampled_from(NetworkMode),
    gpu_class=classes,
    vram=st.sampled_from([0, 24 * GIB, 80 * GIB]),
    min_price=st.sampled_from([0, 40_000, 400_001]),
    offered=st.frozensets(st.sampled_from(NetworkMode), min_size=1),
    disk=st.sampled_from([0, 1 * GIB + 19, 1 * GIB + 20, 10 * GIB]),
    excluded=st.booleans(),
)
def test_sql_and_rules_agree(
    db: Database,
    gpu_type: str,
    min_vram: int,
    max_price: int | None,
    network: NetworkMode,
    gpu_class: str,
    vram: int,
    min_price: int,
    offered: frozenset[NetworkMode],
    disk: int,
    excluded: bool,
) -> None:
    """The claim statement takes exactly the jobs that the pure rules would give to the slot."""
    try:
        job = new_job(
            gpu_type=gpu_type,
            min_vram_bytes=min_vram,
            max_price_usd_micros_per_hour=max_price,
            network=network,
        )
    except Refused:
        return  # max_price is below every rate
    slot = free(
        gpu_class=gpu_class,
        vram_bytes=vram,
        min_price_usd_micros_per_hour=min_price,
        networks=offered,
        disk_free_bytes=disk,
    )

    class Undo(Exception):
        pass

    def work(tx: Tx) -> None:
        row = jobs.insert(tx, job, NOW_S)
        if excluded:
            tx.execute("jobs.exclude", job_id=row.job_id, peer_id="node", until_s=NOW_S + 1)
        wanted = fits(jobs.needs(tx, row, NOW_S), slot.node, slot.slot, NOW_S)
        assert (jobs.claim(tx, slot, NOW_S) is not None) == wanted
        raise Undo

    with pytest.raises(Undo):
        db.transact(work)


# -- leases and fencing


def test_a_requeued_job_keeps_its_place_and_avoids_the_node(db: Database) -> None:
    first, second = queue(db, 2)
    job = claim(db, free())
    assert job is not None
    assert job.lease_expires_at_s == NOW_S + LEASE_S
    step = after_failure(job.attempt, FailureCode.NODE_LOST)
    db.transact(lambda tx: jobs.requeue(tx, load(db, first), step, "node_lost", NOW_S))
    back = load(db, first)
    assert (back.status, back.attempt, back.node_peer_id, back.used_units) == (JobState.QUEUED, 2, None, 0)
    other = claim(db, free())
    assert other is not None
    assert other.job_id == second
    again = claim(db, free("other"))
    assert again is not None
    assert (again.job_id, again.epoch, again.attempt) == (first, 2, 2)
    assert claim(db, free(slot="x"), NOW_S + step.exclude_s + 1) is None


def test_a_job_is_not_claimed_while_its_last_assign_may_still_land(db: Database) -> None:
    (job_id,) = queue(db)
    assert claim(db, free())
    action = db.transact(lambda tx: outbox.of_job(tx, job_id))[0]
    sent = {"signed_bytes": b"x", "signature": "sig", "last_valid_height": 1, "now_s": NOW_S}
    db.transact(lambda tx: tx.execute("outbox.signed", action_id=action.action_id, **sent))
    step = after_refusal(1)
    db.transact(lambda tx: jobs.requeue(tx, load(db, job_id), step, "node_refused", NOW_S))
    assert claim(db, free("other")) is None
    db.transact(lambda tx: tx.execute("outbox.done", action_id=action.action_id, now_s=NOW_S))
    assert claim(db, free("other")) is not None


def test_only_one_action_of_a_kind_is_under_way(db: Database) -> None:
    queue(db)
    job = claim(db, free())
    assert job is not None
    with pytest.raises(UniqueBroken) as caught:
        db.transact(lambda tx: outbox.add(tx, job, outbox.ASSIGN, NOW_S))
    assert caught.value.constraint == "one_live_action"
    db.transact(lambda tx: outbox.add(tx, job, outbox.REFUND, NOW_S))
    with pytest.raises(UniqueBroken) as caught:
        db.transact(lambda tx: outbox.add(tx, job, outbox.SETTLE, NOW_S, state="waiting", used_units=1))
    assert caught.value.constraint == "one_verdict_action"


def test_late_meters_and_renewals_of_an_old_epoch_change_nothing(db: Database) -> None:
    (job_id,) = queue(db)
    assert claim(db, free())
    renewal = {
        "job_ids": [job_id],
        "peer_ids": ["node"],
        "until": [NOW_S + 999],
        "used_seconds": [5],
        "used_units": [5],
    }
    db.transact(lambda tx: tx.execute("jobs.renew", epochs=[0], **renewal))
    assert load(db, job_id).lease_expires_at_s == NOW_S + LEASE_S
    db.transact(lambda tx: tx.execute("jobs.renew", epochs=[1], **renewal))
    job = load(db, job_id)
    assert (job.lease_expires_at_s, job.used_units) == (NOW_S + 999, 0)  # it does not run yet


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


def test_a_claim_that_the_rules_deny_is_undone(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (job_id,) = queue(db)
    monkeypatch.setattr("coordinator.service.dispatcher.fits", lambda *_: False)
    with pytest.raises(Bug):
        claim(db, free())
    assert load(db, job_id).status is JobState.QUEUED
    monkeypatch.undo()
    assert claim(db, free()) is None  # kept away from that node for a while
    assert claim(db, free("other")) is not None


def test_a_transaction_of_one_statement_has_no_second(db: Database) -> None:
    (job_id,) = queue(db)

    def work(tx: Tx) -> None:
        jobs.find(tx, job_id)
        jobs.find(tx, job_id)

    with pytest.raises(Bug):
        db.transact_one(work)
