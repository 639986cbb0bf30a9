"""``cyxwiz join``: the network that a home belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.text import Text

from p2p.chain.config import ChainConfig
from p2p.core.config import NetworkConfig, parse_network_config
from p2p.core.errors import Refused, UserError
from p2p.core.limits import NETWORK_CONFIG_MAX_BYTES
from p2p.core.paths import Home
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home, load_network_config, make_private


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def join(file: Path, as_json: bool) -> None:
    """Join the network that FILE describes: the config.toml that its operator gives out."""
    home = find_home()
    text = _read(file.expanduser().absolute())
    wanted = parse_network_config(text)
    cluster = ChainConfig.from_table(wanted.chain).cluster
    if home.config.exists():
        _require_same(home, wanted)
    else:
        make_private(home.root)
        part = home.config.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, home.config)
    if as_json:
        cli.print_json(
            {"home": str(home.root), "cluster": cluster, "coordinator": wanted.coordinator_address}
        )
    else:
        cli.out.print(Text(f"{home.root} belongs to the network {cluster} now: `cyxwiz login` goes on."))


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > NETWORK_CONFIG_MAX_BYTES:
            raise UserError("bad_network_config", f"{file} is too large for a network's configuration.")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(
            "bad_network_config", f"{file} cannot be read: {reason}.", "No network was joined."
        ) from None


def _require_same(home: Home, wanted: NetworkConfig) -> None:
    """Wallet, jobs and session keys of a home are those of one network."""
    if load_network_config(home) != wanted:
        raise Refused(
            "other_network",
            f"{home.root} belongs to another network already.",
            "Its wallet and its jobs are of that one, so nothing was changed.",
            "Set CYXWIZ_HOME to another folder for a second network.",
        )
