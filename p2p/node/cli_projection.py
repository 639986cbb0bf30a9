"""``cyxwiz-node earnings --projection``: what may come, and what came of the last projection."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from p2p.core.money import Asset, format_amount, format_usd
from p2p.core.projection import MONTH_DAYS
from p2p.local import cli as frame
from p2p.node.cli_common import ask


def show_projection(days: int, as_json: bool) -> None:
    """Ask for it and print it."""
    found = ask("projection", {"days": days})
    if as_json:
        frame.print_json(found)
        return
    if not found["assets"]:
        frame.out.print("Nothing earned yet: there is nothing to judge by.")
    for line in projection_lines(found):
        frame.out.print(Text(line))


def projection_lines(found: dict[str, Any]) -> list[str]:
    """The projection in sentences, each with the days that it comes from."""
    lines = []
    for each in found["assets"]:
        asset, days = Asset(each["asset"]), _days(each["days"])
        window, day, month = (
            format_amount(each[name], asset) for name in ("window_units", "per_day_units", "per_month_units")
        )
        lines.append(f"In the last {days}: {window}. At that rate {day} a day, {month} in {MONTH_DAYS} days.")
        if each["projected_units"] is None:
            lines.append("There is nothing before that to set it against.")
        else:
            promised = format_amount(each["projected_units"], asset)
            lines.append(f"Judged by the days before, these {days} should have brought {promised}.")
    return lines + _electricity_lines(found["electricity"])


def _electricity_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    source = "measured" if found["measured"] else "as set"
    price, cost = format_usd(found["usd_micros_per_kwh"]), format_usd(found["cost_usd_micros"])
    net = found["net_usd_micros"]
    left = f"{'-' if net < 0 else ''}{format_usd(abs(net))}"
    lines = [
        f"Electricity of those jobs: {cost} ({found['watts']} W {source}, {price} per kWh).",
        f"What is left of the USDC: {left}.",
    ]
    if found["not_counted"]:
        lines.append(f"Not counted: {', '.join(name.upper() for name in found['not_counted'])}.")
    return lines


def _days(count: int) -> str:
    return "day" if count == 1 else f"{count} days"
