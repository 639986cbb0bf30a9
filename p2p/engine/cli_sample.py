"""``cyxwiz sample``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from p2p.engine.sample import copy_sample
from p2p.local import cli
from p2p.local.cli import json_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("cyxwiz-sample"))
@json_option
def sample(folder: Path, as_json: bool) -> None:
    """Write a small job to try things out with into FOLDER, and say how to send it."""
    made = copy_sample(folder.expanduser().absolute())
    if as_json:
        cli.print_json(made.to_json())
        return
    cli.out.print(Text(f"A script that learns handwritten digits is in {made.folder}. Send it:"))
    options = "--data data --requirements requirements.txt --config config.json"
    cli.out.print(Text(f"  cd {made.folder} && cyxwiz run train.py {options}"))
