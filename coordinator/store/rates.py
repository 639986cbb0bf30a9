"""Rates and prices, which are data."""

from __future__ import annotations

from coordinator.domain.prices import SolPrice
from coordinator.domain.settings import SolFeed
from coordinator.store.database import Row, Tx
from p2p.core.errors import Bug


def hourly(tx: Tx) -> dict[str, int]:
    """USD micros an hour of each class."""
    return {row["gpu_class"]: row["usd_micros_per_hour"] for row in tx.rows("rates.all")}


def set_rate(tx: Tx, gpu_class: str, usd_micros_per_hour: int, now_s: float) -> None:
    tx.execute("rates.put", gpu_class=gpu_class, usd_micros=usd_micros_per_hour, now_s=now_s)


def admin_sol_price(tx: Tx) -> tuple[int, float]:
    """USD micros per SOL as the operator set them, and when; 0: the default of a new database."""
    row = tx.row("rates.sol")
    if row is None:
        raise Bug("the price of SOL is missing, which a migration sets")
    return row["usd_micros"], row["set_at_s"]


def set_sol_price(tx: Tx, usd_micros: int, now_s: float) -> None:
    tx.execute("rates.put_sol", usd_micros=usd_micros, now_s=now_s)


def keep_seen(tx: Tx, source: SolFeed, price: SolPrice | None, fault: str, now_s: float) -> None:
    """Write down what was seen of the price of SOL, and why nothing is quoted by it (empty: it is)."""
    tx.execute(
        "rates.put_seen",
        source=source.value,
        usd_micros=price.usd_micros if price else None,
        confidence_usd_micros=price.confidence_usd_micros if price else None,
        age_s=price.age_s if price else None,
        fault=fault,
        now_s=now_s,
    )


def seen(tx: Tx) -> Row | None:
    """What was seen last."""
    return tx.row("rates.seen")
