"""``cyxwiz-node rates``: what an hour of each GPU class pays."""

from __future__ import annotations

import click

from p2p.core.money import format_usd
from p2p.local import cli as frame
from p2p.node.cli_common import ask


@click.command()
@frame.json_option
def rates(as_json: bool) -> None:
    """What an hour of each GPU class pays before the fee, and how many nodes offer it."""
    found = ask("rates")
    if as_json:
        frame.print_json(found)
        return
    rows = [
        (
            each["gpu_class"],
            f"{format_usd(each['usd_micros_per_hour'])}/h",
            f"{each['nodes_free']} / {each['nodes_online']}",
            "this machine" if each["own"] else "",
        )
        for each in found
    ]
    frame.print_table(("GPU", ">RATE", ">FREE / ONLINE", ""), rows, "The coordinator has no rates.")
