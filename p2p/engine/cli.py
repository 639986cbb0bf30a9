"""``cyxwiz``: the buyer's command line. Everything it does is asked of the engine's agent."""

from __future__ import annotations

from contextlib import aclosing
from operator import itemgetter
from pathlib import Path
from typing import Any

import click
import trio
from rich.live import Live
from rich.text import Text

from p2p.core.errors import ExitCode, Refused, UserError
from p2p.core.limits import JOBS_LISTED_MAX, LOG_LAST_MAX, LOG_LINE_MAX_BYTES
from p2p.core.money import format_usd
from p2p.core.text import clean_line
from p2p.engine import render
from p2p.engine.cli_dispute import dispute
from p2p.engine.cli_join import join
from p2p.engine.cli_local import agent, local
from p2p.engine.cli_login import login
from p2p.engine.cli_look import LOOKING
from p2p.engine.cli_run import attend, exit_code, job_options, say_detached, send
from p2p.engine.cli_sample import sample
from p2p.engine.cli_topup import topup
from p2p.engine.cli_view import print_pairs
from p2p.engine.cli_wallet import wallet
from p2p.engine.client import EngineClient
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home

_WATCH_S = 1.0


@click.group()
def cyxwiz() -> None:
    """Run PyTorch scripts on other people's GPUs; pay only for work that completed."""


for _command in (login, wallet, dispute, topup, *LOOKING, local, agent, join, sample):
    cyxwiz.add_command(_command)


@cyxwiz.command()
@job_options
@click.option("--detach", is_flag=True, help="Do not wait for the job.")
def run(detach: bool, **options: Any) -> int:
    """Send SCRIPT, follow its log, and fetch its results."""
    return _send_and_attend(options, detach)


@cyxwiz.command()
@job_options
def submit(**options: Any) -> int:
    """Send SCRIPT and come back at once."""
    return _send_and_attend(options, detach=True)


@cyxwiz.command()
@click.option("--watch", is_flag=True, help="Go on showing them.")
@click.option("--limit", type=click.IntRange(1, JOBS_LISTED_MAX), default=20, show_default=True)
@json_option
def jobs(watch: bool, limit: int, as_json: bool) -> None:
    """The newest jobs."""
    if watch and cli.out.is_terminal and not as_json:
        cli.run_async(_watch_jobs, limit)
        return
    found = _ask("jobs", limit=limit)
    if as_json:
        cli.print_json(found)
    else:
        rows = [render.job_cells(job) for job in found]
        cli.print_table(render.JOB_COLUMNS, rows, "No jobs yet. `cyxwiz run SCRIPT` sends one.")


@cyxwiz.command()
@click.argument("job")
@json_option
def show(job: str, as_json: bool) -> None:
    """Everything about JOB: timeline, why it waits, transactions, result."""
    found = _ask("show", job=job)
    if as_json:
        cli.print_json(found)
        return
    print_pairs(render.show_lines(found))
    cli.out.print(Text("\ntimeline", style="bold"))
    for event in found["events"]:
        cli.out.print(Text("  " + render.event_line(event)))
    if entries := found["transactions"]:
        cli.out.print(Text("\nescrow", style="bold"))
        rows = [[e["action"], e["status"], render.moment(e["at_s"]), e["signature"]] for e in entries]
        cli.print_table(("ACTION", "STATUS", "AT", "SIGNATURE"), rows, "")


@cyxwiz.command()
@click.argument("job")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--last", type=click.IntRange(1, LOG_LAST_MAX), help="Begin so many lines before the end.")
def logs(job: str, follow: bool, last: int | None) -> None:
    """The log of JOB."""
    try:
        cli.run_async(_print_log, job, follow, last)
    except KeyboardInterrupt:
        say_detached(job)


@cyxwiz.command()
@click.argument("job")
@click.option("--out", type=click.Path(path_type=Path), help="Another folder than it was sent with.")
@json_option
def fetch(job: str, out: Path | None, as_json: bool) -> int:
    """Wait for the results of JOB, verify them, and put them into a folder."""
    found = _ask("fetch", job=job, out=None if out is None else str(out.expanduser().absolute()))
    if not found["fetched"]:
        try:
            found = attend(_client(), found["job_id"], logs=False, until=itemgetter("fetched"))
        except KeyboardInterrupt:
            say_detached(found["job_id"])
            return ExitCode.OK
    if as_json:
        cli.print_json(found)
    elif found["fetched"]:
        cli.out.print(Text(f"{found['out']}: verified, root {found['verified_root']}"))
    else:
        print_pairs(render.ending_lines(found))
    return ExitCode.OK if found["fetched"] else ExitCode.FAILED


@cyxwiz.command()
@click.argument("job")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def cancel(job: str, yes: bool, as_json: bool) -> int:
    """End JOB: for nothing while it waits, for the time that it ran after that."""
    found = _ask("show", job=job)
    if not yes and not cli.confirm(render.cancel_question(found), "Nothing was cancelled."):
        return ExitCode.FAILED
    found = _ask("cancel", job=found["job_id"])
    if not found.get("final", True):
        try:
            found = attend(_client(), found["job_id"], logs=False)
        except KeyboardInterrupt:
            say_detached(found["job_id"])
            return ExitCode.OK
    if found.get("succeeded"):
        raise Refused(
            "too_late",
            "The job had completed before it could be cancelled.",
            "It was paid, and its results are yours.",
            f"They are in {found['out']}.",
        )
    if as_json:
        cli.print_json(found)
    elif "cost" in found:
        print_pairs(render.ending_lines(found))
    return ExitCode.OK


@cyxwiz.command()
@json_option
def offers(as_json: bool) -> None:
    """What is on offer now."""
    found = _ask("offers")
    if as_json:
        cli.print_json(found)
        return
    rows = [
        [
            offer["gpu_class"],
            f"{format_usd(offer['usd_micros_per_hour'])}/h",
            f"{offer['nodes_free']} / {offer['nodes_online']}",
            render.size(offer["vram_max_bytes"]) if offer["vram_max_bytes"] else "",
        ]
        for offer in found
    ]
    cli.print_table(("GPU", ">RATE", ">FREE / ONLINE", ">MEMORY"), rows, "Nobody offers anything now.")


def _send_and_attend(options: dict[str, Any], detach: bool) -> int:
    client = _client()
    as_json = bool(options["as_json"])
    if as_json and not options["yes"]:
        raise UserError(
            "nobody_to_ask",
            "--json asks no questions.",
            "Nothing was sent and nothing was paid.",
            "Add --yes to agree to the plan beforehand.",
        )
    job = send(client, options)
    if job is None:
        return ExitCode.FAILED
    if detach:
        if as_json:
            cli.print_json(job)
        else:
            say_detached(job["job_id"])
        return ExitCode.OK
    try:
        job = attend(client, job["job_id"], logs=not as_json)
    except KeyboardInterrupt:
        say_detached(job["job_id"])
        return ExitCode.OK
    if as_json:
        cli.print_json(job)
    else:
        print_pairs(render.ending_lines(job))
    return exit_code(job)


def _client() -> EngineClient:
    return EngineClient(find_home())


def _ask(name: str, **params: Any) -> Any:
    """One command to the agent, which is started if need be."""

    async def ask() -> Any:
        client = _client()
        await client.ensure_running()
        return await client.call(name, **params)

    return cli.run_async(ask)


async def _watch_jobs(limit: int) -> None:
    client = _client()
    await client.ensure_running()
    with Live(console=cli.out, auto_refresh=False) as live:
        while True:
            found = await client.call("jobs", limit=limit)
            live.update(
                cli.make_table(render.JOB_COLUMNS, [render.job_cells(job) for job in found]), refresh=True
            )
            await trio.sleep(_WATCH_S)


async def _last_lines(client: EngineClient, job: str, last: int) -> Any:
    """The end of the log, as an item of it."""
    found = await client.call("log_before", job=job)
    lines, start = found["lines"], found["start"]
    while start > 0 and len(lines) < last:
        more = await client.call("log_before", job=job, epoch=found["epoch"], before=start)
        if more["epoch"] != found["epoch"]:
            break  # another attempt has begun: the stream says so
        lines, start = more["lines"] + lines, more["start"]
    return {**found, "lines": lines[-last:]}


async def _print_log(job: str, follow: bool, last: int | None) -> None:
    client = _client()
    await client.ensure_running()
    begin: dict[str, int] = {}
    epoch = 0
    if last is not None:
        end = await _last_lines(client, job, last)
        epoch, begin = end["epoch"], {name: end[name] for name in ("epoch", "offset")}
        for line in end["lines"]:
            cli.out.print(Text(clean_line(line, LOG_LINE_MAX_BYTES)))
    async with aclosing(client.stream("logs", job=job, follow=follow, **begin)) as items:
        async for item in items:
            if epoch and item["epoch"] != epoch:
                cli.err.print("another node begins anew", style="cyan")
            epoch = item["epoch"]
            for line in item["lines"]:
                cli.out.print(Text(clean_line(line, LOG_LINE_MAX_BYTES)))


def main() -> None:
    """Entry point of ``cyxwiz``."""
    cli.main(cyxwiz, "cyxwiz")


if __name__ == "__main__":
    main()
