"""docs/cli.md knows every command, option and field that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from p2p.engine.cli import cyxwiz
from p2p.engine.views import job_details, job_to_json

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
BUYER = PAGE[PAGE.index("## cyxwiz\n") : PAGE.index("## cyxwiz-node")]


def commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for command in group.commands.values():
        found += commands(command) if isinstance(command, click.Group) else [command]
    return found


@pytest.mark.parametrize("command", commands(cyxwiz), ids=lambda command: str(command.name))
def test_commands_and_options_are_documented(command: click.Command) -> None:
    assert re.search(rf"`[^`\n]*\b{command.name}\b", BUYER)
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    for option in options:
        assert option in PAGE, f"{command.name} {option}"


def test_fields_of_a_job_are_documented(make_job: Any) -> None:
    row, live = make_job()
    for field in (*job_to_json(row, live), *job_details(row, live, ())):
        assert f"`{field}`" in BUYER, field
