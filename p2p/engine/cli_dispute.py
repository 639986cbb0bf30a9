"""``cyxwiz dispute JOB``: contest what was claimed for a job, inside its review window."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import click
from rich.text import Text

from p2p.core.errors import ExitCode
from p2p.core.messages.disputes import check_words
from p2p.engine import render
from p2p.engine.cli_money import ask
from p2p.engine.cli_run import attend, say_detached
from p2p.engine.cli_view import print_pairs
from p2p.engine.client import EngineClient
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home


@click.command()
@click.argument("job")
@click.option("--reason", required=True, metavar="TEXT", help="What is wrong; the arbiter reads it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def dispute(job: str, reason: str, yes: bool, as_json: bool) -> int:
    """Dispute the payment that was claimed for JOB: an arbiter decides what of it is paid."""
    reason = check_words(reason)
    terms: dict[str, Any] = ask("dispute_terms", job=job)
    if not terms["disputed"] and not as_json:
        print_pairs(render.dispute_lines(terms))
    if not terms["disputed"] and not yes and not cli.confirm("Dispute it?", "Nothing was disputed."):
        return ExitCode.FAILED
    found = ask("dispute", job=terms["job_id"], reason=reason)
    if not found["disputed"]:
        try:
            disputed = itemgetter("disputed")
            found = attend(EngineClient(find_home()), found["job_id"], logs=False, until=disputed)
        except KeyboardInterrupt:
            say_detached(found["job_id"])
            return ExitCode.OK
    if as_json:
        cli.print_json(found)
    elif found["disputed"]:
        if terms["disputed"]:
            cli.out.print("It was disputed before; what was said first stands.")
        until = render.moment(terms["resolve_by_s"])
        cli.out.print(Text(f"Disputed. The arbiter decides, at the latest {until}."))
        cli.out.print(Text(f"`cyxwiz show {render.short(found['job_id'])}` tells how it stands."))
    return ExitCode.OK if found["disputed"] else ExitCode.FAILED
