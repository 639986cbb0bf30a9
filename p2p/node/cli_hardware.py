"""``cyxwiz-node hardware``: what the machine has, and how it does."""

from __future__ import annotations

import math
from typing import Any

import click
import trio
from rich.live import Live
from rich.table import Table

from p2p.core.limits import GIB, SAMPLE_INTERVAL_S
from p2p.local import cli as frame
from p2p.local.client import LocalClient
from p2p.local.home import find_home
from p2p.node.cli_common import ask, when

_SPANS = {"1h": 3600, "24h": 24 * 3600, "7d": 7 * 24 * 3600}
_COLUMNS = ("", "name", "offered", ">use", ">memory", ">temperature", ">power")
_ROWS_SHOWN = 24


@click.command()
@click.option("--watch", is_flag=True, help="Go on showing it until Ctrl-C.")
@click.option("--span", type=click.Choice(list(_SPANS)), help="How it did over that time, instead of now.")
@frame.json_option
def hardware(watch: bool, span: str | None, as_json: bool) -> None:
    """GPUs, processors and memory: what is there, what of it is on offer, how busy, hot and thirsty it is."""
    if watch and (span or as_json):
        raise click.UsageError("--watch shows the present, to a person.")
    if watch:
        frame.run_async(_watch)
    elif span:
        _show_span(ask("readings", {"span_s": _SPANS[span]}), as_json)
    elif as_json:
        frame.print_json(ask("hardware"))
    else:
        found = ask("hardware")
        frame.print_table(_COLUMNS, hardware_rows(found), "")
        for problem in found["problems"]:
            frame.err.print(problem, markup=False)


async def _watch() -> None:
    client = LocalClient(find_home().node.socket)
    with Live(Table(box=None), console=frame.out, auto_refresh=False) as live:
        while True:
            found = await client.call("hardware")
            live.update(frame.make_table(_COLUMNS, hardware_rows(found)), refresh=True)
            await trio.sleep(SAMPLE_INTERVAL_S)


def hardware_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each GPU, and one for processors and memory."""
    reading = found["reading"] or {"gpus": [], "cpu_percent": 0.0, "memory_used_bytes": 0}
    by_uuid = {gpu["uuid"]: gpu for gpu in reading["gpus"]}
    rows: list[tuple[str, ...]] = []
    for number, gpu in enumerate(found["gpus"]):
        now = by_uuid.get(gpu["uuid"], {})
        offered = "no" if not gpu["offered"] else "busy" if gpu["busy"] else "yes"
        memory = _memory(now.get("memory_used_bytes"), gpu["vram_bytes"])
        rows.append((f"gpu {number}", gpu["name"], offered, _percent(now.get("utilisation_percent")), memory,
                     _value(now.get("temperature_c"), "°C"), _value(now.get("power_w"), "W")))  # fmt: skip
    use = _percent(reading["cpu_percent"] / max(1, found["cpu_count"]))
    memory = _memory(reading["memory_used_bytes"], found["memory_bytes"])
    rows.append(("cpu", f"{found['cpu_count']} processors", "", use, memory, "", ""))
    return rows


def _show_span(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        frame.print_json(found)
        return
    every = max(1, math.ceil(len(found["points"]) / _ROWS_SHOWN))
    rows = []
    for point in found["points"][::every]:
        memory = f"{point['memory_used_bytes'] / GIB:.1f} GB"
        temperatures = [gpu["temperature_c"] for gpu in point["gpus"] if gpu["temperature_c"] is not None]
        powers = [gpu["power_w"] for gpu in point["gpus"] if gpu["power_w"] is not None]
        uses = [gpu["utilisation_percent"] or 0.0 for gpu in point["gpus"]]
        rows.append((
            when(point["at_s"]), f"{point['cpu_percent']:.0f} %", memory,
            _percent(max(uses, default=None)), _value(max(temperatures, default=None), "°C"),
            _value(sum(powers) if powers else None, "W"),
        ))  # fmt: skip
    columns = ("time", ">cpu", ">memory", ">busiest gpu", ">hottest gpu", ">gpu power")
    frame.print_table(columns, rows, "Nothing was kept of that time yet: a minute is kept when it is over.")


def _percent(value: float | None) -> str:
    return _value(value, "%")


def _value(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f} {unit}"


def _memory(used: int | None, total: int) -> str:
    return f"{'?' if used is None else f'{used / GIB:.1f}'} of {total / GIB:.1f} GB"
