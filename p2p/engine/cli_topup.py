"""``cyxwiz topup JOB DURATION``: more time for a job that goes on, and the money for it."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.core.durations import parse_duration
from p2p.core.errors import ExitCode
from p2p.core.text import clean_line
from p2p.engine import render
from p2p.engine.cli_money import ask
from p2p.engine.cli_run import attend, say_detached
from p2p.engine.cli_view import print_pairs
from p2p.engine.client import EngineClient
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home
from p2p.store.stages import NOT_TOPPED_UP

_DETAIL_MAX_CHARS = 500


@click.command()
@click.argument("job")
@click.argument("duration")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def topup(job: str, duration: str, yes: bool, as_json: bool) -> int:
    """Let JOB run for DURATION more, such as 30min or 2h, and lock the money for it in its escrow."""
    seconds = parse_duration(duration)
    terms: dict[str, Any] = ask("topup_terms", job=job, seconds=seconds)
    if not as_json:
        print_pairs(render.top_up_lines(terms))
    if not (terms["underway"] or yes or cli.confirm("Top it up?", "Nothing was sent.")):
        return ExitCode.FAILED
    found = ask("topup", job=terms["job_id"], seconds=seconds)
    if found["topping_up"]:
        try:
            client = EngineClient(find_home())
            found = attend(client, found["job_id"], logs=False, until=lambda job: not job["topping_up"])
        except KeyboardInterrupt:
            say_detached(found["job_id"])
            return ExitCode.OK
    good = found["timeout_s"] >= terms["timeout_s"]
    if as_json:
        cli.print_json(found)
    elif good:
        limit, most = render.duration(found["timeout_s"]), render.amount(found, found["deposit_units"])
        cli.out.print(Text(f"Done: it may run for {limit} now and costs at most {most}."))
    else:
        refused = [event for event in found["events"] if event["state"] == NOT_TOPPED_UP]
        why = clean_line(refused[-1]["detail"], _DETAIL_MAX_CHARS) if refused else "it has ended"
        cli.err.print(Text(f"No time was added: {why}."))
    return ExitCode.OK if good else ExitCode.FAILED
