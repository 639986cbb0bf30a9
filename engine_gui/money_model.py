"""A job's money for people: what is locked, used, paid, given back, claimed. No widgets in here."""

from __future__ import annotations

from typing import Any

from gui_kit.words import clean, duration_text, time_text, tr
from p2p.core.money import Asset, fee_of, format_amount, format_fee

Json = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]


def cost_pairs(job: Json) -> Pairs:
    """The bill: as the chain has decided, or as it stands."""
    cost = job["cost"]
    if cost is not None:
        return _final(job, cost)
    asset, used, deposit = Asset(job["asset"]), job["used_units"], job["deposit_units"]
    fee_bps = job["fee_bps"]
    fee = ((tr("Of it to the platform"), format_amount(fee_of(used, fee_bps), asset)),) if fee_bps else ()
    return (
        (tr("Locked in escrow"), format_amount(deposit, asset)),
        *_rate(job["rate_units_per_hour"], asset),
        (tr("Ran for"), duration_text(job["used_seconds"])),
        (tr("Used so far"), format_amount(used, asset)),
        *fee,
        (tr("Would come back now"), format_amount(max(0, deposit - used), asset)),
    )


def review_pairs(job: Json) -> Pairs:
    """A claim and what became of it; empty as long as there is none."""
    review = job["review"]
    if review is None:
        return ()
    asset, dispute = Asset(job["asset"]), review["dispute"]
    claimed = (tr("Claimed by the node"), format_amount(review["claimed_units"], asset))
    if dispute is None:
        until = (tr("Can be disputed until"), time_text(review["window_ends_at_s"]))
        return (claimed,) if job["final"] else (claimed, until)
    said = [
        (name, clean(text))
        for name, text in ((tr("Your reason"), review["reason"]), (tr("The node says"), review["answer"]))
        if text
    ]
    if dispute == "open":
        return claimed, *said, (tr("The arbiter decides by"), time_text(review["resolve_by_s"]))
    decided = format_amount(review["decided_units"] or 0, asset)
    words = {
        "resolved": tr("Decided by the arbiter"),
        "withdrawn": tr("Settled after all"),
        "conceded": tr("Given back without a decision"),
        "expired": tr("Reclaimed, for nobody had decided in time"),
    }.get(dispute, clean(dispute))
    return claimed, *said, (words, tr("{amount} paid", amount=decided))


def can_dispute(job: Json) -> bool:
    """Whether there is a claim that nobody has disputed yet."""
    review = job["review"]
    return review is not None and review["dispute"] is None and not job["final"] and not job["disputed"]


def dispute_pairs(terms: Json) -> Pairs:
    """The exact numbers before a dispute, from ``dispute_terms``."""
    asset = Asset(terms["asset"])
    return (
        (tr("Claimed by the node"), format_amount(terms["claimed_units"], asset)),
        (tr("In escrow"), format_amount(terms["deposit_units"], asset)),
        (tr("Undisputed, paid at"), time_text(terms["window_ends_at_s"])),
        (tr("Decided at the latest"), time_text(terms["resolve_by_s"])),
    )


def dispute_words(terms: Json) -> str:
    """What disputing does."""
    asset = Asset(terms["asset"])
    return tr(
        "An arbiter decides how much of the {claimed} the node gets; the rest comes back to you. Until then "
        "all {deposit} stay in escrow. Your reason and the node's answer are kept, and a few chunks of the "
        "outputs are compared with what the node signed.",
        claimed=format_amount(terms["claimed_units"], asset),
        deposit=format_amount(terms["deposit_units"], asset),
    )


def _final(job: Json, cost: Json) -> Pairs:
    asset = Asset(job["asset"])
    platform = tr("To the platform, {percent}", percent=format_fee(cost["fee_bps"]))
    return (
        (tr("Was locked in escrow"), format_amount(cost["deposit_units"], asset)),
        *_rate(cost["rate_units_per_hour"], asset),
        (tr("Ran for"), duration_text(cost["used_seconds"])),
        (tr("You paid"), format_amount(cost["used_units"], asset)),
        (tr("Of it to the node"), format_amount(cost["node_units"], asset)),
        (platform, format_amount(cost["fee_units"], asset)),
        (tr("Came back to you"), format_amount(cost["refund_units"], asset)),
    )  # fmt: skip


def _rate(units_per_hour: int, asset: Asset) -> Pairs:
    if not units_per_hour:
        return ()
    return ((tr("Rate"), tr("{amount} an hour", amount=format_amount(units_per_hour, asset))),)
