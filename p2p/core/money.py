"""Money: integer base units of an asset. Never a float.

Conversions round in exactly one place each, named by its direction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from p2p.core.errors import UserError
from p2p.core.limits import AMOUNT_MAX_UNITS

USD_MICROS = 1_000_000
"""USD micros in a dollar."""
SECONDS_PER_HOUR = 3600
BPS = 10_000
"""Basis points in a whole."""

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?) ?%?\Z")
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?\Z")


class Asset(Enum):
    """What can be paid with."""

    SOL = "sol"
    USDC = "usdc"

    @property
    def decimals(self) -> int:
        """Base units per whole = 10 ** decimals (lamports; USDC micros)."""
        return 9 if self is Asset.SOL else 6

    @property
    def symbol(self) -> str:
        return self.value.upper()


@dataclass(frozen=True, slots=True)
class Split:
    """How a settled deposit is divided; the three parts sum to the deposit exactly."""

    node_units: int
    fee_units: int
    refund_units: int


def fee_of(used_units: int, fee_bps: int) -> int:
    """The platform's fee, ``floor(used × bps / 10 000)``: the rule of the escrow program."""
    return used_units * fee_bps // BPS


def format_fee(fee_bps: int) -> str:
    """As people write it: ``10 %``, ``2.5 %``."""
    return f"{fee_bps / 100:g} %"


def parse_fee(text: str) -> int:
    """Basis points of a percentage.

    :raises UserError: it is none, or finer than a hundredth of a percent.
    """
    found = _PERCENT.match(text.strip())
    if found is None:
        raise UserError("bad_fee", f"{text[:40]!r} is not a fee in percent.", hint="Write it like 10 or 2.5.")
    return int(Decimal(found[1]).scaleb(2))


def split(deposit_units: int, used_units: int, fee_bps: int) -> Split:
    """Divide a deposit: fee floored, the node gets the rest of what was used, the buyer what was not.

    :raises ValueError: not ``0 <= used <= deposit``.
    """
    if not 0 <= used_units <= deposit_units:
        raise ValueError(f"used {used_units} is not within the deposit {deposit_units}")
    fee = fee_of(used_units, fee_bps)
    return Split(used_units - fee, fee, deposit_units - used_units)


def cost_units(rate_units_per_hour: int, seconds: int) -> int:
    """Cost of ``seconds`` at a rate, rounded up to one base unit."""
    return -(-rate_units_per_hour * seconds // SECONDS_PER_HOUR)


def usd_to_units(usd_micros: int, asset: Asset, asset_price_usd_micros: int = USD_MICROS) -> int:
    """Convert a USD amount into base units at ``asset_price_usd_micros`` per whole asset, rounded up."""
    scale: int = 10**asset.decimals
    return -(-usd_micros * scale // asset_price_usd_micros)


def parse_amount(text: str, asset: Asset) -> int:
    """A decimal amount as people type it, in base units.

    :raises UserError: not a positive decimal, finer than the asset's smallest unit, or too large.
    """
    text = text.strip().replace("_", "")
    if not _AMOUNT.match(text):
        raise UserError(
            "bad_amount", f"{text[:40]!r} is not an amount.", hint="Write it like 2.5, without a unit."
        )
    scaled = Decimal(text).scaleb(asset.decimals)
    if scaled != scaled.to_integral_value():
        raise UserError("bad_amount", f"{asset.symbol} has only {asset.decimals} decimals; {text} has more.")
    if not 0 < scaled <= AMOUNT_MAX_UNITS:
        raise UserError("bad_amount", f"{text} {asset.symbol} is not an amount that can be moved.")
    return int(scaled)


def format_amount(units: int, asset: Asset, *, symbol: bool = True) -> str:
    """All decimals that the asset has, so that equal amounts look equal: ``1.500000 USDC``."""
    sign = "-" if units < 0 else ""
    whole, part = divmod(abs(units), 10**asset.decimals)
    text = f"{sign}{whole}.{part:0{asset.decimals}d}"
    return f"{text} {asset.symbol}" if symbol else text


def format_usd(usd_micros: int) -> str:
    """Dollars with cents, more decimals only where they are not zero: ``$0.40``, ``$0.0005``."""
    whole, part = divmod(usd_micros, USD_MICROS)
    digits = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"${whole}.{digits}"


def parse_usd(value: str | int | float | Decimal) -> int:
    """A dollar amount from a command line or JSON, as USD micros, rounded down.

    A JSON number is taken by its shortest decimal text, so ``0.1`` is exactly ten cents.

    :raises UserError: not a number, negative, or beyond a million dollars.
    """
    try:
        amount = Decimal(str(value).strip().removeprefix("$"))
    except ArithmeticError:
        raise UserError("bad_price", f"{str(value)[:40]!r} is not a price in dollars.") from None
    if not amount.is_finite() or not 0 <= amount <= 1_000_000:
        raise UserError("bad_price", f"{str(value)[:40]!r} is not a price in dollars.")
    return int(amount * USD_MICROS)
