"""``cyxwiz wallet …``: money in and out of the escrow, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from p2p.chain.browser import SignTransactions
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount, parse_amount
from p2p.core.wallet_choice import WalletKind
from p2p.engine import render
from p2p.engine.cli_keystore import create, export, import_wallet, password
from p2p.engine.cli_money import ask, owner_of, print_balances, print_moved, sign_here
from p2p.engine.cli_reclaim import reclaim
from p2p.engine.cli_sessions import sessions
from p2p.engine.wallet_requests import WalletRequests
from p2p.local import cli
from p2p.local.cli import agreed, json_option
from p2p.local.csv_text import csv_text, safe_cell, utc_cell

_ASSETS = click.Choice([asset.value for asset in Asset])
_CSV_COLUMNS = ("at", "what", "asset", "units", "amount", "job", "name", "signature", "explorer")


def _asset_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--asset", type=_ASSETS, default=Asset.USDC.value, show_default=True)(function)


@click.group()
def wallet() -> None:
    """Money: what there is, in and out of the escrow; and wallets of your own."""


for _command in (create, import_wallet, export, password, sessions, reclaim):
    wallet.add_command(_command)


@wallet.command()
@json_option
def balance(as_json: bool) -> None:
    """Balances in escrow and in the wallet, and what the session keys may spend."""
    found = ask("wallet_balance")
    if as_json:
        cli.print_json(found)
    else:
        print_balances(found)


@wallet.command()
@click.argument("amount")
@_asset_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def deposit(amount: str, asset: str, yes: bool, as_json: bool) -> int:
    """Move AMOUNT from the wallet into the escrow balance, from which jobs are paid."""
    chosen = Asset(asset)
    units = parse_amount(amount, chosen)
    account = ask("account")
    owner = owner_of(account)
    if not agreed(owner.shows_what_it_signs, yes, f"Deposit {format_amount(units, chosen)} into escrow?"):
        return 1
    if account["kind"] == WalletKind.KEYPAIR.value:
        found = ask("wallet_deposit", asset=asset, units=units)
    else:

        async def make(requests: WalletRequests, wallet: Wallet) -> Sequence[SignTransactions]:
            return [requests.deposit(wallet, chosen, units)]

        (signature,) = sign_here(owner, Wallet(account["wallet"]), make)
        found = {"signature": signature, **ask("wallet_balance")}
    print_moved(found, as_json)
    return 0


@wallet.command()
@click.argument("amount")
@_asset_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def withdraw(amount: str, asset: str, yes: bool, as_json: bool) -> int:
    """Move AMOUNT, or ``all``, from the escrow balance back into the wallet."""
    chosen = Asset(asset)
    units = None if amount.lower() == "all" else parse_amount(amount, chosen)
    account = ask("account")
    owner = owner_of(account)
    if not agreed(owner.shows_what_it_signs, yes, f"Withdraw {amount} {chosen.symbol} to your wallet?"):
        return 1
    if account["kind"] == WalletKind.KEYPAIR.value:
        found = ask("wallet_withdraw", asset=asset, **({} if units is None else {"units": units}))
    else:
        moved: list[int] = []

        async def make(requests: WalletRequests, wallet: Wallet) -> Sequence[SignTransactions]:
            request, wanted = await requests.withdraw(wallet, chosen, units)
            moved.append(wanted)
            return [request]

        (signature,) = sign_here(owner, Wallet(account["wallet"]), make)
        found = {"signature": signature, "units": moved[0], **ask("wallet_balance")}
    print_moved(found, as_json)
    return 0


@wallet.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet or the books.")
@json_option
def history(limit: int, as_csv: bool, as_json: bool) -> None:
    """The wallet's escrow transactions on chain, newest first."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    found = ask("wallet_history", limit=limit)
    if as_json:
        cli.print_json(found)
    elif as_csv:
        click.echo(history_csv(found), nl=False)
    else:
        rows = [
            [
                render.moment(entry["at_s"]),
                entry["kind"],
                format_amount(entry["units"], Asset(entry["asset"])) if entry["asset"] else "",
                render.short(entry["job_id"] or ""),
                entry["job_name"] or "",
                entry["explorer"] or entry["signature"],
            ]
            for entry in found
        ]
        cli.print_table(("AT", "WHAT", ">AMOUNT", "JOB", "NAME", "TRANSACTION"), rows, "Nothing yet.")


def history_csv(entries: Sequence[dict[str, Any]]) -> str:
    """One line for each entry; times are UTC, amounts in base units and in whole ones."""
    return csv_text(_CSV_COLUMNS, [_csv_row(entry) for entry in entries])


def _csv_row(entry: dict[str, Any]) -> list[object]:
    asset = Asset(entry["asset"]) if entry["asset"] else None
    return [
        utc_cell(entry["at_s"]),
        entry["kind"],
        "" if asset is None else asset.symbol,
        "" if asset is None else entry["units"],
        "" if asset is None else format_amount(entry["units"], asset, symbol=False),
        entry["job_id"] or "",
        safe_cell(entry["job_name"] or ""),
        entry["signature"],
        entry["explorer"] or "",
    ]
