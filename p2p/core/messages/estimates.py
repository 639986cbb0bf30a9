"""What a job would cost and how long it would wait, asked before anything is packaged."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.jobspec import JobConfig
from p2p.core.messages.jobs import RateTerm, RuleCount
from p2p.core.money import Asset


@dataclass(frozen=True, slots=True)
class EstimateRequest:
    """``offers.estimate``: what would a job like this cost now, and who could run it?"""

    config: JobConfig
    asset: Asset
    input_bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """As a quote, without a signature.

    ``wait_s``: how long it would probably wait for a node; None when there is no node that could run it, or
    nothing to go by. It follows from ``jobs_ahead``, from ``slots`` (places for jobs that could take it, free
    or not), and from ``mean_run_s``, how long the last ``sampled_jobs`` on such slots took.
    """

    rates: tuple[RateTerm, ...]
    deposit_units: int
    fee_bps: int
    asset_price_usd_micros: int
    nodes_online: int
    nodes_matching: int
    misfits: tuple[RuleCount, ...]
    jobs_ahead: int
    slots: int
    slots_free: int
    wait_s: float | None
    mean_run_s: float
    sampled_jobs: int
