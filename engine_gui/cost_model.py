"""What an ``estimate`` and a ``plan`` say, as names and values for people. No widgets in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine_gui.job_form import is_url
from gui_kit.words import amount_text, bytes_text, clean, files_text, tr
from p2p.core.durations import format_duration
from p2p.core.money import Asset, cost_units, format_amount, format_fee, format_usd

Json = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]

_CLASSES_MAX = 4


def refund_words() -> str:
    """The rule, as :mod:`p2p.engine.render` has it for the command line."""
    return tr(
        "You pay only for seconds that ran, and only for verified results; the rest comes back at once. If "
        "the job fails, all of it comes back."
    )


@dataclass(frozen=True, slots=True)
class CostView:
    """What stands in the panel beside the form."""

    most: str
    costs: Pairs
    nodes: str
    can_run: bool
    reasons: tuple[str, ...]
    wait: str


def cost_view(found: Json) -> CostView:
    """From ``estimate``."""
    asset = Asset(found["asset"])
    matching, online = found["nodes_matching"], found["nodes_online"]
    return CostView(
        most=format_amount(found["deposit_units"], asset),
        costs=(*_rate_lines(found), *_fee_lines(found)),
        nodes=nodes_words(matching, online),
        can_run=matching > 0,
        reasons=reasons(found),
        wait=wait_words(found),
    )


def nodes_words(matching: int, online: int) -> str:
    """How many can take it now."""
    if not online:
        return tr("No node is online now.")
    return tr("{matching} of {online} nodes can take it now.", matching=matching, online=online)


def reasons(found: Json) -> tuple[str, ...]:
    """Why others can't, with how many of them."""
    online = found["nodes_online"]
    return tuple(
        tr("{count} of {all} nodes {words}", count=each["nodes"], all=online, words=clean(each["words"]))
        for each in found["misfits"]
    )


def wait_words(found: Json) -> str:
    """How long it would wait for a node, and how that is known."""
    if not found["slots"]:
        return tr("Not known: no node that is online could run it.")
    if found["wait_s"] is None:
        return tr("Not known: all that could run it are busy.")
    if found["wait_s"] == 0:
        return tr("None: a node is free.")
    return tr(
        "About {time}: {ahead} ahead of it, and such jobs took {mean} on average.",
        time=format_duration(round(found["wait_s"])),
        ahead=found["jobs_ahead"],
        mean=format_duration(round(found["mean_run_s"] or 0)),
    )


def review_pairs(plan: Json) -> Pairs:
    """The exact numbers of signed terms, before the yes."""
    asset = Asset(plan["asset"])
    files = tr(
        "{files}, {size}; {known} of it hashed before",
        files=files_text(plan["files"]),
        size=bytes_text(plan["bytes"]),
        known=bytes_text(plan["known_bytes"]),
    )
    data = ((tr("Data"), tr("{url}, fetched by the node", url=clean(plan["data_url"]))),)
    network = ((tr("Internet"), tr("The script may reach it")),)
    sponsor = ((tr("Network fees"), tr("Paid by the coordinator")),)
    return (
        (tr("Job"), f"{clean(plan['name'])} ({clean(plan['script'])})"),
        (tr("Sent"), files),
        *(data if is_url(plan["data_url"]) else ()),
        *_rate_lines(plan),
        *_fee_lines(plan),
        (tr("Nodes"), nodes_words(plan["nodes_matching"], plan["nodes_online"])),
        *(network if plan["network"] == "outbound" else ()),
        *(sponsor if plan["fees_paid_by"] == "coordinator" else ()),
        (tr("Results"), clean(plan["out"])),
        (tr("Your escrow"), format_amount(plan["balance_units"], asset)),
        (tr("Locked now"), format_amount(plan["deposit_units"], asset)),
        (tr("Left in escrow"), format_amount(plan["balance_units"] - plan["deposit_units"], asset)),
    )


def _rate_lines(found: Json) -> Pairs:
    """Rate times time, by class, the cheapest first."""
    asset, seconds = Asset(found["asset"]), found["timeout_s"]
    rates = sorted(found["rates"], key=lambda rate: int(rate["units_per_hour"]))
    lines = [
        (
            clean(rate["gpu_class"]),
            tr(
                "{rate} an hour × {time} = {cost}",
                rate=format_usd(rate["usd_micros_per_hour"]),
                time=format_duration(seconds),
                cost=amount_text(cost_units(rate["units_per_hour"], seconds), asset),
            ),
        )
        for rate in rates[:_CLASSES_MAX]
    ]
    if len(rates) > _CLASSES_MAX:
        lines.append((tr("More"), tr("{count} dearer classes", count=len(rates) - _CLASSES_MAX)))
    return tuple(lines)


def _fee_lines(found: Json) -> Pairs:
    asset = Asset(found["asset"])
    fee = tr("{percent} of what is used, included", percent=format_fee(found["fee_bps"]))
    price = (
        (tr("1 SOL"), tr("{price}, fixed for this job", price=format_usd(found["asset_price_usd_micros"]))),
    )
    return ((tr("Platform fee"), fee), *(price if asset is Asset.SOL else ()))
