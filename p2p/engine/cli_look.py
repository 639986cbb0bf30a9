"""Commands that only look: at the market, at a job's inside, at the network."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from p2p.core.errors import Bug, ExitCode
from p2p.engine import render
from p2p.engine.cli_money import ask
from p2p.engine.cli_run import config_options, config_params, input_options, input_params
from p2p.engine.cli_view import print_pairs
from p2p.engine.client import EngineClient
from p2p.engine.metric_reading import metrics_csv, row_of_json
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
        print_pairs(render.measure_lines(found))
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
    found = cli.run_async(_metrics, job)
    if as_json:
        cli.print_json(found)
        return
    rows = [row_of_json(row) for row in found["rows"]]
    if as_csv:
        click.echo(metrics_csv(rows), nl=False)
    else:
        cli.print_table(render.METRIC_COLUMNS, render.metric_cells(rows), "It has printed no values so far.")


async def _metrics(job: str) -> Json:
    """All answers as one."""
    client = EngineClient(find_home())
    await client.ensure_running()
    found: Json = await client.call("metrics", job=job)
    while found["more"]:
        cursor = {name: found[name] for name in ("epoch", "offset", "line")}
        fresh = await client.call("metrics", job=found["job_id"], **cursor)
        begun_anew = fresh["epoch"] != found["epoch"]
        found = {**fresh, "rows": fresh["rows"] if begun_anew else found["rows"] + fresh["rows"]}
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
        print_pairs(render.estimate_lines(found))
