"""``status``, ``nodes``, ``jobs``, ``job``."""

from __future__ import annotations

from typing import Any

import click

from coordinator.cli.common import (
    ID_SHOWN_CHARS,
    PEER_SHOWN_CHARS,
    amount,
    database,
    dsn_option,
    files,
    find_job,
    when,
)
from coordinator.cli.rates import sol_price, sol_words
from coordinator.domain.ledger import escrow
from coordinator.service.views import job_view
from coordinator.store import jobs as job_rows
from coordinator.store import sponsored
from coordinator.store.database import Row, Tx
from coordinator.store.migrate import pending
from coordinator.store.records import JobRow
from p2p.chain.accounts import JOB_BYTES, rent_lamports
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import ExitCode, Refused, UserError
from p2p.core.limits import (
    ACTION_LATE_S,
    EVENTS_PER_REPLY_MAX,
    JOBS_LISTED_MAX,
    LEDGER_FOUND_MAX,
    NODE_SILENT_S,
    NODES_LISTED_MAX,
)
from p2p.core.messages.jobs import JobView
from p2p.core.money import Asset, format_amount, format_usd
from p2p.core.states import JobState
from p2p.core.text import clean_line
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.local.platform import is_locked

_GIB = 2**30
_FACT_MAX_CHARS = 400


@click.command()
@dsn_option
@frame.json_option
def status(dsn: str | None, as_json: bool) -> None:
    """Is it running, and what is there: nodes, jobs by state, chain actions on their way.

    Exit code 1 when money does not move by itself, or the ledger cannot explain where it is.
    """
    with database(dsn) as db:
        with db.raw() as connection:
            missing = pending(connection)
        if missing:
            raise UserError(
                "schema_old",
                f"The database lacks {len(missing)} step(s): {', '.join(missing)}.",
                "Nothing can be read before that.",
                "Run `cyxwiz-coordinator migrate`.",
            )
        found = db.transact(_status)
    running = is_locked(find_home().coordinator.lock)
    found |= {"running": running, "address": _address() if running else None}
    if as_json:
        frame.print_json(found)
    else:
        _print_status(found, running)
    if found["alarms"]:
        raise LedgerAlarm(len(found["alarms"]))
    if found["troubled"]:
        raise MoneyStands(len(found["troubled"]))


def _print_status(found: dict[str, Any], running: bool) -> None:
    rows = [
        ("coordinator", found["address"] or ("starting" if running else "not running on this home")),
        ("nodes online", f"{found['nodes_online']} of {found['nodes']}"),
        ("jobs", _counts(found["jobs"])),
        ("chain actions", _counts(found["outbox"])),
        ("1 SOL", sol_words(found["sol"])),
        ("disputes", _open_disputes(found["disputes_open"], found["dispute_decide_until_s"])),
        ("paid for buyers", _sponsored_words(found["sponsored"])),
    ]
    _print_facts(rows)
    if found["sol"]["watched"] and found["sol"]["fault"]:
        what = f"quotes in SOL are stopped: the price of SOL {found['sol']['fault']}"
        frame.out.print(
            f"ATTENTION       {clean_line(what, _FACT_MAX_CHARS)}", style="bold red", markup=False
        )
    for row in found["alarms"]:
        what = f"{row['detail']}, since {when(row['since_s'])}"
        frame.out.print(
            f"ALARM           {clean_line(what, _FACT_MAX_CHARS)}", style="bold red", markup=False
        )
    for row in found["troubled"]:
        what = f"{row['kind']} of job {row['job_id']}: {row['error'] or 'failed'} ({row['attempts']} tries)"
        frame.out.print(
            f"ATTENTION       {clean_line(what, _FACT_MAX_CHARS)}", style="bold red", markup=False
        )


class LedgerAlarm(Refused):
    """The ledger's watch has found something that it cannot explain."""

    exit_code = ExitCode.FAILED

    def __init__(self, number: int) -> None:
        super().__init__(
            "ledger_alarm",
            f"The ledger cannot explain {number} thing(s).",
            "The money is where the chain says; what the ledger says of these accounts is not to be trusted.",
            "`cyxwiz-coordinator ledger check` looks closer; docs/ledger.md says what to do.",
        )


class MoneyStands(Refused):
    """Chain actions that do not succeed."""

    exit_code = ExitCode.FAILED

    def __init__(self, number: int) -> None:
        super().__init__(
            "money_stands",
            f"{number} chain action(s) do not succeed.",
            "The deposits of these jobs stay in the escrow, safe but unpaid, until they do.",
            "Can its key pay fees? Is the chain reachable? `cyxwiz-coordinator job JOB` shows more; "
            "`cyxwiz-coordinator settle retry` has them looked at again.",
        )


def _status(tx: Tx) -> dict[str, Any]:
    nodes_found = tx.rows("nodes.listing", since_s=_since_s(), limit=NODES_LISTED_MAX)
    disputed = tx.row("disputes.open_count") or {"disputes": 0, "first_by_s": None}
    return {
        "nodes": len(nodes_found),
        "nodes_online": sum(bool(row["online"]) for row in nodes_found),
        "jobs": {row["state"]: row["jobs"] for row in tx.rows("jobs.counts")},
        "sol": sol_price(tx),
        "sponsored": sponsored.totals(tx, SYSTEM_CLOCK.now_s()),
        "alarms": tx.rows("ledger.alarms", limit=LEDGER_FOUND_MAX),
        "troubled": tx.rows("outbox.troubled", late_s=SYSTEM_CLOCK.now_s() - ACTION_LATE_S, limit=50),
        "disputes_open": disputed["disputes"],
        "dispute_decide_until_s": disputed["first_by_s"],
        "outbox": {f"{row['kind']} {row['state']}": row["actions"] for row in tx.rows("outbox.counts")},
    }


def _open_disputes(number: int, first_by_s: float | None) -> str:
    return f"{number} to be decided, the first until {when(first_by_s)}" if number else "none"


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in found.items()) or "none"


def _sponsored_words(found: dict[str, int]) -> str:
    rent = format_amount(found["rents"] * rent_lamports(JOB_BYTES), Asset.SOL)
    hour = f"the fees of {found['recent']} transactions in the last hour"
    return f"{hour}, the rent of {found['rents']} jobs ({rent}), which comes back"


def _address() -> str | None:
    try:
        return files().address.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _since_s() -> float:
    return SYSTEM_CLOCK.now_s() - NODE_SILENT_S


@click.command()
@dsn_option
@frame.json_option
def nodes(dsn: str | None, as_json: bool) -> None:
    """The nodes that registered, those heard of last first."""
    with database(dsn) as db:
        rows = db.transact(lambda tx: tx.rows("nodes.listing", since_s=_since_s(), limit=NODES_LISTED_MAX))
    if as_json:
        frame.print_json([_without(row, "advert") for row in rows])
        return
    table = [
        (
            row["peer_id"][-PEER_SHOWN_CHARS:],
            _node_state(row),
            ", ".join(row["classes"]),
            row["jobs"],
            format_usd(row["min_price_usd_micros_per_hour"]),
            f"{row['disk_free_bytes'] / _GIB:.0f} GB",
            when(row["seen_at_s"]),
            row["wallet"],
        )
        for row in rows
    ]
    titles = ("node", "state", "offers", ">jobs", ">min price", ">disk free", "last heard", "wallet")
    frame.print_table(titles, table, "No node has registered yet.")


def _node_state(row: Row) -> str:
    if not row["online"]:
        return "offline"
    return "available" if row["available"] else "switched off"


@click.command()
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, JOBS_LISTED_MAX), default=50, show_default=True)
@dsn_option
@frame.json_option
def jobs(state: str | None, limit: int, dsn: str | None, as_json: bool) -> None:
    """Jobs, newest first."""
    with database(dsn) as db:
        rows = db.transact(lambda tx: tx.all_as(JobRow, "jobs.latest", state=state, limit=limit))
    if as_json:
        frame.print_json([_job_json(row) for row in rows])
        return
    table = [
        (
            row.job_id[:ID_SHOWN_CHARS],
            row.name,
            row.state,
            row.attempt,
            row.gpu_class or row.gpu_type,
            amount(row.used_units, row.asset),
            amount(row.deposit_units, row.asset),
            (row.node_peer_id or "")[-PEER_SHOWN_CHARS:],
            when(row.created_at_s),
        )
        for row in rows
    ]
    titles = ("job", "name", "state", ">attempt", "gpu", ">used", ">deposit", "node", "submitted")
    frame.print_table(titles, table, "There are no jobs.")


@click.command()
@click.argument("job_id", metavar="JOB")
@dsn_option
@frame.json_option
def job(job_id: str, dsn: str | None, as_json: bool) -> None:
    """One job: timeline, chain actions, ledger, and why it still waits. JOB may be the id's first digits."""
    with database(dsn) as db:
        found = db.transact(lambda tx: find_job(tx, job_id))
        view, events, lines = db.transact(lambda tx: _whole(tx, found))
    if as_json:
        chain = [{"action": e.action, "status": e.status, "signature": e.signature} for e in view.chain]
        waits = [{"rule": m.rule, "nodes": m.nodes, "words": m.words} for m in view.misfits]
        more = {"events": events, "chain": chain, "ledger": lines, "waits_because": waits}
        frame.print_json(_job_json(found) | more)
        return
    _print_job(found, view, events, lines)


def _whole(tx: Tx, found: JobRow) -> tuple[JobView, list[dict[str, Any]], list[dict[str, Any]]]:
    view = job_view(tx, found, SYSTEM_CLOCK.now_s())
    events = [
        {"at_s": event.at_s, "state": event.new.value, "code": event.code, "detail": event.detail}
        for event in job_rows.events_after(tx, "", found.job_id, 0, EVENTS_PER_REPLY_MAX)
    ]
    lines = tx.rows("ledger.of_account", account=escrow(found.buyer, found.job_id), limit=10)
    return view, events, [dict(line) for line in lines]


def _print_job(
    found: JobRow, view: JobView, events: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    rows = [
        ("job", found.job_id),
        ("name", found.name),
        ("state", found.state + (f" ({view.failure.words})" if view.failure else "")),
        ("buyer", found.buyer),
        ("node", found.node_peer_id or "none"),
        ("attempt, epoch", f"{found.attempt}, {found.epoch}"),
        ("used", f"{found.used_seconds} s, {amount(found.used_units, found.asset)}"),
        ("deposit", amount(found.deposit_units, found.asset)),
    ]
    _print_facts(rows)
    _section("Timeline", ("when", "state", "why"), [_event_row(event) for event in events])
    actions = [(entry.action, entry.status, entry.signature) for entry in view.chain]
    _section("Chain", ("action", "status", "signature"), actions)
    money = [(line["kind"], amount(line["units"], found.asset), line["signature"]) for line in lines]
    _section("Escrow", ("entry", ">amount", "signature"), money)
    if view.state is JobState.QUEUED:
        waits: list[tuple[object, ...]] = [(count.nodes, count.words) for count in view.misfits]
        _section(f"Why it waits ({view.nodes_online} nodes online)", (">nodes", "that"), waits)


def _print_facts(rows: list[tuple[str, str]]) -> None:
    """Name and value per line; nothing is cut to a terminal's width."""
    for name, value in rows:
        frame.out.print(f"{name:<16}{clean_line(value, _FACT_MAX_CHARS)}", markup=False)


def _event_row(event: dict[str, Any]) -> tuple[str, ...]:
    return (when(event["at_s"]), event["state"], " ".join(filter(None, (event["code"], event["detail"]))))


def _section(title: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    frame.out.print(f"\n{title}", style="bold")
    frame.print_table(columns, rows, "none")


def _job_json(row: JobRow) -> dict[str, Any]:
    return {
        "job_id": row.job_id,
        "name": row.name,
        "state": row.state,
        "buyer": row.buyer,
        "node_peer_id": row.node_peer_id,
        "node_wallet": row.node_wallet,
        "gpu_type": row.gpu_type,
        "gpu_class": row.gpu_class,
        "attempt": row.attempt,
        "epoch": row.epoch,
        "asset": row.asset,
        "deposit_units": row.deposit_units,
        "used_units": row.used_units,
        "used_seconds": row.used_seconds,
        "fee_bps": row.fee_bps,
        "timeout_s": row.timeout_s,
        "failure": row.failure,
        "detail": row.detail,
        "created_at_s": row.created_at_s,
        "updated_at_s": row.updated_at_s,
    }


def _without(row: Row, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
