"""The projection in words, with the days that it comes from, and what came of the one before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui_kit.words import tr
from p2p.core.money import Asset, format_amount, format_usd
from p2p.core.projection import MONTH_DAYS


def outlook_lines(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """What is ahead; what was promised before and what came; what electricity takes of it. From the answer
    to ``projection``."""
    ahead, came = [], []
    for each in found.get("assets") or ():
        asset, days = Asset(each["asset"]), each["days"]
        month = format_amount(each["per_month_units"], asset)
        window = format_amount(each["window_units"], asset)
        ahead.append(
            tr("At the pace of the last {window_days}: {month} in {days} days.",
               window_days=days_text(days), month=month, days=MONTH_DAYS)
        )  # fmt: skip
        if each["projected_units"] is not None:
            promised = format_amount(each["projected_units"], asset)
            came.append(
                tr("For these {window_days} it had said {promised}; {window} came.",
                   window_days=days_text(days), promised=promised, window=window)
            )  # fmt: skip
    return "\n".join(ahead), "\n".join(came), power_line(found.get("electricity"))


def power_line(found: Mapping[str, Any] | None) -> str:
    """What electricity takes of what was earned; empty where its price or the power is not known."""
    if not found:
        return ""
    net = found["net_usd_micros"]
    left = f"{'-' if net < 0 else ''}{format_usd(abs(net))}"
    source = tr("measured") if found["measured"] else tr("as set")
    return tr("Electricity of the last {window_days}: {cost} ({watts} W {source}). Left of the USDC: {left}.",
              window_days=days_text(found["days"]), cost=format_usd(found["cost_usd_micros"]),
              watts=found["watts"], source=source, left=left)  # fmt: skip


def days_text(days: int) -> str:
    """A number of days in words."""
    return tr("day") if days == 1 else tr("{days} days", days=days)
