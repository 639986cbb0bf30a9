"""What a job used: whole seconds of running, never more than the coordinator saw, nor than the timeout."""

from __future__ import annotations

import math

from p2p.core.money import cost_units


def used_seconds(node_run_s: float, observed_s: float, timeout_s: int) -> int:
    """Seconds to pay: the least of the node's and the coordinator's, both rounded up, and the timeout."""
    return max(0, min(math.ceil(node_run_s), math.ceil(observed_s), timeout_s))


def used_units(rate_units_per_hour: int, seconds: int, deposit_units: int) -> int:
    """Their cost, never more than the deposit."""
    return min(cost_units(rate_units_per_hour, seconds), deposit_units)


def run_start_s(now_s: float, reported_run_s: float, assigned_at_s: float) -> float:
    """When a run began, as far as the coordinator can vouch for it.

    A report may come late (the coordinator was away), so the node's own count is believed back to the
    moment of the assignment, but no further.
    """
    return max(assigned_at_s, now_s - max(0.0, reported_run_s))
