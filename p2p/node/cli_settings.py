"""``cyxwiz-node set``: what the seller decided."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from p2p.core.errors import UserError
from p2p.core.limits import GIB
from p2p.core.money import format_usd
from p2p.local import cli as frame
from p2p.local.home import find_home, make_private
from p2p.node.cli_common import agent_runs, ask
from p2p.node.settings import (
    NodeSettings,
    change_settings,
    load_settings,
    price_from_text,
    save_settings,
    settings_path,
)

_ON_OFF = click.Choice(["on", "off"])
_FLAGS = ("network", "only_when_idle", "on_battery", "exclusive_stops")
_PLAIN = ("cpus", "image", "wallet_keypair", "hours", "maintenance", "idle_minutes", "idle_percent", "watts")


@click.command("set")
@click.option(
    "--available",
    type=click.Choice(["on", "off", "schedule"]),
    help="Whether jobs are taken; schedule: only in --hours. Running jobs go on.",
)
@click.option("--hours", metavar="HOURS", help="Of the week: `mon-fri 18:00-08:00, sat,sun 00:00-24:00`.")
@click.option("--maintenance", metavar="HOURS", help="In which no job may run; empty: none.")
@click.option("--only-when-idle", type=_ON_OFF, help="Whether jobs come only while nobody uses the machine.")
@click.option("--idle-minutes", type=int, metavar="N", help="Quiet minutes before that.")
@click.option(
    "--idle-percent", type=int, metavar="N", help="Use of all CPUs, or of a GPU, below it is quiet."
)
@click.option("--on-battery", type=_ON_OFF, help="Whether jobs are taken on battery.")
@click.option("--exclusive-apps", metavar="NAMES", help="Programs beside which no job is taken; `none`.")
@click.option("--exclusive-stops", type=_ON_OFF, help="Whether they also end running jobs, unpaid.")
@click.option("--min-price", metavar="USD", help="Lowest price in dollars per hour, such as 0.25.")
@click.option("--electricity", metavar="USD", help="What a kilowatt-hour costs, for `earnings --projection`.")
@click.option("--watts", type=int, metavar="W", help="What a job adds to the power; if GPUs do not say.")
@click.option("--gpus", metavar="UUIDS", help="GPUs on offer: NVML uuids with commas, or `all`.")
@click.option("--cpus", type=float, help="CPUs for each job; 0: the node decides.")
@click.option("--memory", metavar="GB", type=float, help="Memory for each job in GB; 0: the node decides.")
@click.option("--network", type=_ON_OFF, help="Whether jobs may have the internet.")
@click.option("--image", help="The job image's tag; empty: the newest on this machine.")
@click.option("--wallet-keypair", metavar="FILE", help="Keypair of the payout wallet; empty: the node's own.")
@click.option("--listen", metavar="ADDRESS", multiple=True, help="Multiaddr to listen at; may be repeated.")
@frame.json_option
def set_(as_json: bool, **options: Any) -> None:
    """Change settings, whether the agent runs or not; without options show them."""
    values = settings_values(options)
    waiting: list[str] = []
    if not agent_runs():
        found = asdict(change_offline(values))
    elif values:
        answer = ask("set", values)
        found, waiting = answer["settings"], answer["at_next_start"]
    else:
        found = ask("settings")
    if as_json:
        frame.print_json(found)
        return
    frame.print_table(("setting", "value"), _rows(found), "")
    if waiting:
        frame.err.print(f"{', '.join(waiting)}: from the next start of the agent on", markup=False)


def change_offline(values: dict[str, Any]) -> NodeSettings:
    """Change the settings while no agent runs; without values only read them.

    :raises CyxWizError: they are wrong, or cannot be read or written.
    """
    path = settings_path(make_private(find_home().node.folder))
    settings = change_settings(load_settings(path), values)
    if values:
        save_settings(path, settings)
    return settings


def settings_values(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as settings.

    :raises UserError: a price or size that is none.
    """
    values: dict[str, Any] = {name: options[name] == "on" for name in _FLAGS if options[name] is not None}
    values |= {name: options[name] for name in _PLAIN if options[name] is not None}
    if options["available"] is not None:
        values |= {
            "available": options["available"] != "off",
            "scheduled": options["available"] == "schedule",
        }
    for option, name in (("min_price", "min_price_usd_micros_per_hour"),
                         ("electricity", "electricity_usd_micros_per_kwh")):  # fmt: skip
        if options[option] is not None:
            values[name] = price_from_text(options[option])
    if options["gpus"] is not None:
        values["gpus"] = _names(options["gpus"], "all")
    if options["exclusive_apps"] is not None:
        values["exclusive_apps"] = _names(options["exclusive_apps"], "none")
    if options["memory"] is not None:
        if not 0 <= options["memory"] < 2**20:
            raise UserError("bad_settings", "The memory must be a number of GB.", "Nothing was changed.")
        values["memory_bytes"] = int(options["memory"] * GIB)
    if options["listen"]:
        values["listen"] = list(options["listen"])
    return values


def _names(text: str, word: str) -> list[str]:
    """Names with commas; ``word`` stands for an empty list."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    return [] if names == [word] else names


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    automatic = "the node decides"
    memory = f"{found['memory_bytes'] / GIB:.1f} GB" if found["memory_bytes"] else automatic
    electricity = found["electricity_usd_micros_per_kwh"]
    return [
        ("available", _available(found)),
        ("hours", found["hours"] or "any"),
        ("maintenance", found["maintenance"] or "none"),
        ("only when idle", _idle(found)),
        ("on battery", _on(found["on_battery"])),
        ("exclusive apps", _exclusive(found)),
        ("min price", f"{format_usd(found['min_price_usd_micros_per_hour'])} an hour"),
        ("electricity", f"{format_usd(electricity)} per kWh" if electricity else "not counted"),
        ("power of a job", f"{found['watts']} W" if found["watts"] else "what the GPUs say"),
        ("gpus", ", ".join(found["gpus"]) or "all"),
        ("cpus for each job", f"{found['cpus']:g}" if found["cpus"] else automatic),
        ("memory for each job", memory),
        ("jobs with internet", _on(found["network"])),
        ("image", found["image"] or "the newest cyxwiz/job"),
        ("wallet", _wallet(found)),
        ("listen", ", ".join(found["listen"])),
    ]


def _on(value: bool) -> str:
    return "on" if value else "off"


def _available(found: dict[str, Any]) -> str:
    return "schedule" if found["available"] and found["scheduled"] else _on(found["available"])


def _idle(found: dict[str, Any]) -> str:
    if not found["only_when_idle"]:
        return "off"
    return f"on: after {found['idle_minutes']} minutes below {found['idle_percent']} %"


def _exclusive(found: dict[str, Any]) -> str:
    names = ", ".join(found["exclusive_apps"]) or "none"
    return f"{names}; they end running jobs" if found["exclusive_stops"] else names


def _wallet(found: dict[str, Any]) -> str:
    if found["wallet"]:
        return f"{found['wallet']} ({found['wallet_keystore'] or 'in a browser'})"
    return found["wallet_keypair"] or "the node's own"
