"""What the node's agent says of itself, as JSON; every field is in ``docs/node.md``."""

from __future__ import annotations

import math

from p2p.core.earnings import Pay, pay_of
from p2p.core.errors import CyxWizError
from p2p.core.limits import OUTPUT_MAX_BYTES
from p2p.core.messages.auth import LoginReply
from p2p.core.messages.nodes import Assignment, Earning
from p2p.core.money import Asset, cost_units, fee_of
from p2p.core.text import clean_name
from p2p.local.protocol import Json
from p2p.node.attempt import limit_of
from p2p.node.availability import Switch, Verdict
from p2p.node.keeping import dispute_of
from p2p.node.payout import LoginState, Payout, login_words
from p2p.node.reports import run_seconds
from p2p.node.staging import Progress
from p2p.store.node import JobRecord, Phase
from p2p.wire.codec import decode

_NAME_MAX_CHARS = 64

STOP_MEANS = (
    "Stopped, it begins again at another node if it has attempts left, "
    "and this node is not paid for what it did."
)


def job_json(
    record: JobRecord,
    now_s: float,
    progress: Progress | None = None,
    earning: Earning | None = None,
    fraction: float | None = None,
) -> dict[str, Json]:
    """One attempt, for people and programs; ``fraction``: what its script says of its progress."""
    job = decode(Assignment, record.assignment)
    spec = job.spec
    return {
        "job_id": record.job_id,
        "epoch": record.epoch,
        "name": clean_name(spec.name, _NAME_MAX_CHARS),
        "phase": record.phase.value,
        "gpu_uuid": record.gpu_uuid,
        "accepted_at_s": record.accepted_at_s,
        "started_at_s": record.started_at_s,
        "finished_at_s": record.finished_at_s,
        "run_seconds": run_seconds(record, now_s),
        "timeout_s": limit_of(job, record),
        "exit_code": record.exit_code,
        "failure": record.failure.value if record.failure else None,
        "detail": record.detail or record.stop_reason or "",
        "log_bytes": record.log_bytes,
        "staged_bytes": progress.done_bytes if progress else None,
        "staging_bytes": progress.total_bytes if progress else None,
        "dispute": _dispute_json(record),
        "limits": {
            "cpus": record.cpus,
            "memory_bytes": record.memory_bytes,
            "disk_bytes": OUTPUT_MAX_BYTES,
            "network": spec.config.network.value,
            "timeout_s": limit_of(job, record),
        },
        "progress": fraction,
        "pay": pay_json(job, record, now_s, earning),
        "stop_means": STOP_MEANS if record.phase.takes_slot else None,
    }


def pay_json(job: Assignment, record: JobRecord, now_s: float, earning: Earning | None) -> Json:
    """What the attempt earned so far and how far that is; an estimate until the coordinator says more."""
    known = (
        None
        if earning is None
        else pay_of(earning.state, earning.review_ends_at_s, disputed=earning.disputed)
    )
    found: dict[str, Json] = {
        "asset": job.spec.asset.value,
        "decimals": job.spec.asset.decimals,
        "rate_units_per_hour": job.rate_units_per_hour,
        "fee_bps": job.fee_bps,
    }
    if earning is not None and known not in (None, Pay.RUNNING):
        return found | {"state": known.value if known else None, "estimate": False,
                        "net_units": earning.net_units, "fee_units": earning.fee_units}  # fmt: skip
    if record.failure is not None or record.phase is Phase.STOPPED:
        return found | {"state": None, "estimate": False, "net_units": 0, "fee_units": 0}
    seconds = min(math.ceil(run_seconds(record, now_s)), limit_of(job, record))
    used = cost_units(job.rate_units_per_hour, seconds)
    fee = None if job.fee_bps is None else fee_of(used, job.fee_bps)
    state = Pay.RUNNING if record.phase.takes_slot else Pay.WAITING
    return found | {"state": state.value, "estimate": True,
                    "net_units": None if fee is None else used - fee, "fee_units": fee}  # fmt: skip


def _dispute_json(record: JobRecord) -> Json:
    found = dispute_of(record)
    if found is None:
        return None
    return {
        "state": found.state.value,
        "reason": found.reason,
        "decide_until_s": found.keep_until_s,
        "decided_units": found.decided_units,
    }


def earning_json(earning: Earning) -> dict[str, Json]:
    """One job's pay, for people and programs."""
    return {
        "job_id": earning.job_id,
        "name": clean_name(earning.name, _NAME_MAX_CHARS),
        "at_s": earning.at_s,
        "asset": earning.asset,
        "decimals": Asset(earning.asset).decimals,
        "net_units": earning.net_units,
        "fee_units": earning.fee_units,
        "used_seconds": earning.used_seconds,
        "state": earning.state.value,
        "pay": pay_of(earning.state, earning.review_ends_at_s, disputed=earning.disputed).value,
        "review_ends_at_s": earning.review_ends_at_s,
        "signature": earning.signature,
    }


def payout_json(payout: Payout, now_s: float) -> dict[str, Json]:
    """The wallet that is paid, and how its login stands."""
    state = payout.login(now_s)
    return {
        "wallet": payout.wallet,
        "kind": payout.choice.kind.value,
        "file": None if payout.choice.file is None else str(payout.choice.file),
        "own": payout.own,
        "login": None if state is None else state.value,
        "login_ends_at_s": payout.login_ends_at_s,
        "login_words": None if state is None else login_words(payout, state),
        "login_command": None if state in (None, LoginState.GOOD) else payout.login_command,
    }


def login_json(before: Payout, payout: Payout, reply: LoginReply) -> dict[str, Json]:
    """A login that was done; ``before``: who was paid until then."""
    return {
        "wallet": payout.wallet,
        "kind": payout.choice.kind.value,
        "file": None if payout.choice.file is None else str(payout.choice.file),
        "expires_at_s": reply.expires_at_s,
        "cluster": reply.cluster,
        "before": {
            "wallet": before.wallet,
            "kind": before.choice.kind.value,
            "file": None if before.choice.file is None else str(before.choice.file),
        },
    }


def error_json(error: CyxWizError | None) -> Json:
    """An error as a value."""
    if error is None:
        return None
    return {"code": error.code, "what": error.what, "meaning": error.meaning, "hint": error.hint}


def verdict_json(switch: Switch, verdict: Verdict, paused_until_s: float) -> dict[str, Json]:
    """What the owner wants, and what comes of it."""
    return {
        "switch": switch.value,
        "takes": verdict.takes,
        "reason": verdict.reason.value,
        "words": verdict.words,
        "until_s": verdict.until_s,
        "paused_until_s": paused_until_s or None,
    }
