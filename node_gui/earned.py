"""What was earned, as the window shows it: rows and bars. Pure: nothing is asked here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from gui_kit.words import tr
from p2p.core.earnings import By, Pay, Period, by_period
from p2p.core.money import Asset, format_amount
from p2p.local.earnings_csv import pays_of

DAYS_SHOWN = 30
MONTHS_SHOWN = 12
_UNPAID = (Pay.IN_REVIEW, Pay.DISPUTED, Pay.WAITING)


@dataclass(frozen=True, slots=True)
class EarnedRow:
    """One job's pay as a row of the table."""

    key: str
    name: str
    at_s: float
    used_seconds: float
    asset: Asset
    net_units: int
    fee_units: int
    pay: str
    review_ends_at_s: float | None
    signature: str


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A day or month as a row of the table."""

    key: str
    period: str
    asset: Asset
    jobs: int
    net_units: int
    paid_units: int
    unpaid_units: int
    fee_units: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A day or month in the plot, whole units of the asset for its height; ``words`` says it all."""

    period: str
    label: str
    paid_units: int
    unpaid_units: int
    words: str


def earned_row(entry: dict[str, Any]) -> EarnedRow:
    """From an item of the answer to ``earnings``."""
    return EarnedRow(
        entry["job_id"],
        entry["name"],
        entry["at_s"],
        entry["used_seconds"],
        Asset(entry["asset"]),
        entry["net_units"],
        entry["fee_units"],
        entry["pay"],
        entry["review_ends_at_s"],
        (entry["signature"] or "") if entry["pay"] == Pay.PAID.value else "",
    )


def pay_words(word: str, review_left_s: float | None) -> str:
    """How far the pay of a job is, with how long its review still takes."""
    if review_left_s is None:
        return word
    if review_left_s <= 0:
        return tr("Review over, being paid")
    hours, minutes = divmod(int(review_left_s) // 60, 60)
    left = tr("{hours} h", hours=hours) if hours else tr("{minutes} min", minutes=max(1, minutes))
    return tr("{word}, {left} left", word=word, left=left)


def periods_of(entries: Sequence[dict[str, Any]], by: By, zone: tzinfo | None = None) -> list[Period]:
    """Days or months, newest first, without what runs now."""
    return by_period([one for one in map(pays_of, entries) if one.pay is not Pay.RUNNING], by, zone)


def period_row(period: Period) -> PeriodRow:
    """A period as a row."""
    everything = period.total()
    return PeriodRow(
        f"{period.period} {period.asset.value}",
        period.period,
        period.asset,
        everything.jobs,
        everything.net_units,
        period.total(Pay.PAID).net_units,
        period.total(*_UNPAID).net_units,
        everything.fee_units,
    )


def bars(
    periods: Sequence[Period], by: By, asset: Asset, now_s: float, zone: tzinfo | None = None
) -> list[Bar]:
    """The last days or months up to now, oldest first, also those in which nothing was earned."""
    mine = {period.period: period for period in periods if period.asset is asset}
    made = []
    for day in _last(by, _day(now_s, zone)):
        key = f"{day:%Y-%m-%d}" if by is By.DAY else f"{day:%Y-%m}"
        row = period_row(mine.get(key, Period(key, asset, {})))
        paid, unpaid = (format_amount(units, asset) for units in (row.paid_units, row.unpaid_units))
        words = f"{key}: {paid}"
        if row.unpaid_units:
            words += f" + {unpaid}"
        label = f"{day.day}." if by is By.DAY else f"{day.month}/{day:%y}"
        made.append(Bar(key, label, row.paid_units, row.unpaid_units, words))
    return made


def _last(by: By, today: date) -> list[date]:
    if by is By.DAY:
        return [today - timedelta(days=back) for back in reversed(range(DAYS_SHOWN))]
    months = today.year * 12 + today.month - 1
    return [date(at // 12, at % 12 + 1, 1) for at in range(months - MONTHS_SHOWN + 1, months + 1)]


def _day(at_s: float, zone: tzinfo | None) -> date:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).date()
