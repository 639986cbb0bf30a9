"""``cyxwiz login`` and ``cyxwiz wallet …``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2p.core.money import Asset, format_amount, parse_amount
from p2p.engine import render
from p2p.engine.client import EngineClient
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home

_NOTHING = "Nothing was moved."
_ASSETS = click.Choice([asset.value for asset in Asset])


def _asset_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--asset", type=_ASSETS, default=Asset.USDC.value, show_default=True)(function)


@click.command()
@click.option("--keypair", type=click.Path(path_type=Path), required=True, help="Solana keypair file.")
@json_option
def login(keypair: Path, as_json: bool) -> None:
    """Log in with a Solana keypair, and let this machine's session keys spend the escrow balance."""
    found = _ask("login", keypair=str(keypair.expanduser().absolute()))
    if as_json:
        cli.print_json(found)
        return
    cli.out.print(Text(f"Logged in as {found['wallet']} until {render.moment(found['expires_at_s'])}."))
    _print_balances(found)


@click.group()
def wallet() -> None:
    """Money: what there is, in and out of the escrow."""


@wallet.command()
@json_option
def balance(as_json: bool) -> None:
    """Balances in escrow and in the wallet, and what the session keys may spend."""
    found = _ask("wallet_balance")
    if as_json:
        cli.print_json(found)
    else:
        _print_balances(found)


@wallet.command()
@click.argument("amount")
@_asset_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def deposit(amount: str, asset: str, yes: bool, as_json: bool) -> int:
    """Move AMOUNT from the wallet into the escrow balance, from which jobs are paid."""
    units = parse_amount(amount, Asset(asset))
    if not (
        yes or cli.confirm(f"Deposit {format_amount(units, Asset(asset))} into escrow?", "Nothing was moved.")
    ):
        return 1
    _print_moved(_ask("wallet_deposit", asset=asset, units=units), as_json)
    return 0


@wallet.command()
@click.argument("amount")
@_asset_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def withdraw(amount: str, asset: str, yes: bool, as_json: bool) -> int:
    """Move AMOUNT, or ``all``, from the escrow balance back into the wallet."""
    params: dict[str, Any] = {"asset": asset}
    if amount.lower() != "all":
        params["units"] = parse_amount(amount, Asset(asset))
    if not (
        yes or cli.confirm(f"Withdraw {amount} {Asset(asset).symbol} to your wallet?", "Nothing was moved.")
    ):
        return 1
    _print_moved(_ask("wallet_withdraw", **params), as_json)
    return 0


@wallet.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
def history(limit: int, as_json: bool) -> None:
    """The wallet's escrow transactions on chain, newest first."""
    found = _ask("wallet_history", limit=limit)
    if as_json:
        cli.print_json(found)
        return
    rows = [
        [
            render.moment(entry["at_s"]),
            entry["kind"],
            format_amount(entry["units"], Asset(entry["asset"])) if entry["asset"] else "",
            render.short(entry["job_id"] or ""),
            entry["signature"],
        ]
        for entry in found
    ]
    cli.print_table(("AT", "WHAT", ">AMOUNT", "JOB", "SIGNATURE"), rows, "Nothing yet.")


def _print_moved(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        cli.print_json(found)
        return
    cli.out.print(Text(f"Done: transaction {found['signature']}"))
    _print_balances(found)


def _print_balances(found: dict[str, Any]) -> None:
    rows = []
    for entry in found["assets"]:
        asset, session = Asset(entry["asset"]), entry["session"]
        spend = "" if session is None else format_amount(session["remaining_units"], asset, symbol=False)
        rows.append(
            [
                asset.symbol,
                format_amount(entry["escrow_units"], asset, symbol=False),
                format_amount(entry["wallet_units"], asset, symbol=False),
                spend,
                "" if session is None else render.moment(session["expires_at_s"]),
            ]
        )
    cli.out.print(Text(f"wallet {found['wallet']} on {found['cluster']}"))
    cli.print_table(("ASSET", ">IN ESCROW", ">IN WALLET", ">SESSION KEY MAY SPEND", "UNTIL"), rows, "")


def _ask(name: str, **params: Any) -> Any:
    async def ask() -> Any:
        client = EngineClient(find_home())
        await client.ensure_running()
        return await client.call(name, **params)

    return cli.run_async(ask)
