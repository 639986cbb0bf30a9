"""How long a job would wait for a node: a rough guess from what is known, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.domain.matching import RULES, JobNeeds, NodeFacts, fits

_LASTING = tuple(rule for rule in RULES if rule.name != "busy")


@dataclass(frozen=True, slots=True)
class Capacity:
    """The slots that could take a job, and how many of them are free now."""

    slots: int
    free: int


def capacity(needs: JobNeeds, nodes: Iterable[NodeFacts], now_s: float) -> Capacity:
    """Every slot that the job may run on once nothing else does."""
    found = [
        (node, slot)
        for node in nodes
        for slot in node.slots
        if all(rule.passes(needs, node, slot, now_s) for rule in _LASTING)
    ]
    return Capacity(len(found), sum(fits(needs, node, slot, now_s) for node, slot in found))


def expected_wait_s(found: Capacity, jobs_ahead: int, mean_run_s: float | None) -> float | None:
    """Until a slot is free for the job behind ``jobs_ahead`` others.

    Busy slots end their jobs evenly, each after the mean of such jobs; all jobs ahead are taken to want the
    same slots. None: no slot could take the job, or nothing is known of how long such jobs run.
    """
    if found.slots == 0:
        return None
    to_be_freed = jobs_ahead + 1 - found.free
    if to_be_freed <= 0:
        return 0.0
    return None if mean_run_s is None else to_be_freed * mean_run_s / found.slots
