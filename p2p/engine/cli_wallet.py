"""``cyxwiz wallet …``: money in and out of the escrow, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from p2p.chain.browser import SignTransactions
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount, parse_amount
from p2p.core.wallet_choice import WalletKind
from p2p.engine.cli_faucet import faucet
from p2p.engine.cli_history import history
from p2p.engine.cli_keystore import create, export, import_wallet, password
from p2p.engine.cli_money import ask, owner_of, print_balances, print_moved, sign_here
from p2p.engine.cli_reclaim import reclaim
from p2p.engine.cli_sessions import sessions
from p2p.engine.cli_view import print_pairs
from p2p.engine.wallet_requests import WalletRequests
from p2p.local import cli
from p2p.local.cli import ASSETS, agreed, json_option


def _asset_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--asset", type=ASSETS, default=Asset.USDC.value, show_default=True)(function)


@click.group()
def wallet() -> None:
    """Money: what there is, in and out of the escrow; and wallets of your own."""


for _command in (create, import_wallet, export, password, sessions, reclaim, history, faucet):
    wallet.add_command(_command)


@wallet.command()
@json_option
def address(as_json: bool) -> None:
    """Where to send money to: your wallet's own address. Then `cyxwiz wallet deposit`."""
    found = ask("deposit_address")
    if as_json:
        cli.print_json(found)
        return
    print_pairs(
        [
            ("address", found["wallet"]),
            ("network", f"{found['cluster']}: what is sent on another one does not arrive"),
            *((Asset(each["asset"]).symbol, _token_words(each)) for each in found["assets"]),
        ]
    )


def _token_words(each: dict[str, Any]) -> str:
    return f"the token {each['mint']}" if each["mint"] else "as any transfer; some is needed for fees"


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
