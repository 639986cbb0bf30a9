"""``disputes`` and ``dispute show | check``: what the arbiter has to know."""

from __future__ import annotations

from typing import Any

import click

from coordinator.cli.common import ID_SHOWN_CHARS, amount, database, dsn_option, when
from coordinator.cli.dispute_text import print_dispute
from coordinator.cli.operating import open_chain
from coordinator.cli.resolving import resolve
from coordinator.service.dispute_views import Case, chain_json, dispute_json, find_case, listed
from coordinator.store import disputes as store
from coordinator.store import jobs
from coordinator.store.database import Tx
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import DISPUTES_LISTED_MAX
from p2p.core.signing import Signed
from p2p.local import cli as frame

Json = dict[str, Any]


@click.command()
@click.option("--all", "ended", is_flag=True, help="Those that have ended too.")
@dsn_option
@frame.json_option
def disputes(ended: bool, dsn: str | None, as_json: bool) -> None:
    """Claims that their buyers dispute; the one to be decided first is first."""
    with database(dsn) as db:
        rows = db.transact(lambda tx: tx.rows("disputes.listing", ended=ended, limit=DISPUTES_LISTED_MAX))
    found = [listed(row) for row in rows]
    if as_json:
        frame.print_json(found)
        return
    table = [
        (
            row["job_id"][:ID_SHOWN_CHARS],
            row["name"],
            row["state"],
            amount(row["claimed_units"], row["asset"]),
            "" if row["decided_units"] is None else amount(row["decided_units"], row["asset"]),
            when(row["resolve_by_s"] if row["ended_at_s"] is None else row["ended_at_s"]),
            ", ".join(f"{number} {result}" for result, number in sorted(row["evidence"].items())),
        )
        for row in found
    ]
    titles = ("job", "name", "state", ">claimed", ">paid", "decide until / ended", "evidence")
    frame.print_table(titles, table, "Nothing is disputed.")


@click.group()
def dispute() -> None:
    """One dispute: what speaks for whom, and the arbiter's decision."""


dispute.add_command(resolve)


@dispute.command()
@click.argument("job", metavar="JOB")
@dsn_option
@frame.json_option
def show(job: str, dsn: str | None, as_json: bool) -> None:
    """What was agreed, measured, signed, said and proven about JOB, and what each decision would pay."""
    with database(dsn) as db:
        case, statement, found = db.transact(lambda tx: _read(tx, job))
    found["chain"] = frame.run_async(_ask_chain, case, statement)
    if as_json:
        frame.print_json(found)
    else:
        print_dispute(found)


@dispute.command()
@click.argument("job", metavar="JOB")
@dsn_option
def check(job: str, dsn: str | None) -> None:
    """Have the running coordinator ask the node of JOB for proofs again."""

    def want(tx: Tx) -> Case:
        case = find_case(tx, job)
        if not tx.execute("disputes.want_check", job_id=case.job.job_id, now_s=SYSTEM_CLOCK.now_s()):
            raise Refused(
                "already_final",
                f"The dispute about {case.job.job_id[:ID_SHOWN_CHARS]} is {case.dispute.state}.",
                "No proofs are asked for any more.",
            )
        if store.is_full(tx, case.job.job_id):
            raise Refused("evidence_full", "There is as much evidence as is kept.", "No more is asked for.")
        return case

    with database(dsn) as db:
        case = db.transact(want)
    short = case.job.job_id[:ID_SHOWN_CHARS]
    frame.out.print(f"Asked for. The coordinator does it within seconds, if it runs: dispute show {short}")


def _read(tx: Tx, prefix: str) -> tuple[Case, Signed | None, Json]:
    case = find_case(tx, prefix)
    return case, jobs.statement_of(tx, case.job), dispute_json(tx, case)


async def _ask_chain(case: Case, statement: Signed | None) -> Json | None:
    """None, with a word to the terminal, if the chain does not answer: the rest is worth showing."""
    try:
        async with open_chain() as chain:
            seen = await chain.seen_job(Wallet(case.job.buyer), JobId(case.job.job_id))
    except CyxWizError as error:
        frame.say(f"The chain could not be asked: {error.what}")
        return None
    return chain_json(case.job, statement, seen)
