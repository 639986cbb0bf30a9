"""``cyxwiz wallet faucet``: test money, where the network gives it."""

from __future__ import annotations

import click
from rich.text import Text

from p2p.chain.config import ChainConfig
from p2p.chain.faucet import faucet as give
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount, parse_amount
from p2p.engine.cli_money import ask
from p2p.local import cli
from p2p.local.cli import ASSETS, json_option
from p2p.local.home import find_home, load_network_config

_GIVES = {"localnet": tuple(Asset), "devnet": (Asset.SOL,)}


@click.command()
@click.argument("amount")
@click.option("--asset", type=ASSETS, default=Asset.USDC.value, show_default=True)
@json_option
def faucet(amount: str, asset: str, as_json: bool) -> None:
    """Have the test network give AMOUNT to the wallet: any of a local network, SOL of the devnet."""
    chosen = Asset(asset)
    units = parse_amount(amount, chosen)
    config = ChainConfig.from_table(load_network_config(find_home()).chain)
    if chosen not in _GIVES.get(config.cluster, ()):
        raise Refused(
            "no_faucet",
            f"The network {config.cluster} gives no {chosen.symbol} away.",
            "Nothing was moved.",
            f"Send {chosen.symbol} to the wallet from an exchange or another wallet.",
        )
    wallet = Wallet(ask("account")["wallet"])
    signature = cli.run_async(give, config.rpc_urls[0], wallet, chosen, units)
    ask("wallet_changed")
    found = {"signature": signature, **ask("wallet_balance")}
    if as_json:
        cli.print_json(found)
    else:
        cli.out.print(Text(f"{format_amount(units, chosen)} are in the wallet {wallet}."))
