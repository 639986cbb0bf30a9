"""Commands that only look: at the market, at a job's inside, at the network."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2p.core.errors import Bug, ExitCode
from p2p.core.text import clean_line
from p2p.engine import render_look
from p2p.engine.cli_money import ask
from p2p.engine.cli_run import config_options, config_params, input_options, input_params
from p2p.engine.cli_view import print_pairs
from p2p.engine.client import EngineClient
from p2p.engine.metric_tables import metrics_csv, row_of_json
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home

Json = dict[str, Any]


@click.command()
@click.argument("script", required=False, type=click.Path(path_type=Path))
@input_options
@config_options
@json_option
def measure(as_json: bool, **options: Any) -> int:
    """What a job would send, and everything that is wrong with it; nothing is hashed or sent."""
    params = {**input_params(options), **config_params(options)}
    del params["asset"]
    found = cli.run_async(_measure, params)
    if as_json:
        cli.print_json(found)
    else:
        print_pairs(render_look.measure_lines(found))
    return ExitCode.FAILED if found["problems"] else ExitCode.OK


async def _measure(params: Json) -> Json:
    client = EngineClient(find_home())
    await client.ensure_running()
    async with aclosing(client.stream("measure", **params)) as items:
        async for item in items:
            if "measure" in item:
                found: Json = item["measure"]
                return found
    raise Bug("the agent ended a measure without a word")


@click.command()
@click.argument("job")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a row per line of the log that has values.")
@json_option
def metrics(job: str, as_csv: bool, as_json: bool) -> None:
    """The values that JOB has printed so far."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    found = cli.run_async(_whole, "metrics", job, "rows", ("epoch", "offset", "line"))
    if as_json:
        cli.print_json(found)
        return
    rows = [row_of_json(row) for row in found["rows"]]
    if as_csv:
        click.echo(metrics_csv(rows), nl=False)
    else:
        cli.print_table(
            render_look.METRIC_COLUMNS, render_look.metric_cells(rows), "It has printed no values so far."
        )


@click.command()
@click.argument("job")
@json_option
def usage(job: str, as_json: bool) -> None:
    """What the container of JOB uses: CPU, memory, disk, GPU."""
    found = cli.run_async(_whole, "usage", job, "samples", ("epoch", "after"))
    if found["problem"] is not None:
        cli.say(f"The node was not asked now: {clean_line(found['problem']['what'], 300)}")
    if as_json:
        cli.print_json(found)
    else:
        cells = render_look.usage_cells(found)
        cli.print_table(render_look.USAGE_COLUMNS, cells, "Nothing is known of its container so far.")


async def _whole(name: str, job: str, items: str, cursor: tuple[str, ...]) -> Json:
    """The answers of a command that has a cursor, as one."""
    client = EngineClient(find_home())
    await client.ensure_running()
    found: Json = await client.call(name, job=job)
    while found["more"]:
        after = {field: found[field] for field in cursor}
        fresh = await client.call(name, job=found["job_id"], **after)
        begun_anew = fresh["epoch"] != found["epoch"]
        found = {**fresh, items: fresh[items] if begun_anew else found[items] + fresh[items]}
    return found


@click.command()
@config_options
@json_option
def estimate(as_json: bool, **options: Any) -> None:
    """What a job would cost now, who could run it, and how long it would wait."""
    found = ask("estimate", **config_params(options))
    if as_json:
        cli.print_json(found)
    else:
        print_pairs(render_look.estimate_lines(found))


@click.command()
@json_option
def network(as_json: bool) -> int:
    """Whether the coordinator answers, the way to each job's node, and how fast files go now."""
    found = ask("network")
    if as_json:
        cli.print_json(found)
    else:
        print_pairs(render_look.network_lines(found))
        if found["jobs"]:
            cli.out.print()
            cli.print_table(render_look.PATH_COLUMNS, render_look.path_cells(found), "")
    return ExitCode.OK if found["coordinator"]["reachable"] else ExitCode.ENVIRONMENT


@click.command()
@click.argument("job")
@json_option
def results(job: str, as_json: bool) -> None:
    """The files of the results of JOB: sizes, hashes, and whether they are still there."""
    found = ask("results", job=job)
    if as_json:
        cli.print_json(found)
        return
    cells = render_look.result_cells(found)
    cli.print_table(render_look.RESULT_COLUMNS, cells, "Its results have not been fetched.")
    if found["fetched"]:
        cli.say(f"They are in {found['out']}; `cyxwiz fetch JOB --out DIR` puts them elsewhere as well.")


@click.command()
@click.option("--after", type=click.IntRange(0), default=0, help="Only what comes after this number.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@json_option
def news(after: int, follow: bool, as_json: bool) -> None:
    """What is worth telling: jobs that ended or use up their time, a login that ends. With a number each."""
    cli.run_async(_news, after, follow, as_json)


async def _news(after: int, follow: bool, as_json: bool) -> None:
    client = EngineClient(find_home())
    await client.ensure_running()
    told = False
    async with aclosing(client.stream("news", after=after, follow=follow)) as items:
        async for item in items:
            if item["news"] is None:
                continue
            told = True
            if as_json:
                cli.print_json_line({"cursor": item["cursor"], **item["news"]})
            else:
                cli.out.print(Text(render_look.news_line(item["cursor"], item["news"])))
    if not told and not as_json:
        cli.out.print("Nothing new.")


LOOKING = (estimate, measure, metrics, usage, network, results, news)
"""The commands of this module."""
