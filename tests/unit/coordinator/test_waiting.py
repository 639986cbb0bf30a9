from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.domain.matching import JobNeeds, NodeFacts, Slot
from coordinator.domain.waiting import Capacity, capacity, expected_wait_s
from p2p.core.jobspec import NetworkMode

NODE = NodeFacts(
    peer_id="node",
    wallet="wallet",
    slots=(Slot("a", "cpu", 0), Slot("b", "cpu", 0)),
    min_price_usd_micros_per_hour=0,
    available=True,
    networks=frozenset(NetworkMode),
    image_digest="sha256:1",
    disk_free_bytes=100,
    login_expires_at_s=10.0,
)
NEEDS = JobNeeds("any", 0, None, NetworkMode.NONE, 10, {"cpu": 1})


def test_slots_count_that_could_take_the_job_sooner_or_later() -> None:
    busy, small = replace(NODE, busy=frozenset({"a"})), replace(NODE, disk_free_bytes=9)
    assert capacity(NEEDS, [busy, small, replace(NODE, available=False)], 0.0) == Capacity(2, 1)
    assert capacity(NEEDS, [], 0.0) == Capacity(0, 0)


@pytest.mark.parametrize(
    ("room", "ahead", "mean_s", "wait_s"),
    [
        (Capacity(0, 0), 0, 60.0, None),
        (Capacity(2, 1), 0, None, 0.0),
        (Capacity(2, 0), 0, None, None),
        (Capacity(2, 1), 1, 60.0, 30.0),
        (Capacity(2, 0), 3, 60.0, 120.0),
        (Capacity(4, 0), 0, 60.0, 15.0),
    ],
)
def test_busy_slots_end_their_jobs_evenly(
    room: Capacity, ahead: int, mean_s: float | None, wait_s: float | None
) -> None:
    assert expected_wait_s(room, ahead, mean_s) == wait_s
