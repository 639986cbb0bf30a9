"""``cyxwiz-node check`` and ``fix``: what a node needs, and how to mend what is missing."""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2p.core.errors import ExitCode
from p2p.core.text import clean_line
from p2p.local import cli as frame
from p2p.local.client import LocalClient
from p2p.local.home import find_home
from p2p.node.cli_common import agent_runs, ask
from p2p.node.cli_settings import change_offline

_LINE_MAX_CHARS = 500


@click.command()
@frame.json_option
def check(as_json: bool) -> None:
    """Test what a node needs; each row says what was found and how to mend it."""
    rows = ask("check") if agent_runs() else _offline_rows()
    if as_json:
        frame.print_json(rows)
    else:
        for row in rows:
            print_check(row)
    if any(row["required"] and not row["ok"] for row in rows):
        sys.exit(ExitCode.FAILED)


@click.command()
@click.argument("row", metavar="ROW")
@click.option(
    "--file", type=click.Path(path_type=Path), help="For job-image: load this file of `docker save`."
)
def fix(row: str, file: Path | None) -> int:
    """Have the node mend ROW of `check` by itself, where it can."""
    path = None if file is None else str(file.expanduser().absolute())
    found = frame.run_async(_ask_agent if agent_runs() else _mend_offline, row, path)
    print_check(found)
    return ExitCode.OK if found["ok"] else ExitCode.FAILED


async def _ask_agent(row: str, file: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    items = LocalClient(find_home().node.socket).stream("fix", {"id": row, "file": file})
    async with aclosing(items):
        async for item in items:
            if "line" in item:
                frame.err.print(Text(item["line"]))
            else:
                found = item["row"]
    return found


async def _mend_offline(row: str, file: str | None) -> dict[str, Any]:
    from p2p.node import offline, remedies

    command = remedies.command_of(row, file)
    if command is not None:
        async with aclosing(remedies.output_of(command)) as lines:
            async for line in lines:
                frame.err.print(Text(line))
    elif row == remedies.GPU:
        change_offline({"gpus": []})
    elif row == remedies.SWITCH:
        change_offline({"available": True, "paused_until_s": 0.0})
    rows = [remedies.check_json(each) for each in await offline.check(find_home())]
    return next(each for each in rows if each["id"] == row)


def _offline_rows() -> list[dict[str, Any]]:
    from p2p.node import offline, remedies

    return [remedies.check_json(row) for row in frame.run_async(offline.check, find_home())]


def print_check(row: dict[str, Any]) -> None:
    """One row: what was found; for what is missing also what is needed, why, and how to mend it."""
    verdict = "ok" if row["ok"] else ("MISSING" if row["required"] else "limited")
    lines = [f"{verdict:8} {row['name']}: {row['found']}"]
    if not row["ok"]:
        lines += [f"needed: {row['needed']}, because {row['why']}", f"to mend it: {row['fix']}"]
        lines += [f"  {command}" for command in row["commands"] if command not in row["fix"]]
        if row["action"]:
            lines.append(f"or: cyxwiz-node fix {row['id']} ({row['action']})")
    for number, line in enumerate(lines):
        indent = " " * 9 if number else ""
        frame.out.print(indent + clean_line(line, _LINE_MAX_CHARS), markup=False)
