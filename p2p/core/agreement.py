"""What buyer and coordinator work out for themselves and must work out alike."""

from __future__ import annotations

import math

from p2p.core.limits import ATTEMPTS_MAX, RUN_SLACK_S, STAGING_MAX_S
from p2p.core.signing import Domain, statement_hash


def run_limit_s(timeout_s: int, longest_job_s: int) -> int:
    """How long a job may take on chain from its first assignment until the buyer may reclaim: staging and
    all attempts, with slack, within what the program allows."""
    return min(longest_job_s, math.ceil(STAGING_MAX_S) + ATTEMPTS_MAX * timeout_s + RUN_SLACK_S)


def cancelled_hash(job_id: str) -> bytes:
    """The result hash on chain of a job that was cancelled while it ran, and so has no result statement."""
    return statement_hash(Domain.RECEIPT, b"cancelled:" + job_id.encode())
