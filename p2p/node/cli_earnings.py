"""``cyxwiz-node earnings``: each job's pay and how far it is, or sums by day and month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.text import Text

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.earnings import By, Pay, Pays, Period, by_period, in_all
from p2p.core.limits import EARNINGS_LISTED_MAX
from p2p.core.money import Asset, format_amount
from p2p.core.projection import PROJECTION_DAYS, PROJECTION_DAYS_MAX
from p2p.local import cli as frame
from p2p.local.earnings_csv import jobs_csv, pays_of, periods_csv
from p2p.node.cli_common import ask, duration, short, when
from p2p.node.cli_projection import show_projection

_BY_JOB = "job"


@click.command()
@click.option(
    "--by",
    type=click.Choice([_BY_JOB, *(by.value for by in By)]),
    default=_BY_JOB,
    show_default=True,
    help="One line for each; days and months are those of this machine's time zone.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Only what was paid or moved on since the beginning of that day, such as 2026-11-01.",
)
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, EARNINGS_LISTED_MAX),
    help="Lines to show; the totals are of everything.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet or the books.")
@click.option("--projection", "projected", is_flag=True, help="What may come, judged by the last --days.")
@click.option(
    "--days",
    default=PROJECTION_DAYS,
    show_default=True,
    type=click.IntRange(1, PROJECTION_DAYS_MAX),
    help="For --projection.",
)
@frame.json_option
def earnings(
    by: str, since: datetime | None, limit: int, as_csv: bool, projected: bool, days: int, as_json: bool
) -> None:
    """What the jobs earned, after the platform's fee, and how far their pay is; newest first."""
    if projected:
        show_projection(days, as_json)
        return
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    since_s = 0.0 if since is None else since.astimezone().timestamp()
    found = ask("earnings", {"limit": EARNINGS_LISTED_MAX, "since_s": since_s})
    if len(found) == EARNINGS_LISTED_MAX:
        frame.err.print(f"Only the newest {EARNINGS_LISTED_MAX} jobs are counted: name a later --since.")
    if by == _BY_JOB:
        _show_jobs(found, limit, as_csv, as_json)
    else:
        _show_periods(found, By(by), limit, as_csv, as_json)


def _show_jobs(found: list[dict[str, Any]], limit: int, as_csv: bool, as_json: bool) -> None:
    shown = found[:limit]
    if as_json:
        frame.print_json(shown)
    elif as_csv:
        click.echo(jobs_csv(shown), nl=False)
    else:
        columns = ("job", "name", "when", ">ran", ">earned", ">fee", "pay", "transaction")
        frame.print_table(columns, [_job_row(entry) for entry in shown], "Nothing earned yet.")
        _print_totals(found)


def _show_periods(found: list[dict[str, Any]], by: By, limit: int, as_csv: bool, as_json: bool) -> None:
    shown = by_period([pays_of(entry) for entry in found], by)[:limit]
    if as_json:
        frame.print_json([period_json(period) for period in shown])
    elif as_csv:
        click.echo(periods_csv(by, shown), nl=False)
    else:
        columns = (by.value, ">jobs", ">paid", ">not paid yet", ">running now (estimate)", ">fee")
        frame.print_table(columns, [_period_row(period) for period in shown], "Nothing earned yet.")
        _print_totals(found)
        if shown:
            frame.err.print(Text(f"Each {by.value} is one of the time zone {_zone_name()}."))


def _job_row(entry: dict[str, Any]) -> list[object]:
    asset, pay = Asset(entry["asset"]), Pay(entry["pay"])
    return [
        short(entry["job_id"]),
        entry["name"],
        when(entry["at_s"]),
        duration(entry["used_seconds"]),
        format_amount(entry["net_units"], asset),
        format_amount(entry["fee_units"], asset),
        pay_words(pay, entry["review_ends_at_s"], SYSTEM_CLOCK.now_s()),
        entry["signature"] if pay is Pay.PAID else "",
    ]


def pay_words(pay: Pay, review_ends_at_s: float | None, now_s: float) -> str:
    """How far the pay of one job is, in words."""
    if pay is not Pay.IN_REVIEW or review_ends_at_s is None:
        return pay.words
    if review_ends_at_s <= now_s:
        return "claimed, its review is over: being paid"
    return f"{pay.words} until {when(review_ends_at_s)}"


def _period_row(period: Period) -> list[object]:
    paid, running, everything = period.total(Pay.PAID), period.total(Pay.RUNNING), period.total()
    unpaid_units = everything.net_units - paid.net_units - running.net_units
    amounts = (paid.net_units, unpaid_units, running.net_units, everything.fee_units)
    return [period.period, everything.jobs, *(format_amount(units, period.asset) for units in amounts)]


def period_json(period: Period) -> dict[str, Any]:
    """A day or month: sums in all, and of each state of pay."""
    everything = period.total()
    return {
        "period": period.period,
        "asset": period.asset.value,
        "decimals": period.asset.decimals,
        "jobs": everything.jobs,
        "net_units": everything.net_units,
        "fee_units": everything.fee_units,
        "pay": {
            pay.value: {"jobs": each.jobs, "net_units": each.net_units, "fee_units": each.fee_units}
            for pay in Pay
            for each in [period.total(pay)]
        },
    }


def _print_totals(found: list[dict[str, Any]]) -> None:
    for line in total_lines([pays_of(entry) for entry in found]):
        frame.out.print(Text(line))


def total_lines(earned: Sequence[Pays]) -> list[str]:
    """What was earned in all, by asset and by how far the pay is."""
    lines = []
    for asset, sums in sorted(in_all(earned).items(), key=lambda item: item[0].value):
        for pay in Pay:
            if pay in sums:
                net, fee = (
                    format_amount(units, asset) for units in (sums[pay].net_units, sums[pay].fee_units)
                )
                lines.append(f"{pay.words}: {net} (fee {fee})")
    return lines


def _zone_name() -> str:
    now = datetime.fromtimestamp(SYSTEM_CLOCK.now_s(), UTC).astimezone()
    offset = f"{now:%z}"
    return f"{now.tzname()} (UTC{offset[:3]}:{offset[3:5]})"
