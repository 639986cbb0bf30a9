"""A dispute with all that bears on it: what was agreed, measured, sworn, said and proven; what it can pay."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from coordinator.store import disputes, jobs
from coordinator.store.database import Row, Tx
from coordinator.store.disputes import BUYER, NODE, DisputeRow
from coordinator.store.records import JobRow
from p2p.chain.accounts import OnChainJob
from p2p.chain.past import PastJob
from p2p.core.errors import Refused, UserError
from p2p.core.ids import is_job_id_prefix
from p2p.core.limits import EVENTS_PER_REPLY_MAX
from p2p.core.messages.disputes import DisputeStatement
from p2p.core.messages.jobs import ResultStatement
from p2p.core.money import split
from p2p.core.signing import Domain, Signed, statement_hash
from p2p.wire.codec import decode

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A dispute and its job."""

    dispute: DisputeRow
    job: JobRow


def find_case(tx: Tx, prefix: str) -> Case:
    """The dispute about the job whose id begins so.

    :raises UserError: not a job id, or several fit.
    :raises Refused: ``not_disputed``.
    """
    if not is_job_id_prefix(prefix):
        raise UserError("bad_job_id", f"{prefix[:40]!r} is not a job id.", hint="It has 4 to 32 hex digits.")
    rows = tx.all_as(DisputeRow, "disputes.by_prefix", prefix=prefix)
    if len(rows) > 1:
        raise UserError("ambiguous_job_id", f"Several begin with {prefix}.", hint="Give more digits.")
    job = jobs.find(tx, rows[0].job_id) if rows else None
    if job is None:
        raise Refused(
            "not_disputed",
            f"There is no dispute about a job {prefix}.",
            "Nothing was done.",
            "`cyxwiz-coordinator disputes --all` lists them.",
        )
    return Case(rows[0], job)


def payment(job: JobRow, used_units: int) -> Json:
    """Who would get what if so much of the claim were paid."""
    parts = split(job.deposit_units, used_units, job.fee_bps)
    return {
        "used_units": used_units,
        "node_units": parts.node_units,
        "fee_units": parts.fee_units,
        "buyer_units": parts.refund_units,
    }


def listed(row: Row) -> Json:
    """A line of the list of disputes."""
    names = ("job_id", "name", "state", "buyer", "node_peer_id", "node_wallet", "asset", "deposit_units",
             "claimed_units", "opened_at_s", "resolve_by_s", "ended_at_s", "decided_units")  # fmt: skip
    return {**{name: row[name] for name in names}, "evidence": row["evidence"] or {}}


def dispute_json(tx: Tx, case: Case) -> Json:
    """All that the coordinator knows; ``chain`` is added by whoever can ask it."""
    dispute, job = case.dispute, case.job
    said = disputes.statements(tx, job.job_id)
    found = disputes.evidence(tx, job.job_id)
    events = jobs.events_after(tx, "", job.job_id, 0, EVENTS_PER_REPLY_MAX)
    return {
        "job_id": job.job_id,
        "name": job.name,
        "state": dispute.state,
        "job_state": job.state,
        "arbiter": dispute.arbiter,
        "opened_at_s": dispute.opened_at_s,
        "resolve_by_s": dispute.resolve_by_s,
        "ended_at_s": dispute.ended_at_s,
        "claimed_units": dispute.claimed_units,
        "decided_units": dispute.decided_units,
        "buyer": job.buyer,
        "node_peer_id": job.node_peer_id,
        "node_wallet": job.node_wallet,
        "asset": job.asset,
        "decimals": job.money.decimals,
        "terms": {
            "deposit_units": job.deposit_units,
            "fee_bps": job.fee_bps,
            "timeout_s": job.timeout_s,
            "gpu_class": job.gpu_class,
            "rate_units_per_hour": job.rate_units_per_hour,
        },
        "metered_seconds": job.used_seconds,
        "events": [
            {"at_s": event.at_s, "state": event.new.value, "code": event.code, "detail": event.detail}
            for event in events
        ],
        "statement": _result(jobs.statement_of(tx, job)),
        "receipt": _signed(jobs.receipt_of(tx, job.job_id)),
        "buyer_says": _words(said.get(BUYER)),
        "node_says": _words(said.get(NODE)),
        "evidence": [asdict(row) for row in found],
        "evidence_summary": dict(Counter(row.result for row in found)),
        "check_at_s": dispute.check_at_s,
        "decisions": {
            "pay_all": payment(job, dispute.claimed_units),
            "refund_all": payment(job, 0),
        },
    }


def chain_json(job: JobRow, statement: Signed | None, on_chain: OnChainJob | PastJob | None) -> Json | None:
    """What the chain itself says; ``result_matches``: the claim is about the statement that we have."""
    if on_chain is None:
        return None
    found: Json = {
        "status": on_chain.status.name.lower(),
        "used_units": on_chain.used_units,
        "deposit_units": on_chain.deposit_units,
        "result_hash": on_chain.result_hash.hex(),
        "result_matches": statement is not None
        and on_chain.result_hash == statement_hash(Domain.RESULT, statement.payload),
    }
    if isinstance(on_chain, OnChainJob):
        found |= {
            "arbiter": on_chain.arbiter,
            "review_ends_at_s": on_chain.review_ends_at_s,
            "deadline_at_s": on_chain.deadline_s,
        }
    return found


def _result(signed: Signed | None) -> Json | None:
    if signed is None:
        return None
    fields = asdict(decode(ResultStatement, signed.payload))
    readable = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
    return {**readable, "signed": _signed(signed)}


def _words(signed: Signed | None) -> Json | None:
    if signed is None:
        return None
    statement = decode(DisputeStatement, signed.payload)
    return {"text": statement.text, "at_s": statement.at_s, "signed": _signed(signed)}


def _signed(signed: Signed | None) -> Json | None:
    """Exact bytes, so that anybody can check them."""
    if signed is None:
        return None
    return {
        "signer": signed.signer,
        "payload": base64.b64encode(signed.payload).decode(),
        "signature": base64.b64encode(signed.signature).decode(),
    }
