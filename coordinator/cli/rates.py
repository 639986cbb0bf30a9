"""``rates list``, ``rates set``."""

from __future__ import annotations

import re
from typing import Any

import click

from coordinator.cli.common import database, dsn_option, when
from coordinator.domain.settings import SolFeed
from coordinator.store import rates as store_rates
from coordinator.store.database import Tx
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import UserError
from p2p.core.limits import PRICE_MAX_USD_MICROS, PRICE_SEEN_S
from p2p.core.money import format_usd, parse_usd
from p2p.local import cli as frame

_CLASS = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_RESERVED = ("any", "usdc")


@click.group()
def rates() -> None:
    """What an hour on each GPU class costs, and what a SOL is worth."""


@rates.command("list")
@dsn_option
@frame.json_option
def list_rates(dsn: str | None, as_json: bool) -> None:
    """All rates, in dollars an hour; the price of a SOL, and why nothing is quoted by it if that is so."""
    with database(dsn) as db:
        rows, sol = db.transact(lambda tx: (tx.rows("rates.all"), sol_price(tx)))
    if as_json:
        usd_micros = sol["set_usd_micros"] if sol["source"] is None else sol["usd_micros"]
        frame.print_json({"rates": [dict(row) for row in rows], "sol_usd_micros": usd_micros, "sol": sol})
        return
    table = [
        (row["gpu_class"], format_usd(row["usd_micros_per_hour"]), _set_when(row["set_at_s"])) for row in rows
    ]
    frame.print_table(("class", ">an hour", "set"), table, "There are no rates.")
    frame.out.print()
    print_sol_price(sol)


def _set_when(at_s: float) -> str:
    return when(at_s) if at_s else "default"


def sol_price(tx: Tx) -> dict[str, Any]:
    """The price of SOL as the running coordinator saw it last; before one ran, as it was set by hand."""
    now_s = SYSTEM_CLOCK.now_s()
    set_usd_micros, set_at_s = store_rates.admin_sol_price(tx)
    seen = store_rates.seen(tx)
    found: dict[str, Any] = {"set_usd_micros": set_usd_micros, "set_at_s": set_at_s}
    if seen is None:
        return found | {"source": None, "fault": None, "watched": False}
    watched = now_s - seen["seen_at_s"] <= PRICE_SEEN_S
    if seen["source"] == SolFeed.ADMIN.value:
        age_s = now_s - set_at_s if set_at_s else None
        return found | dict(seen) | {"usd_micros": set_usd_micros, "age_s": age_s, "watched": watched}
    age_s = None if seen["age_s"] is None else seen["age_s"] + now_s - seen["seen_at_s"]
    return found | dict(seen) | {"age_s": age_s, "watched": watched}


def sol_words(sol: dict[str, Any]) -> str:
    """One line: price, how sure, how old, from where."""
    if sol["source"] in (None, SolFeed.ADMIN.value):
        since = "by default" if not sol["set_at_s"] else f"since {when(sol['set_at_s'])}"
        return f"{format_usd(sol['set_usd_micros'])}, set by hand {since} (`rates set sol PRICE`)"
    if sol["usd_micros"] is None:
        return "unknown: the Pyth feed cannot be read"
    sure = f"± {format_usd(sol['confidence_usd_micros'])}"
    return f"{format_usd(sol['usd_micros'])} {sure}, {sol['age_s']:.0f} s old, from the Pyth feed"


def print_sol_price(sol: dict[str, Any]) -> None:
    """The price of SOL, and in red that quotes in SOL are stopped."""
    frame.out.print(f"1 SOL = {sol_words(sol)}", markup=False)
    if sol["source"] is not None and not sol["watched"]:
        frame.out.print(f"Seen {when(sol['seen_at_s'])}; no coordinator has looked since.", markup=False)
    elif sol["fault"]:
        frame.out.print(
            f"Quotes in SOL are stopped: its price {sol['fault']}.", style="bold red", markup=False
        )


@rates.command("set")
@click.argument("name", metavar="CLASS|sol")
@click.argument("price", metavar="DOLLARS")
@dsn_option
def set_rate(name: str, price: str, dsn: str | None) -> None:
    """Set the hourly rate of a class, or with `sol` the price of a SOL. Jobs already quoted keep theirs."""
    name = name.lower()
    usd_micros = parse_usd(price)
    if not 0 < usd_micros <= PRICE_MAX_USD_MICROS:
        raise UserError("bad_price", "A price must be more than 0.", "No rate was changed.")
    if name in _RESERVED or not _CLASS.match(name):
        raise UserError(
            "bad_class",
            f"{name[:40]!r} cannot be a GPU class.",
            "No rate was changed.",
            "A class is like rtx4090: lower-case letters, digits, - and _.",
        )
    now_s = SYSTEM_CLOCK.now_s()
    with database(dsn) as db:
        if name != "sol":
            db.transact(lambda tx: store_rates.set_rate(tx, name, usd_micros, now_s))
            seen = None
        else:
            db.transact(lambda tx: store_rates.set_sol_price(tx, usd_micros, now_s))
            seen = db.transact(store_rates.seen)
    unit = "a SOL" if name == "sol" else "an hour"
    click.echo(f"{name}: {format_usd(usd_micros)} {unit}")
    if seen is not None and seen["source"] == SolFeed.PYTH.value:
        click.echo("It is kept, but quotes go by the Pyth feed here (sol_feed in [prices] of config.toml).")
