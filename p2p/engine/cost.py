"""What a job cost: as the statement says at first, as the chain says in the end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import trio

from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.past import PastJob
from p2p.core.messages.jobs import JobView, ResultStatement, Terms
from p2p.core.money import cost_units, split
from p2p.engine.context import Engine, terms_of, view_of
from p2p.engine.results import replace_file
from p2p.engine.terms import rate_of
from p2p.store.engine import JobRow

COST = "cost.json"
_PAID = (JobStatus.SETTLED, JobStatus.FINALIZED, JobStatus.RESOLVED)


def cost_to_json(
    terms: Terms, view: JobView, used_units: int, deposit_units: int, *, final: bool
) -> dict[str, Any]:
    """The parts of a job's cost, in base units; ``final`` once the chain has decided."""
    parts = split(deposit_units, used_units, terms.fee_bps)
    return {
        "job_id": terms.job_id,
        "asset": terms.asset.value,
        "decimals": terms.asset.decimals,
        "final": final,
        "state": view.state.value,
        "gpu_class": view.gpu_class,
        "rate_units_per_hour": view.rate_units_per_hour,
        "deposit_units": deposit_units,
        "used_seconds": view.used_seconds,
        "used_units": used_units,
        "fee_bps": terms.fee_bps,
        "node_units": parts.node_units,
        "fee_units": parts.fee_units,
        "refund_units": parts.refund_units,
        "transactions": [{"action": entry.action, "signature": entry.signature} for entry in view.chain],
    }


def expected_cost(
    terms: Terms, view: JobView, statement: ResultStatement, deposit_units: int
) -> dict[str, Any]:
    """What the job will cost by the node's own statement, which is the most it can cost now."""
    seconds = min(terms.timeout_s, math.ceil(statement.run_seconds))
    used = min(terms.deposit_units, cost_units(rate_of(terms, view.gpu_class), seconds))
    return cost_to_json(terms, view, used, deposit_units, final=False)


def charged_units(on_chain: OnChainJob | PastJob) -> int:
    """What the buyer paid, by the job's account on chain."""
    return on_chain.used_units if on_chain.status in _PAID else 0


def dump(value: dict[str, Any]) -> bytes:
    """JSON for people and programs."""
    return (json.dumps(value, indent=2) + "\n").encode()


async def write_cost(engine: Engine, job: JobRow, on_chain: OnChainJob | PastJob) -> None:
    """Write the final cost into the results, if the job has any."""
    view = view_of(job)
    out = Path(job.out_folder)
    if job.fetched_at_s is None or view is None or not out.is_dir():
        return
    _, terms = terms_of(job)
    cost = cost_to_json(terms, view, charged_units(on_chain), on_chain.deposit_units, final=True)
    await trio.to_thread.run_sync(replace_file, out / COST, dump(cost))
