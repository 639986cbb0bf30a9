"""Rates and prices, which are data."""

from __future__ import annotations

from coordinator.domain.pricing import PriceList
from coordinator.store.database import Tx
from p2p.core.errors import Bug


def price_list(tx: Tx) -> PriceList:
    """Today's rates."""
    sol = tx.row("rates.sol")
    if sol is None:
        raise Bug("the price of SOL is missing, which a migration sets")
    rates = {row["gpu_class"]: row["usd_micros_per_hour"] for row in tx.rows("rates.all")}
    return PriceList(rates, sol["usd_micros"])


def set_rate(tx: Tx, gpu_class: str, usd_micros_per_hour: int, now_s: float) -> None:
    tx.execute("rates.put", gpu_class=gpu_class, usd_micros=usd_micros_per_hour, now_s=now_s)


def set_sol_price(tx: Tx, usd_micros: int, now_s: float) -> None:
    tx.execute("rates.put_sol", usd_micros=usd_micros, now_s=now_s)
