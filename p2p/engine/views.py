"""Jobs and plans as JSON, for windows, the CLI and ``--json``. The form is documented in docs/cli.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from p2p.chain.browser import explorer_link
from p2p.core.messages.disputes import ReviewView
from p2p.core.messages.jobs import JobView, RuleCount, Terms
from p2p.core.money import cost_units
from p2p.core.states import JobState
from p2p.engine.context import budget_used, deposit_of, problem_of, spec_of, statement_of, terms_of, view_of
from p2p.engine.cost import cost_to_json
from p2p.engine.live import LiveJob
from p2p.engine.planning import Plan
from p2p.store.engine import EventRow, JobRow
from p2p.store.stages import Stage

Json = dict[str, Any]

LOCALNET = "localnet"
_BEFORE = {
    Stage.PACKAGED: "planned",
    Stage.QUOTED: "planned",
    Stage.OPENING: "opening",
    Stage.OPENED: "opening",
    Stage.WITHDRAWING: "withdrawing",
    Stage.DROPPED: "dropped",
}
_BAD_ENDS = (JobState.FAILED, JobState.CANCELLED, JobState.REFUNDED)


def state_word(job: JobRow, view: JobView | None) -> str:
    """One word for where a job is: the coordinator's state once it has the job, ours before."""
    if job.stage in _BEFORE:
        return _BEFORE[job.stage]
    if job.stage is Stage.REFUNDED:
        return JobState.REFUNDED.value
    return JobState.QUEUED.value if view is None else view.state.value


def job_to_json(job: JobRow, live: LiveJob) -> Json:
    """A job as a line of a list, and as an item of ``watch``."""
    spec, view, statement = spec_of(job), view_of(job), statement_of(job)
    terms = terms_of(job)[1] if job.terms is not None else None
    return {
        "job_id": job.job_id,
        "name": spec.name,
        "state": state_word(job, view),
        "stage": job.stage.value,
        "final": job.stage.is_final,
        "succeeded": _succeeded(job),
        "created_at_s": job.created_at_s,
        "asset": spec.asset.value,
        "decimals": spec.asset.decimals,
        "gpu_type": spec.config.gpu_type,
        "gpu_class": view.gpu_class if view else "",
        "timeout_s": terms.timeout_s if terms else spec.config.timeout_s,
        "attempt": view.attempt if view else 0,
        "node_peer_id": view.node_peer_id if view else "",
        "used_seconds": view.used_seconds if view else 0,
        "deposit_units": deposit_of(job, terms) if terms else 0,
        "rate_units_per_hour": view.rate_units_per_hour if view else 0,
        "used_units": _used_units(job, view, terms),
        "budget_used": budget_used(view) if view else 0.0,
        "progress": live.progress.fraction,
        "metrics": dict(live.metrics),
        "transfer": _transfer(live),
        "failure": view.failure.value if view and view.failure else None,
        "failure_words": view.failure.words if view and view.failure else "",
        "detail": view.detail if view else "",
        "problem": problem_of(job),
        "cancel_wanted": job.cancel_wanted,
        "topping_up": job.topup is not None,
        "disputed": job.dispute_known or (view is not None and is_disputed(view)),
        "out": job.out_folder,
        "fetched": job.fetched_at_s is not None,
        "verified_root": statement[1].output_root.hex() if statement and job.fetched_at_s else None,
        "cost": _final_cost(job, view, terms),
    }


def job_details(job: JobRow, live: LiveJob, events: Sequence[EventRow], cluster: str = LOCALNET) -> Json:
    """A job with everything that is known of it; ``cluster``: where its transactions can be looked at."""
    view, spec, statement = view_of(job), spec_of(job), statement_of(job)
    return {
        **job_to_json(job, live),
        "wallet": job.wallet,
        "signer": job.signer,
        "open_signature": job.open_signature,
        "fee_bps": view.fee_bps if view else None,
        "network": spec.config.network.value,
        "min_vram_bytes": spec.config.min_vram_bytes,
        "max_price_usd_micros_per_hour": spec.config.max_price_usd_micros_per_hour,
        "input": {
            "script": spec.script,
            "files": spec.input_files,
            "bytes": spec.input_bytes,
            "root": spec.input_root.hex(),
            "data_url": spec.data_url,
        },
        "events": [
            {
                "at_s": event.at_s,
                "state": event.state,
                "detail": event.detail,
                "from": "engine" if event.remote_seq is None else "coordinator",
            }
            for event in events
        ],
        "nodes_online": view.nodes_online if view else 0,
        "misfits": misfits_to_json(view.misfits if view else ()),
        "chain": [
            {"action": e.action, "signature": e.signature, "status": e.status, "at_s": e.at_s}
            for e in (view.chain if view else ())
        ],
        "dispute_signature": job.dispute_signature,
        "transactions": list(_transactions(job, view, cluster)),
        "review": review_to_json(view.review if view else None),
        "result": None
        if statement is None
        else {
            "node_peer_id": statement[0].signer,
            "root": statement[1].output_root.hex(),
            "files": statement[1].output_files,
            "bytes": statement[1].output_bytes,
            "image_digest": statement[1].image_digest,
            "exit_code": statement[1].exit_code,
            "run_seconds": statement[1].run_seconds,
            "verified": job.fetched_at_s is not None,
        },
    }


def _transactions(job: JobRow, view: JobView | None, cluster: str) -> Iterator[Json]:
    """The coordinator's, and those of this engine around them."""
    found: list[tuple[str, str, str, float | None]] = [("open", job.open_signature, "", None)]
    found.append(("top_up", job.topup_signature, "", None))
    found += [(e.action, e.signature, e.status, e.at_s) for e in (view.chain if view else ())]
    found.append(("dispute", job.dispute_signature, "", None))
    for action, signature, status, at_s in found:
        if signature:
            link = explorer_link(signature, cluster)
            yield {
                "action": action, "signature": signature, "status": status, "at_s": at_s, "explorer": link,
            }  # fmt: skip


def plan_to_json(plan: Plan) -> Json:
    """What is shown before the yes."""
    terms, spec = plan.terms, plan.package.spec
    cheapest = min(rate.units_per_hour for rate in terms.rates)
    return {
        "job_id": plan.job.job_id,
        "name": spec.name,
        "script": spec.script,
        "files": spec.input_files,
        "bytes": spec.input_bytes,
        "known_bytes": plan.package.known_bytes,
        "data_url": spec.data_url,
        "network": spec.config.network.value,
        "gpu_type": spec.config.gpu_type,
        "timeout_s": terms.timeout_s,
        "asset": terms.asset.value,
        "decimals": terms.asset.decimals,
        "asset_price_usd_micros": terms.asset_price_usd_micros,
        "nodes_online": plan.quote.nodes_online,
        "nodes_matching": plan.quote.nodes_matching,
        "misfits": misfits_to_json(plan.quote.misfits),
        "jobs_ahead": plan.quote.jobs_ahead,
        "rates": [
            {
                "gpu_class": rate.gpu_class,
                "usd_micros_per_hour": rate.usd_micros_per_hour,
                "units_per_hour": rate.units_per_hour,
            }
            for rate in terms.rates
        ],
        "cheapest_units": cost_units(cheapest, terms.timeout_s),
        "deposit_units": terms.deposit_units,
        "fee_bps": terms.fee_bps,
        "balance_units": plan.balance_units,
        "fees_paid_by": "coordinator" if plan.sponsored else "session key",
        "expires_at_s": terms.expires_at_s,
        "out": plan.job.out_folder,
    }


def is_disputed(view: JobView) -> bool:
    """Whether the coordinator knows of a dispute, decided or not."""
    return view.review is not None and view.review.dispute is not None


def review_to_json(review: ReviewView | None) -> Json | None:
    """A claim and what became of it."""
    if review is None:
        return None
    return {**asdict(review), "dispute": review.dispute.value if review.dispute else None}


def misfits_to_json(misfits: Sequence[RuleCount]) -> list[Json]:
    """Why nodes don't fit, per rule."""
    return [{"rule": misfit.rule, "nodes": misfit.nodes, "words": misfit.words} for misfit in misfits]


def _succeeded(job: JobRow) -> bool | None:
    """None as long as it is open."""
    if job.stage in (Stage.REFUNDED, Stage.DROPPED):
        return False
    if job.stage is Stage.SETTLED:
        return job.fetched_at_s is not None
    return None


def _used_units(job: JobRow, view: JobView | None, terms: Terms | None) -> int:
    if job.charged_units is not None:
        return job.charged_units
    if view is None or terms is None or view.state in _BAD_ENDS:
        return view.used_units if view else 0
    return max(
        view.used_units, min(terms.deposit_units, cost_units(view.rate_units_per_hour, view.used_seconds))
    )


def _final_cost(job: JobRow, view: JobView | None, terms: Terms | None) -> Json | None:
    if job.charged_units is None or view is None or terms is None:
        return None
    return cost_to_json(terms, view, job.charged_units, deposit_of(job, terms), final=True)


def _transfer(live: LiveJob) -> Json | None:
    if live.transfer is None:
        return None
    return {
        "direction": live.transfer.direction.value,
        "done_bytes": live.transfer.done_bytes,
        "total_bytes": live.transfer.total_bytes,
    }
