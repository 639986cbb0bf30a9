"""``cyxwiz run`` and ``submit``: plan, yes or no, then the job until it has ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
import trio
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from p2p.core.errors import Bug, EnvironmentFailure, ExitCode, UserError
from p2p.core.money import Asset
from p2p.engine import render
from p2p.engine.cli_view import JobView, print_pairs
from p2p.engine.client import EngineClient
from p2p.local import cli

Json = dict[str, Any]

_NOTHING = "Nothing was sent and nothing was paid."

_AGENT_RESTARTS_MAX = 5


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a job needs to be sent."""
    options = (
        click.argument("script", type=click.Path(path_type=Path)),
        input_options,
        config_options,
        click.option("--name", help="How the job is called in lists."),
        click.option("--yes", is_flag=True, help="Agree to the plan without being asked."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON; see docs/cli.md."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def input_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What goes to the node beside the script, and where the results go."""
    options = (
        click.option("--data", help="Folder or file with the data, or an http(s) URL that the node fetches."),
        click.option("--data-sha256", help="What the data at the URL must hash to."),
        click.option("--exclude", multiple=True, help="Pattern of names in the data folder to leave out."),
        click.option("--requirements", type=click.Path(path_type=Path), help="requirements.txt"),
        click.option("--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True),
    )
    for option in reversed(options):
        function = option(function)
    return function


def config_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """On which node, at which price, for how long, paid with what."""
    options = (
        click.option("--config", type=click.Path(path_type=Path), help="config.json"),
        click.option("--gpu", help="any, or a class such as rtx4090 or cpu."),
        click.option("--min-vram", type=float, help="GB"),
        click.option("--max-price", help="Dollars per hour."),
        click.option("--timeout", type=int, help="Seconds; the job is stopped then."),
        click.option("--network", type=click.Choice(["none", "outbound"]), help="What the script may reach."),
        click.option("--asset", type=cli.ASSETS, default=Asset.USDC.value, show_default=True),
    )
    for option in reversed(options):
        function = option(function)
    return function


def config_params(options: dict[str, Any]) -> Json:
    """The options of :func:`config_options` as the agent's parameters."""
    names = {"gpu": "gpu_type", **{name: name for name in ("min_vram", "max_price", "timeout", "network")}}
    overrides = {name: options[option] for option, name in names.items() if options[option] is not None}
    return {"config": _absolute(options["config"]), "overrides": overrides, "asset": options["asset"]}


def _absolute(value: Path | str | None) -> str | None:
    """The agent has another folder."""
    return None if value is None else str(Path(value).expanduser().absolute())


def send(client: EngineClient, options: dict[str, Any]) -> Json | None:
    """Plan, ask, and start; None when the answer was no.

    :raises UserError: there is nobody to ask and ``--yes`` was not given.
    """
    plan = cli.run_async(_plan, client, plan_params(options))
    agreed = False
    try:
        if not options["as_json"]:
            print_pairs(render.plan_lines(plan))
        agreed = options["yes"] or cli.confirm("Run this job?", _NOTHING)
    finally:
        if not agreed:
            cli.run_async(_call, client, "discard", {"job": plan["job_id"]})
    if not agreed:
        cli.err.print(_NOTHING)
        return None
    started: Json = cli.run_async(_call, client, "start", {"job": plan["job_id"]})
    return started


def plan_params(options: dict[str, Any]) -> Json:
    """The options as the agent's parameters."""
    return {**input_params(options), **config_params(options), "name": options["name"]}


def input_params(options: dict[str, Any]) -> Json:
    """The script and the options of :func:`input_options` as the agent's parameters."""
    data = options["data"]
    is_url = data is not None and data.startswith(("http://", "https://"))
    if options["data_sha256"] and not is_url:
        raise UserError("bad_option", "--data-sha256 goes with a URL.", hint="Files are hashed anyway.")
    return {
        "script": _absolute(options["script"]),
        "out": _absolute(options["out"]),
        "data": None if is_url else _absolute(data),
        "data_url": data if is_url else None,
        "data_sha256": options["data_sha256"],
        "requirements": _absolute(options["requirements"]),
        "exclude": list(options["exclude"]),
    }


def attend(
    client: EngineClient, job_id: str, *, logs: bool = True, until: Callable[[Json], object] | None = None
) -> Json:
    """Show a job until it is final, or ``until`` holds of it. Ctrl-C passes through.

    :raises CyxWizError: something that somebody has to mend first; the job is not lost.
    """
    view = JobView()
    with view.shown():
        for _ in range(_AGENT_RESTARTS_MAX):
            try:
                cli.run_async(_attend, client, job_id, view, logs, until)
                break
            except EnvironmentFailure as error:
                if error.code not in ("agent_gone", "agent_not_running"):
                    raise
                view.note("the agent has ended; starting it again")
                view.log_from_start()
    if view.last is None:
        raise Bug("the agent ended a watch without a word")
    return view.last


def say_detached(job_id: str) -> None:
    """How to come back."""
    short = render.short(job_id)
    cli.err.print(f"Detached: job {short} goes on without this terminal.")
    cli.err.print(f"  Come back with `cyxwiz logs -f {short}`; see `cyxwiz show {short}`.")
    cli.err.print(f"  End it with `cyxwiz cancel {short}`.")


def exit_code(job: Json) -> int:
    """0 for a job that succeeded or goes on, 1 for any other."""
    return int(ExitCode.FAILED if job["succeeded"] is False else ExitCode.OK)


async def _plan(client: EngineClient, params: Json) -> Json:
    await client.ensure_running()
    columns = (TextColumn("hashing"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=cli.err, transient=True, disable=not cli.err.is_terminal) as bar:
        task = bar.add_task("hashing", total=None)
        async with aclosing(client.stream("plan", **params)) as items:
            async for item in items:
                if "plan" in item:
                    plan: Json = item["plan"]
                    return plan
                done, total = item["progress"]
                bar.update(task, completed=done, total=total)
    raise Bug("the agent ended a plan without a word")


async def _call(client: EngineClient, name: str, params: Json) -> Any:
    await client.ensure_running()
    return await client.call(name, **params)


async def _attend(
    client: EngineClient, job_id: str, view: JobView, logs: bool, until: Callable[[Json], object] | None
) -> None:
    await client.ensure_running()
    async with trio.open_nursery() as nursery:
        if logs:
            nursery.start_soon(_show_log, client, job_id, view)
        async with aclosing(client.stream("watch", job=job_id)) as items:
            async for job in items:
                view.job(job)
                if job["final"] or (until is not None and until(job)):
                    break
                if (problem := view.blocking_problem()) is not None:
                    raise problem
        if until is not None:
            nursery.cancel_scope.cancel()


async def _show_log(client: EngineClient, job_id: str, view: JobView) -> None:
    async with aclosing(client.stream("logs", job=job_id, follow=True)) as items:
        async for item in items:
            view.log(item)
