"""Commands that only look: at the market, at a job's inside, at the network."""

from __future__ import annotations

from typing import Any

import click

from p2p.engine import render
from p2p.engine.cli_money import ask
from p2p.engine.cli_run import config_options, config_params
from p2p.engine.cli_view import print_pairs
from p2p.local import cli
from p2p.local.cli import json_option


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
