"""When finished work is claimed without the buyer's signature."""

from __future__ import annotations

from p2p.core.agreement import run_limit_s
from p2p.core.limits import CLAIM_AFTER_S, CLAIM_MARGIN_S


def claim_due_s(
    waits_since_s: float,
    assigned_at_s: float,
    timeout_s: int,
    longest_job_s: int,
    after_s: float = CLAIM_AFTER_S,
) -> float:
    """When to claim work that has waited for the buyer since ``waits_since_s``.

    Sooner than ``after_s`` only if the escrow's deadline comes near, after which no claim is possible: it is
    at least ``run_limit_s`` after the first assignment, ``assigned_at_s``.
    """
    deadline_s = assigned_at_s + run_limit_s(timeout_s, longest_job_s)
    return max(waits_since_s, min(waits_since_s + after_s, deadline_s - CLAIM_MARGIN_S))
