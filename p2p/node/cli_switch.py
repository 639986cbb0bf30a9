"""``cyxwiz-node on``, ``finish``, ``off`` and ``pause``: whether jobs are taken."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.node.availability import Switch, check_pause
from p2p.node.cli_common import agent_runs, ask, parse_span, short, when
from p2p.node.cli_settings import change_offline


@click.command()
@frame.json_option
def on(as_json: bool) -> None:
    """Take jobs, whenever the conditions of `set` allow it; ends a pause."""
    _turn(Switch.AVAILABLE, as_json)


@click.command()
@frame.json_option
def finish(as_json: bool) -> None:
    """Finish, then stop: take no new job, let those that run go on, and then be off."""
    _turn(Switch.FINISHING, as_json)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@frame.json_option
def off(yes: bool, as_json: bool) -> int:
    """Take no job, and end those that run: they begin again elsewhere, and are not paid here."""
    running = [job for job in ask("status")["jobs"] if job["stop_means"]] if agent_runs() else []
    if running and not yes:
        for job in running:
            frame.err.print(Text(f"{short(job['job_id'])} {job['name']} runs. {job['stop_means']}"))
        nothing = "Nothing was changed. `cyxwiz-node finish` lets them go on."
        if not frame.confirm(f"Stop {len(running)} running?", nothing):
            return 1
    _turn(Switch.OFF, as_json)
    return 0


@click.command()
@click.argument("span", metavar="TIME")
@frame.json_option
def pause(span: str, as_json: bool) -> None:
    """Take no new job for TIME, such as 1h or 90m; what runs goes on. `on` ends it early."""
    seconds = parse_span(span)
    if agent_runs():
        _print(ask("pause", {"for_s": seconds}), as_json)
        return
    check_pause(seconds)
    until_s = SYSTEM_CLOCK.now_s() + seconds
    settings = change_offline({"paused_until_s": until_s})
    if as_json:
        frame.print_json({"paused_until_s": settings.paused_until_s})
    else:
        frame.out.print(f"Paused until {when(until_s)}.", markup=False)


def _turn(switch: Switch, as_json: bool) -> None:
    if agent_runs():
        _print(ask("switch", {"to": switch.value}), as_json)
        return
    settings = change_offline({"available": switch is Switch.AVAILABLE, "paused_until_s": 0.0})
    if switch is Switch.OFF:
        _tell_of_running()
    word = Switch.AVAILABLE if settings.available else Switch.OFF
    if as_json:
        frame.print_json({"switch": word.value})
    else:
        frame.out.print(f"{word.value}, from the next start of the agent on", markup=False)


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        frame.print_json(found)
    else:
        frame.out.print(Text(f"{found['switch']}. {found['words']}"))


def _tell_of_running() -> None:
    """Jobs go on without an agent, and only an agent can end them."""
    from p2p.node import offline

    for job in frame.run_async(offline.jobs, find_home(), JOBS_LISTED_MAX):
        if job["stop_means"]:
            words = "goes on without the agent. To end it: cyxwiz-node run, and then cyxwiz-node off"
            frame.err.print(Text(f"{short(job['job_id'])} {job['name']} {words}"))
