"""Words and rules of moving money. Pure."""

from __future__ import annotations

from typing import Any

from gui_kit.words import short_id, tr
from p2p.core.errors import UserError
from p2p.core.money import Asset, format_amount


def check_covered(units: int, escrow_units: int | None, asset: Asset) -> None:
    """:raises UserError: there is less in escrow, as far as that is known."""
    if escrow_units is not None and units > escrow_units:
        raise UserError(
            "balance_too_low",
            tr("There is less in escrow: {amount}.", amount=format_amount(escrow_units, asset)),
        )


def withdrawn_words(answer: dict[str, Any]) -> str:
    """What ``cyxwiz-node withdraw`` did, in a sentence."""
    parts = [
        tr("{amount} withdrawn, transaction {signature}.",
           amount=format_amount(each["units"], Asset(each["asset"])),
           signature=short_id(each["signature"], 16))
        for each in answer["withdrawn"]
    ]  # fmt: skip
    return " ".join(parts)
