"""Claims, leases and actions: who gets a job, and that nobody gets one twice."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.domain.leases import after_failure, after_refusal
from coordinator.domain.matching import fits
from coordinator.store import jobs, outbox
from coordinator.store.database import Database, Tx, UniqueBroken
from p2p.core.errors import Bug, Refused
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import GIB, LEASE_S
from p2p.core.states import FailureCode, JobState
from p2p.testing.queue import NOW_S, claim, free, in_threads, load, new_job, queue


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
    db.transact(lambda tx: tx.execute("outbox.signed", action_ids=[action.action_id], **sent))
    step = after_refusal(1)
    db.transact(lambda tx: jobs.requeue(tx, load(db, job_id), step, "node_refused", NOW_S))
    assert claim(db, free("other")) is None
    db.transact(
        lambda tx: tx.execute("outbox.done", action_id=action.action_id, now_s=NOW_S, window_ends_at_s=None)
    )
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


def test_a_claim_that_the_rules_deny_is_undone(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (job_id,) = queue(db)
    monkeypatch.setattr("coordinator.service.dispatcher.fits", lambda *_: False)
    with pytest.raises(Bug):
        claim(db, free())
    assert load(db, job_id).status is JobState.QUEUED
    monkeypatch.undo()
    assert claim(db, free()) is None  # kept away from that node for a while
    assert claim(db, free("other")) is not None
