"""What a node has earned, will earn judged by its last days, and pays for electricity. Pure.

Everything is labelled with the days that it comes from, and set against what the same judgement said earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from p2p.core.earnings import Pay, Pays
from p2p.core.money import SECONDS_PER_HOUR, Asset

DAY_S = 24 * SECONDS_PER_HOUR
MONTH_DAYS = 30
PROJECTION_DAYS = 7
PROJECTION_DAYS_MAX = 365
_WATTS_PER_KILOWATT = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """What a node earned of an asset, net. Estimates of running jobs are only in ``running_units``."""

    asset: Asset
    today_units: int = 0  # paid or moved on today, on the wall clock
    week_units: int = 0  # ... in the last seven times 24 hours
    in_review_units: int = 0  # claimed or disputed
    unpaid_units: int = 0  # waits for the buyer's signature
    running_units: int = 0
    lifetime_units: int = 0  # paid


def standings(earned: Iterable[Pays], now_s: float, zone: tzinfo | None = None) -> list[Standing]:
    """Of each asset in which there is something. ``zone``: whose day it is; none: this machine's."""
    sums: dict[Asset, dict[str, int]] = {}
    today = _date(now_s, zone)
    for one in earned:
        found = sums.setdefault(one.asset, {})
        names = [_STANDING[one.pay]]
        if one.pay is not Pay.RUNNING and _date(one.at_s, zone) == today:
            names.append("today_units")
        if one.pay is not Pay.RUNNING and now_s - 7 * DAY_S < one.at_s <= now_s:
            names.append("week_units")
        for name in names:
            found[name] = found.get(name, 0) + one.net_units
    return [Standing(asset, **sums[asset]) for asset in sorted(sums, key=lambda asset: asset.value)]


_STANDING = {
    Pay.PAID: "lifetime_units",
    Pay.IN_REVIEW: "in_review_units",
    Pay.DISPUTED: "in_review_units",
    Pay.WAITING: "unpaid_units",
    Pay.RUNNING: "running_units",
}


@dataclass(frozen=True, slots=True)
class Projection:
    """``window_units`` were earned in the last ``days``, which a day and 30 days are judged by.

    ``projected_units``: what the days before had promised for these days, by the same rule; None if there is
    nothing that far back. Set against ``window_units``, it says how good the rule is.
    """

    asset: Asset
    days: int
    window_units: int
    per_day_units: int
    per_month_units: int
    projected_units: int | None


def project(earned: Sequence[Pays], now_s: float, days: int) -> list[Projection]:
    """Of each asset. A node that has earned for fewer than ``days`` is judged by those. Estimates of running
    jobs do not count."""
    certain = [one for one in earned if one.pay is not Pay.RUNNING and one.at_s <= now_s]
    if not certain:
        return []
    first_s = min(one.at_s for one in certain)
    days = min(days, _days_between(first_s, now_s))
    start_s = now_s - days * DAY_S
    earlier_days = min(days, _days_between(first_s, start_s)) if first_s < start_s else 0
    assets = sorted({one.asset for one in certain}, key=lambda asset: asset.value)
    return [_project(certain, asset, start_s, days, earlier_days) for asset in assets]


def _project(
    certain: Sequence[Pays], asset: Asset, start_s: float, days: int, earlier_days: int
) -> Projection:
    earlier_s = start_s - earlier_days * DAY_S
    mine = [one for one in certain if one.asset is asset]
    window = sum(one.net_units for one in mine if one.at_s > start_s)
    earlier = sum(one.net_units for one in mine if earlier_s < one.at_s <= start_s)
    return Projection(
        asset=asset,
        days=days,
        window_units=window,
        per_day_units=window // days,
        per_month_units=window * MONTH_DAYS // days,
        projected_units=earlier * days // earlier_days if earlier_days else None,
    )


def electricity_usd_micros(used_seconds: int, watts: int, usd_micros_per_kwh: int) -> int:
    """What ``used_seconds`` of jobs cost at ``watts`` each, rounded up."""
    per_kwh = _WATTS_PER_KILOWATT * SECONDS_PER_HOUR
    return -(-used_seconds * watts * usd_micros_per_kwh // per_kwh)


def _days_between(start_s: float, end_s: float) -> int:
    """As many days before ``end_s`` as leave ``start_s`` behind their beginning."""
    return int((end_s - start_s) // DAY_S) + 1


def _date(at_s: float, zone: tzinfo | None) -> object:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).date()
