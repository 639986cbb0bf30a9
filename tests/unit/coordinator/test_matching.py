from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.matching import (
    RULES,
    FreeSlot,
    JobNeeds,
    NodeFacts,
    Slot,
    covers,
    explain,
    first_misfit,
    fits,
    free_slots,
    slots_of,
)
from p2p.core.jobspec import NetworkMode
from p2p.core.messages.nodes import GpuInfo, Hardware, NodeAdvert

GIB = 2**30
NOW_S = 1000.0

NODE = NodeFacts(
    peer_id="node",
    wallet="wallet",
    slots=(Slot("gpu-1", "rtx4090", 24 * GIB),),
    min_price_usd_micros_per_hour=300_000,
    available=True,
    networks=frozenset(NetworkMode),
    image_digest="sha256:1",
    disk_free_bytes=100 * GIB,
    login_expires_at_s=NOW_S + 1,
)
NEEDS = JobNeeds("rtx4090", 16 * GIB, None, NetworkMode.NONE, 10 * GIB, {"rtx4090": 400_000})

MISFITS = [
    ("login", NODE, replace(NODE, login_expires_at_s=NOW_S), NEEDS),
    ("image", NODE, replace(NODE, image_digest=""), NEEDS),
    ("available", NODE, replace(NODE, available=False), NEEDS),
    ("gpu_type", NODE, NODE, replace(NEEDS, gpu_type="h100", rates={"h100": 1, "rtx4090": 400_000})),
    ("min_vram", NODE, NODE, replace(NEEDS, min_vram_bytes=24 * GIB + 1)),
    ("max_price", NODE, NODE, replace(NEEDS, gpu_type="any", max_price_usd_micros_per_hour=1, rates={})),
    ("min_price", NODE, replace(NODE, min_price_usd_micros_per_hour=400_001), NEEDS),
    ("network", NODE, replace(NODE, networks=frozenset({NetworkMode.OUTBOUND})), NEEDS),
    ("disk", NODE, replace(NODE, disk_free_bytes=10 * GIB - 1), NEEDS),
    ("excluded", NODE, NODE, replace(NEEDS, excluded=frozenset({"node"}))),
    ("busy", NODE, replace(NODE, busy=frozenset({"gpu-1"})), NEEDS),
]


def test_a_node_that_has_everything_matches() -> None:
    assert first_misfit(NEEDS, NODE, NOW_S) is None
    assert fits(NEEDS, NODE, NODE.slots[0], NOW_S)


@pytest.mark.parametrize(("name", "good", "node", "needs"), MISFITS, ids=[case[0] for case in MISFITS])
def test_each_rule_alone_rules_a_node_out(
    name: str, good: NodeFacts, node: NodeFacts, needs: JobNeeds
) -> None:
    rule = first_misfit(needs, node, NOW_S)
    assert rule is not None
    assert rule.name == name
    assert not fits(needs, node, node.slots[0], NOW_S)
    found = explain(needs, [good, node] if needs is NEEDS else [node], NOW_S)
    assert [(count.rule, count.nodes) for count in found.misfits] == [(name, 1)]
    assert found.misfits[0].words


def test_every_rule_has_a_case() -> None:
    assert [case[0] for case in MISFITS] == [rule.name for rule in RULES]


def test_another_slot_of_the_node_may_do() -> None:
    node = replace(NODE, slots=(*NODE.slots, Slot("gpu-2", "rtx4090", 24 * GIB)), busy=frozenset({"gpu-1"}))
    assert first_misfit(NEEDS, node, NOW_S) is None
    assert [free.slot.slot for free in free_slots([node], {}, NOW_S)] == ["gpu-2"]


def test_no_slot_does_when_each_lacks_something_else() -> None:
    slots = (Slot("big", "rtx3090", 48 * GIB), Slot("small", "rtx4090", 8 * GIB))
    found = first_misfit(NEEDS, replace(NODE, slots=slots), NOW_S)
    assert found is not None
    assert found.name == "min_vram"


def test_a_node_without_gpus_has_one_cpu_slot() -> None:
    advert = NodeAdvert("p", "w", (), Hardware((), 4, 1, 1), 0, True, (), "", "")
    assert slots_of(advert) == (Slot("cpu", "cpu", 0),)
    gpus = tuple(GpuInfo(f"g{n}", "RTX", "rtx4090", 24 * GIB) for n in range(2))
    assert [slot.slot for slot in slots_of(replace(advert, hardware=Hardware(gpus, 4, 1, 1)))] == ["g0", "g1"]


def test_the_cheapest_free_slot_comes_first() -> None:
    nodes = [
        replace(NODE, peer_id=name, slots=(Slot("s", name, 0),), busy=frozenset())
        for name in ("h100", "cpu", "rtx4090")
    ]
    rates = {"cpu": 1, "rtx4090": 2, "h100": 3}
    assert [free.node.peer_id for free in free_slots(nodes, rates, NOW_S)] == ["cpu", "rtx4090", "h100"]


CLASSES = ("cpu", "rtx4090", "h100")
slots = st.builds(
    Slot, st.sampled_from(("a", "b", "c")), st.sampled_from(CLASSES), st.sampled_from((0, 8 * GIB, 24 * GIB))
)
nodes = st.builds(
    NodeFacts,
    peer_id=st.sampled_from(("n1", "n2", "n3")),
    wallet=st.just("w"),
    slots=st.lists(slots, min_size=1, max_size=3, unique_by=lambda slot: slot.slot).map(tuple),
    min_price_usd_micros_per_hour=st.sampled_from((0, 100, 200)),
    available=st.booleans(),
    networks=st.frozensets(st.sampled_from(NetworkMode)),
    image_digest=st.sampled_from(("", "sha256:1")),
    disk_free_bytes=st.sampled_from((0, GIB, 10 * GIB)),
    login_expires_at_s=st.sampled_from((0.0, NOW_S + 1)),
    busy=st.frozensets(st.sampled_from(("a", "b", "c"))),
)
needs = st.builds(
    JobNeeds,
    gpu_type=st.sampled_from(("any", *CLASSES)),
    min_vram_bytes=st.sampled_from((0, 8 * GIB)),
    max_price_usd_micros_per_hour=st.none() | st.just(150),
    network=st.sampled_from(NetworkMode),
    disk_bytes=st.sampled_from((0, GIB)),
    rates=st.dictionaries(st.sampled_from(CLASSES), st.sampled_from((50, 150))),
    excluded=st.frozensets(st.sampled_from(("n1", "n2"))),
)


@given(needs, st.lists(nodes, max_size=6))
def test_every_node_is_counted_once(job: JobNeeds, found: list[NodeFacts]) -> None:
    why = explain(job, found, NOW_S)
    assert why.online == len(found) == why.matching + sum(count.nodes for count in why.misfits)
    matching = [node for node in found if any(fits(job, node, slot, NOW_S) for slot in node.slots)]
    assert why.matching == len(matching)


@given(needs, nodes, nodes)
def test_what_a_covered_slot_takes_the_covering_one_takes_too(
    job: JobNeeds, one: NodeFacts, other: NodeFacts
) -> None:
    for tried in free_slots([one], {}, NOW_S):
        for free in free_slots([other], {}, NOW_S):
            if covers(tried, free) and one.peer_id not in job.excluded:
                assert fits(job, *_pair(tried)) or not fits(job, *_pair(free))


def _pair(free: FreeSlot) -> tuple[NodeFacts, Slot, float]:
    return free.node, free.slot, NOW_S
