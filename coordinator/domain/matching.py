"""Which node may run which job: one list of named rules, used to match and to explain.

A *slot* is a place on a node where one job runs: one per GPU, or the single slot ``cpu`` of a node without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from p2p.core.jobspec import ANY_GPU, CPU_CLASS, JobConfig, NetworkMode
from p2p.core.limits import NODE_DISK_RESERVE_BYTES
from p2p.core.messages.jobs import RateTerm, RuleCount
from p2p.core.messages.nodes import NodeAdvert
from p2p.core.money import format_usd

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for a job on a node; ``slot`` is the GPU's uuid or ``cpu``."""

    slot: str
    gpu_class: str
    vram_bytes: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """An online node as the rules see it."""

    peer_id: str
    wallet: str
    slots: tuple[Slot, ...]
    min_price_usd_micros_per_hour: int
    available: bool
    networks: frozenset[NetworkMode]
    image_digest: str
    disk_free_bytes: int
    login_expires_at_s: float
    busy: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class JobNeeds:
    """A job as the rules see it. ``rates``: USD micros per hour of each class it may land on."""

    gpu_type: str
    min_vram_bytes: int
    max_price_usd_micros_per_hour: int | None
    network: NetworkMode
    disk_bytes: int
    rates: Mapping[str, int]
    excluded: frozenset[str] = field(default_factory=frozenset)


Test = Callable[[JobNeeds, NodeFacts, Slot, float], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """``passes(needs, node, slot, now_s)``; ``words`` completes "n nodes …" for a buyer."""

    name: str
    passes: Test
    words: Callable[[JobNeeds], str]


RULES: tuple[Rule, ...] = (
    Rule(
        "login",
        lambda needs, node, slot, now_s: node.login_expires_at_s > now_s,
        lambda needs: "must log in again",
    ),
    Rule(
        "image",
        lambda needs, node, slot, now_s: bool(node.image_digest),
        lambda needs: "do not have the job image yet",
    ),
    Rule(
        "available",
        lambda needs, node, slot, now_s: node.available,
        lambda needs: "are switched off by their owners",
    ),
    Rule(
        "gpu_type",
        lambda needs, node, slot, now_s: needs.gpu_type in (ANY_GPU, slot.gpu_class),
        lambda needs: f"have no {needs.gpu_type}",
    ),
    Rule(
        "min_vram",
        lambda needs, node, slot, now_s: slot.vram_bytes >= needs.min_vram_bytes,
        lambda needs: f"have less than {needs.min_vram_bytes / GIB:g} GB of GPU memory",
    ),
    Rule(
        "max_price",
        lambda needs, node, slot, now_s: slot.gpu_class in needs.rates,
        lambda needs: (
            "are of a class without a rate"
            if needs.max_price_usd_micros_per_hour is None
            else f"cost more than {format_usd(needs.max_price_usd_micros_per_hour)} an hour"
        ),
    ),
    Rule(
        "min_price",
        lambda needs, node, slot, now_s: (
            needs.rates.get(slot.gpu_class, -1) >= node.min_price_usd_micros_per_hour
        ),
        lambda needs: "ask for more than the platform's rate",
    ),
    Rule(
        "network",
        lambda needs, node, slot, now_s: needs.network in node.networks,
        lambda needs: f"do not offer network {needs.network.value}",
    ),
    Rule(
        "disk",
        lambda needs, node, slot, now_s: node.disk_free_bytes >= needs.disk_bytes,
        lambda needs: f"have less than {needs.disk_bytes / GIB:.1f} GB of disk free",
    ),
    Rule(
        "excluded",
        lambda needs, node, slot, now_s: node.peer_id not in needs.excluded,
        lambda needs: "refused or lost this job a short while ago",
    ),
    Rule(
        "busy",
        lambda needs, node, slot, now_s: slot.slot not in node.busy,
        lambda needs: "are busy with other jobs",
    ),
)


def slots_of(advert: NodeAdvert) -> tuple[Slot, ...]:
    """The slots that an advert offers: one per GPU, else one of class ``cpu``."""
    if not advert.hardware.gpus:
        return (Slot(CPU_CLASS, CPU_CLASS, 0),)
    return tuple(Slot(gpu.uuid, gpu.gpu_class, gpu.vram_bytes) for gpu in advert.hardware.gpus)


def disk_needed(input_bytes: int) -> int:
    """What a node must have free: the inputs, twice (store and working copy), and a reserve."""
    return 2 * input_bytes + NODE_DISK_RESERVE_BYTES


def needs_of(
    config: JobConfig, input_bytes: int, rates: Iterable[RateTerm], excluded: Iterable[str] = ()
) -> JobNeeds:
    """What the rules need to know of a job."""
    return JobNeeds(
        gpu_type=config.gpu_type,
        min_vram_bytes=config.min_vram_bytes,
        max_price_usd_micros_per_hour=config.max_price_usd_micros_per_hour,
        network=config.network,
        disk_bytes=disk_needed(input_bytes),
        rates={rate.gpu_class: rate.usd_micros_per_hour for rate in rates},
        excluded=frozenset(excluded),
    )


def fits(needs: JobNeeds, node: NodeFacts, slot: Slot, now_s: float) -> bool:
    """Whether the job may start on this slot now."""
    return all(rule.passes(needs, node, slot, now_s) for rule in RULES)


def first_misfit(needs: JobNeeds, node: NodeFacts, now_s: float) -> Rule | None:
    """The first rule that leaves no slot of the node, in the order of :data:`RULES`; None if one fits."""
    slots = node.slots
    for rule in RULES:
        slots = tuple(slot for slot in slots if rule.passes(needs, node, slot, now_s))
        if not slots:
            return rule
    return None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Each online node is counted once: as matching, or at the first rule that it fails."""

    online: int
    matching: int
    misfits: tuple[RuleCount, ...]


def explain(needs: JobNeeds, nodes: Iterable[NodeFacts], now_s: float) -> Explanation:
    """How many nodes match, and per rule how many fail it."""
    counts: dict[str, int] = {}
    online = matching = 0
    for node in nodes:
        online += 1
        rule = first_misfit(needs, node, now_s)
        if rule is None:
            matching += 1
        else:
            counts[rule.name] = counts.get(rule.name, 0) + 1
    misfits = tuple(
        RuleCount(rule.name, counts[rule.name], rule.words(needs)) for rule in RULES if rule.name in counts
    )
    return Explanation(online, matching, misfits)


@dataclass(frozen=True, slots=True)
class FreeSlot:
    """A free slot of an online node, ready to take a job."""

    node: NodeFacts
    slot: Slot


def free_slots(nodes: Iterable[NodeFacts], rates: Mapping[str, int], now_s: float) -> list[FreeSlot]:
    """Slots that could take some job now; the cheapest and smallest first, so that these are used first."""
    found = [
        FreeSlot(node, slot)
        for node in nodes
        if node.available and node.image_digest and node.login_expires_at_s > now_s
        for slot in node.slots
        if slot.slot not in node.busy
    ]
    return sorted(
        found, key=lambda free: (rates.get(free.slot.gpu_class, 0), free.slot.vram_bytes, free.node.peer_id)
    )


def covers(tried: FreeSlot, other: FreeSlot) -> bool:
    """Whether every job that fits ``other`` also fits ``tried``, but for nodes that a job excludes."""
    return (
        tried.slot.gpu_class == other.slot.gpu_class
        and tried.slot.vram_bytes >= other.slot.vram_bytes
        and tried.node.min_price_usd_micros_per_hour <= other.node.min_price_usd_micros_per_hour
        and tried.node.networks >= other.node.networks
        and tried.node.disk_free_bytes >= other.node.disk_free_bytes
    )
