"""``cyxwiz local …`` and ``cyxwiz agent …``: the processes on this machine."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.core.errors import EnvironmentFailure, ExitCode
from p2p.engine.client import EngineClient
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home


@click.group()
def local() -> None:
    """A whole network on this machine: chain, coordinator and node."""


@local.command()
def up() -> None:
    """Start it."""
    from p2p.engine import local_network  # heavy, and of no use to any other command

    network = cli.run_async(local_network.up, find_home(), _say)
    cli.out.print(Text(f"The network is up in {network.home.root}."))
    cli.out.print(Text(f"A funded wallet lies there: `cyxwiz login --keypair {network.buyer_keypair}`."))
    admin = network.home.localnet.folder / "admin.json"
    cli.out.print(Text(f"The escrow program's admin is {admin}: `cyxwiz-coordinator escrow show`."))


@local.command()
@json_option
def status(as_json: bool) -> int:
    """Which of its processes run."""
    from p2p.engine import local_network

    found = local_network.status(find_home())
    if as_json:
        cli.print_json([{"name": p.name, "pid": p.pid, "log": str(p.log)} for p in found])
    else:
        rows = [
            [process.name, "runs" if process.pid else "stopped", process.pid or "", process.log]
            for process in found
        ]
        cli.print_table(("PROCESS", "STATE", ">PID", "LOG"), rows, "")
    needed = [process for process in found if process.name != "engine agent"]
    return ExitCode.OK if all(process.pid for process in needed) else ExitCode.FAILED


@local.command()
def down() -> None:
    """Stop it, and clear what its jobs left behind."""
    from p2p.engine import local_network

    cli.run_async(local_network.down, find_home(), _say)


@click.group()
def agent() -> None:
    """The engine's agent, which every other command starts when it does not run."""


@agent.command(name="status")
@json_option
def agent_status(as_json: bool) -> int:
    """Whether it runs, and for whom."""
    found = cli.run_async(_status)
    if as_json:
        cli.print_json(found)
    elif found is None:
        cli.out.print("The agent does not run.")
    else:
        cli.print_table(("WHAT", "VALUE"), [[name, value] for name, value in found.items()], "")
    return ExitCode.OK if found is not None else ExitCode.FAILED


@agent.command()
def stop() -> None:
    """End it. Jobs go on at their nodes, and are taken up again when it starts."""
    if cli.run_async(_status) is None:
        cli.out.print("The agent does not run.")
        return
    cli.run_async(EngineClient(find_home()).call, "stop")
    cli.out.print("The agent stops.")


async def _status() -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await EngineClient(find_home()).call("status")
    except EnvironmentFailure as error:
        if error.code == "agent_not_running":
            return None
        raise
    return found


def _say(text: str) -> None:
    cli.err.print(Text(text, style="dim"))
