"""``cyxwiz-node log``, ``support-bundle`` and ``autostart``."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2p.core.limits import KIB
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.node import agent_log
from p2p.node.cli_common import agent_runs, ask
from p2p.node.cli_settings import change_offline


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
def log(follow: bool) -> None:
    """The end of the agent's own log, whether it runs or not."""

    async def show() -> None:
        pieces = agent_log.follow(find_home().node.log, None, forever=follow)
        async with aclosing(pieces):
            async for piece in pieces:
                for line in piece.lines:
                    frame.out.print(Text(line))

    frame.run_async(show)


@click.command("support-bundle")
@click.argument("file", type=click.Path(path_type=Path))
@frame.json_option
def support_bundle(file: Path, as_json: bool) -> None:
    """Write FILE, a .zip for somebody who helps: versions, self-test, settings, status, logs; no secret."""
    from p2p.node.support import WHAT_IS_LEFT_OUT

    file = file.expanduser().absolute()
    found = ask("support_bundle", {"file": str(file)}) if agent_runs() else _offline(file)
    if as_json:
        frame.print_json(found)
        return
    rows = [(part["name"], f"{part['size_bytes'] / KIB:.1f} KB") for part in found["parts"]]
    frame.print_table(("in it", ">size"), rows, "")
    frame.out.print(Text(f"Written to {found['file']}. {WHAT_IS_LEFT_OUT}"))


def _offline(file: Path) -> dict[str, Any]:
    from p2p.node import offline
    from p2p.node.api_support import bundle_json
    from p2p.node.remedies import check_json
    from p2p.node.support import write_bundle

    home, settings = find_home(), change_offline({})
    parts = {
        "check": [check_json(row) for row in frame.run_async(offline.check, home)],
        "jobs": frame.run_async(offline.jobs, home, 50),
        "settings": asdict(settings),
    }
    return bundle_json(file, write_bundle(home, file, settings, parts))


@click.command()
@click.argument("to", type=click.Choice(["on", "off", "status"]), default="status")
@frame.json_option
def autostart(to: str, as_json: bool) -> None:
    """Start the agent when you log in: on, off, or how it is."""
    from p2p.node.api_support import autostart_json
    from p2p.node.starting import autostart as change

    found = autostart_json(change(find_home(), None if to == "status" else to == "on"))
    if as_json:
        frame.print_json(found)
    else:
        frame.out.print(Text(f"{'on' if found['on'] else 'off'} ({found['how']}: {found['place']})"))
