"""What the engine's JSON looks like to people: amounts, times, plans, timelines. No terminal in here."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from p2p.core.money import Asset, format_amount, format_usd
from p2p.core.text import clean_line, clean_name
from p2p.local.protocol import error_from_json

Json = dict[str, Any]

ID_CHARS = 8
"""Digits of a job id that are shown; any command takes them."""
REFUND_RULE = (
    "only seconds that ran are paid, and only for verified results; the rest comes back at once. "
    "If the job fails, all of it comes back."
)
NAME_MAX_CHARS = 40
DETAIL_MAX_CHARS = 300
_UNITS = ("B", "KB", "MB", "GB", "TB")

_STATE_WORDS = {
    "opening": "opening the escrow",
    "withdrawing": "taking the deposit back",
    "packaged": "packaged",
    "quoted": "price agreed",
    "opened": "deposit in escrow",
    "following": "known to the coordinator",
    "fetching": "fetching results",
    "verified": "results verified",
    "receipted": "receipt signed",
    "closing": "waiting for the refund",
    "low_budget": "most of the time limit is used; the job is stopped at its end, unless it is topped up",
    "topped_up": "topped up",
    "not_topped_up": "not topped up",
}
_STATEMENT_MAX_CHARS = 2000
_DISPUTE_WORDS = {
    "resolved": "the arbiter has decided",
    "withdrawn": "settled after all",
    "conceded": "given back without a decision",
    "expired": "reclaimed, for nobody had decided in time",
}
_QUIET = ("following", "quoted", "packaged", "receipted", "settled", "refunded", "closing")
"""Steps of ours that say nothing beside the coordinator's events."""


def short(job_id: str) -> str:
    """The beginning of a job id."""
    return job_id[:ID_CHARS]


def amount(job: Json, units: int) -> str:
    """An amount in the job's asset."""
    return format_amount(units, Asset(job["asset"]))


def size(count: int) -> str:
    """Bytes in the unit that fits: ``3.4 MB``."""
    value, index = float(count), 0
    while value >= 1000 and index < len(_UNITS) - 1:
        value, index = value / 1000, index + 1
    return f"{count} B" if index == 0 else f"{value:.1f} {_UNITS[index]}"


def files(count: int) -> str:
    """``1 file``, ``2 files``."""
    return "1 file" if count == 1 else f"{count} files"


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(at_s: float) -> str:
    """The local time of day."""
    return datetime.datetime.fromtimestamp(at_s).strftime("%H:%M:%S")


def moment(at_s: float | None) -> str:
    """The local date and time."""
    if at_s is None:
        return ""
    return datetime.datetime.fromtimestamp(at_s).strftime("%Y-%m-%d %H:%M")


def event_line(event: Json) -> str:
    """One line of a timeline."""
    word = _STATE_WORDS.get(event["state"], event["state"])
    detail = clean_line(event["detail"], DETAIL_MAX_CHARS)
    return f"{clock(event['at_s'])}  {word}" + (f"  ({detail})" if detail else "")


def is_quiet(event: Json) -> bool:
    """Whether an event says nothing that the others don't."""
    return event["from"] == "engine" and event["state"] in _QUIET and not event["detail"]


def plan_lines(plan: Json) -> Iterator[tuple[str, str]]:
    """What is shown before the yes, as title and text."""
    known = f", {size(plan['known_bytes'])} of it hashed before" if plan["known_bytes"] else ""
    yield "job", f"{plan['name']} ({plan['script']})"
    yield "upload", f"{files(plan['files'])}, {size(plan['bytes'])}{known}; straight to the node that runs it"
    if plan["data_url"]:
        yield "data", f"{clean_name(plan['data_url'], 200)} (the node fetches it)"
    yield from market_lines(plan)
    most = amount(plan, plan["deposit_units"])
    yield (
        "at most",
        f"{most}: locked in escrow now, of {amount(plan, plan['balance_units'])} that you have there",
    )
    yield "refund", REFUND_RULE
    if plan["fees_paid_by"] == "coordinator":
        yield "fees", "the network's fees are paid by the coordinator, for your session key has no SOL"
    if plan["network"] == "outbound":
        yield "network", "the script may reach the internet"
    yield "results", plan["out"]


def market_lines(found: Json) -> Iterator[tuple[str, str]]:
    """Who could run a job now, and what it would cost: of a plan or an estimate."""
    ahead = found["jobs_ahead"]
    queue = f"; {ahead} {'job' if ahead == 1 else 'jobs'} ahead" if ahead else ""
    yield "nodes", f"{found['nodes_matching']} of {found['nodes_online']} online match now{queue}"
    for line in misfit_lines(found["misfits"], found["nodes_online"]):
        yield "", line
    rates = ", ".join(
        f"{format_usd(rate['usd_micros_per_hour'])}/h on {clean_name(rate['gpu_class'], 32)}"
        for rate in sorted(found["rates"], key=lambda rate: rate["units_per_hour"])[:6]
    )
    yield "rate", rates
    if found["asset"] == Asset.SOL.value:
        yield "price", f"1 SOL = {format_usd(found['asset_price_usd_micros'])}, fixed for this job"
    yield "time limit", duration(found["timeout_s"])
    cheapest, most = amount(found, found["cheapest_units"]), amount(found, found["deposit_units"])
    spread = f" ({cheapest} on the cheapest class)" if cheapest != most else ""
    yield "estimate", f"{most} if the whole time limit is used{spread}"


def misfit_lines(misfits: list[Json], nodes_online: int) -> Iterator[str]:
    """Why nodes don't fit, per rule."""
    for misfit in misfits:
        yield f"{misfit['nodes']} of {nodes_online} nodes {clean_line(misfit['words'], DETAIL_MAX_CHARS)}"


def status_line(job: Json) -> str:
    """Where a job is now, for the line that is redrawn."""
    parts = [job["state"]]
    if job["transfer"]:
        transfer = job["transfer"]
        way = "sending inputs" if transfer["direction"] == "up" else "fetching results"
        parts.append(f"{way} {size(transfer['done_bytes'])} of {size(transfer['total_bytes'])}")
    if job["state"] in ("running", "delivering"):
        parts.append(f"{duration(job['used_seconds'])} of {duration(job['timeout_s'])}")
        parts.append(f"{amount(job, job['used_units'])} so far")
    if job["progress"] is not None and job["state"] == "running":
        parts.append(f"{job['progress'] * 100:.0f} %")
    if job["problem"]:
        parts.append(clean_line(job["problem"]["what"], 120))
    return " · ".join(parts)


def fraction(job: Json) -> float | None:
    """What a progress bar shows: the transfer that goes on, else how far the script says it is."""
    transfer = job["transfer"]
    if transfer and transfer["total_bytes"]:
        return float(transfer["done_bytes"]) / float(transfer["total_bytes"])
    return job["progress"] if job["state"] == "running" else None


def job_cells(job: Json) -> list[str]:
    """One row of the table of jobs."""
    progress = "" if job["progress"] is None else f"{job['progress'] * 100:.0f} %"
    limit = f"{duration(job['used_seconds'])} / {duration(job['timeout_s'])}"
    paid = job["cost"] is not None
    cost = amount(job, job["cost"]["used_units"] if paid else job["used_units"])
    return [
        short(job["job_id"]),
        clean_name(job["name"], NAME_MAX_CHARS),
        job["state"] + (" (cancelling)" if job["cancel_wanted"] and not job["final"] else ""),
        job["gpu_class"] or job["gpu_type"],
        progress,
        limit,
        cost,
        moment(job["created_at_s"]),
    ]


JOB_COLUMNS = ("JOB", "NAME", "STATE", "GPU", ">PROGRESS", ">TIME / LIMIT", ">COST", "SENT")


def ending_lines(job: Json) -> Iterator[tuple[str, str]]:
    """How a job ended, in words, with its results and its money."""
    cost = job["cost"]
    if job["succeeded"]:
        yield "completed", f"results in {job['out']}"
        yield (
            "verified",
            f"every chunk matches the node's signed statement (root {job['verified_root'][:16]}…)",
        )
    elif job["failure"]:
        detail = clean_line(job["detail"], DETAIL_MAX_CHARS)
        reason = str(job["failure_words"])
        yield "failed", detail if detail.startswith(reason) else f"{reason} {detail}".strip()
    else:
        words = {"dropped": "nothing was sent and nothing was paid"}
        yield "ended", words.get(job["state"], "cancelled" if job["cancel_wanted"] else job["state"])
    if cost is None:
        return
    if cost["used_units"] == 0:
        yield "refund", f"{amount(job, cost['refund_units'])}: everything is back in your escrow balance"
        return
    yield "used", f"{amount(job, cost['used_units'])} for {duration(cost['used_seconds'])}"
    yield (
        "split",
        (
            f"{amount(job, cost['node_units'])} to the node, "
            f"{amount(job, cost['fee_units'])} to the platform, "
            f"{amount(job, cost['refund_units'])} back to you"
        ),
    )


def cancel_question(job: Json) -> str:
    """What cancelling now would cost."""
    used, deposit = job["used_units"], job["deposit_units"]
    if used == 0:
        return f"Cancel {short(job['job_id'])}? The whole deposit of {amount(job, deposit)} comes back."
    back = amount(job, max(0, deposit - used))
    paid = amount(job, used)
    return f"Cancel {short(job['job_id'])}? About {paid} for the time that it ran; {back} come back."


def top_up_lines(terms: Json) -> Iterator[tuple[str, str]]:
    """What more time means for a job and its money, before the yes."""
    limit = duration(terms["timeout_s"])
    yield "job", f"{short(terms['job_id'])} may run for {duration(terms['seconds'])} more: {limit} in all"
    most, balance = amount(terms, terms["deposit_units"]), amount(terms, terms["balance_units"])
    yield "locks", f"{amount(terms, terms['units'])} more of the {balance} in your escrow balance"
    yield "costs", f"at most {most} in all, at the rates agreed first; what it does not use comes back"
    if terms["underway"]:
        yield "underway", "it was agreed to before, and is on its way"


def dispute_lines(terms: Json) -> Iterator[tuple[str, str]]:
    """What disputing a claim means, before the yes."""
    claimed, deposit = amount(terms, terms["claimed_units"]), amount(terms, terms["deposit_units"])
    yield "claimed", f"{claimed} of the {deposit} in escrow, for the work on job {short(terms['job_id'])}"
    yield "until", f"{moment(terms['window_ends_at_s'])}: undisputed, it is paid then"
    yield (
        "disputed",
        (
            f"an arbiter decides how much of the {claimed} the node gets; the rest comes back to you. "
            f"Until then, at the latest {moment(terms['resolve_by_s'])}, all {deposit} stay in escrow."
        ),
    )
    yield (
        "evidence",
        (
            "your reason and the node's answer are kept. The coordinator samples a few chunks of the outputs "
            "at the node and compares them with what it signed; it keeps none. The arbiter weighs it all."
        ),
    )


def review_lines(job: Json) -> Iterator[tuple[str, str]]:
    """A claim, and what became of it."""
    review = job["review"]
    if review is None:
        return
    claimed, dispute = amount(job, review["claimed_units"]), review["dispute"]
    if dispute is None:
        if not job["final"]:
            yield "claim", f"{claimed}; you can dispute it until {moment(review['window_ends_at_s'])}"
        return
    yield "claim", f"{claimed}, disputed {moment(review['opened_at_s'])}"
    if review["reason"]:
        yield "reason", clean_name(review["reason"], _STATEMENT_MAX_CHARS)
    if review["answer"]:
        yield "node says", clean_name(review["answer"], _STATEMENT_MAX_CHARS)
    if dispute == "open":
        yield "decision", f"the arbiter's, until {moment(review['resolve_by_s'])}"
    else:
        decided = amount(job, review["decided_units"] or 0)
        yield "decision", f"{_DISPUTE_WORDS[dispute]}, {moment(review['ended_at_s'])}: {decided} paid"


def show_lines(job: Json) -> Iterator[tuple[str, str]]:
    """The head of ``cyxwiz show``."""
    yield "job", f"{job['job_id']}  {clean_name(job['name'], NAME_MAX_CHARS)}"
    yield "state", status_line(job)
    if job["node_peer_id"]:
        attempt = f", attempt {job['attempt']}" if job["attempt"] > 1 else ""
        yield "node", f"{clean_name(job['node_peer_id'], 64)} ({clean_name(job['gpu_class'], 32)}{attempt})"
    yield (
        "inputs",
        f"{files(job['input']['files'])}, {size(job['input']['bytes'])}, root {job['input']['root'][:16]}…",
    )
    yield "deposit", amount(job, job["deposit_units"])
    if job["state"] == "queued":
        yield "waits", f"nodes online: {job['nodes_online']}"
        for line in misfit_lines(job["misfits"], job["nodes_online"]):
            yield "", line
    if job["problem"]:
        for number, line in enumerate(error_from_json(job["problem"]).lines()):
            yield "" if number else "problem", clean_line(line, DETAIL_MAX_CHARS)
    result = job["result"]
    if result:
        verified = "verified" if result["verified"] else "not fetched yet"
        yield (
            "result",
            f"{files(result['files'])}, {size(result['bytes'])}, root {result['root'][:16]}…, {verified}",
        )
        if result["verified"]:
            yield "results", job["out"]
    yield from review_lines(job)
    if job["final"]:
        yield from ending_lines(job)
