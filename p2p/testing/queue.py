"""Jobs and free slots for tests of the queue, straight on the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

from coordinator.domain.matching import FreeSlot, NodeFacts, Slot
from coordinator.domain.pricing import PriceList, make_terms
from coordinator.service.dispatcher import claim_for
from coordinator.store import jobs
from coordinator.store.database import Database
from coordinator.store.jobs import NewJob
from coordinator.store.records import JobRow
from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, JobSpec, NetworkMode
from p2p.core.limits import GIB
from p2p.core.money import Asset
from p2p.core.signing import Signed
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
