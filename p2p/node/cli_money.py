"""``cyxwiz-node balance`` and ``withdraw``: the payout wallet's money. The agent is not needed.

What does the work is imported when it is called for, because the chain takes its time to load.
"""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.core.money import Asset, format_amount, parse_amount
from p2p.core.wallet_choice import WalletChoice
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.local.wallet_options import wallet_options


@click.command()
@frame.json_option
def balance(as_json: bool) -> None:
    """What the payout wallet has in escrow, where earnings arrive, and outside of it."""
    from p2p.node import money

    found = frame.run_async(money.balance, find_home())
    if as_json:
        frame.print_json(found)
    else:
        _print_balance(found)


@click.command()
@click.argument("amount", required=False)
@click.option("--asset", type=frame.ASSETS, help="Default: usdc; with --all: each that there is some of.")
@click.option("--all", "everything", is_flag=True, help="All that is in escrow.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@wallet_options
@frame.json_option
def withdraw(
    amount: str | None,
    asset: str | None,
    everything: bool,
    yes: bool,
    choice: WalletChoice | None,
    as_json: bool,
) -> int:
    """Move AMOUNT from the payout wallet's escrow balance into the wallet itself.

    The wallet signs: a keypair file at once, a keystore after its password, a wallet in the browser on a
    page. With --keystore or --keypair, another wallet than the payout wallet, such as one that was paid
    earlier.
    """
    if (amount is None) is not everything:
        raise click.UsageError("Name an AMOUNT, or --all.")
    assets = [Asset(asset)] if asset else list(Asset) if everything else [Asset.USDC]
    units = None if amount is None else parse_amount(amount, assets[0])
    from p2p.node import money

    found = frame.run_async(money.withdraw, find_home(), choice, assets, units, yes)
    if found is None:
        return 1
    if as_json:
        frame.print_json(found)
        return 0
    for each in found["withdrawn"]:
        amount_moved = format_amount(each["units"], Asset(each["asset"]))
        frame.out.print(Text(f"{amount_moved} withdrawn: {each['explorer'] or each['signature']}"))
    _print_balance(found)
    return 0


def _print_balance(found: dict[str, Any]) -> None:
    frame.out.print(Text(f"wallet {found['wallet']} on {found['cluster']}"))
    rows = []
    for entry in found["assets"]:
        asset = Asset(entry["asset"])
        amounts = (entry["escrow_units"], entry["wallet_units"])
        rows.append([asset.symbol, *(format_amount(units, asset, symbol=False) for units in amounts)])
    frame.print_table(("asset", ">in escrow", ">in wallet"), rows, "")
