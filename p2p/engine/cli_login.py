"""``cyxwiz login``."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2p.chain.browser import SignedIn, SignIn, SignTransactions
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.owners import Owner, owner_for
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError
from p2p.core.ids import Wallet
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.engine import render
from p2p.engine.cli_money import ask, print_balances, wallet_requests
from p2p.engine.cli_sessions import Limits, change_limits, limit_options
from p2p.engine.client import EngineClient
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home, load_network_config
from p2p.local.wallet_options import wallet_options


@click.command()
@wallet_options
@limit_options
@json_option
def login(choice: WalletChoice | None, limits: Limits, as_json: bool) -> None:
    """Log in with a wallet, and let this machine's session keys spend its escrow balance.

    Without options, a page opens in the browser that has your wallet, and the keys may spend all that is in
    escrow, for 30 days.
    """
    choice = choice or WalletChoice(WalletKind.BROWSER)
    renew = change_limits(limits)
    if choice.kind is WalletKind.KEYPAIR:
        found = ask("login", keypair=str(choice.file), renew=renew)
    else:
        found = cli.run_async(_log_in, find_home(), owner_for(choice, cli.say), choice.file, renew)
    if as_json:
        cli.print_json(found)
        return
    cli.out.print(Text(f"Logged in as {found['wallet']} until {render.moment(found['expires_at_s'])}."))
    print_balances(found)


async def _log_in(home: Home, owner: Owner, keystore: Path | None, renew: bool) -> dict[str, Any]:
    """One page, or one password: the login, and what the session keys need to go on."""
    config = ChainConfig.from_table(load_network_config(home).chain)
    client = EngineClient(home)
    await client.ensure_running()
    reply: dict[str, Any] = {}

    async def text(wallet: Wallet, domain: str) -> str:
        found = await client.call("login_challenge", wallet=wallet, domain=domain)
        return str(found["text"])

    async def accept(answer: SignedIn) -> None:
        signature = base64.b64encode(answer.signature).decode()
        file = None if keystore is None else str(keystore)
        found = await client.call(
            "login_finish", wallet=answer.wallet, text=answer.text, signature=signature, keystore=file
        )
        reply.update(found, wallet=answer.wallet)

    async with EscrowClient(config, SYSTEM_CLOCK) as chain:
        requests = wallet_requests(chain, client)

        async def then(wallet: Wallet) -> Sequence[SignTransactions]:
            return await requests.renewal(wallet, always=renew)

        try:
            await owner.answer([SignIn(config.cluster, text, accept, then, owner.wallet)])
        except (CyxWizError, BaseExceptionGroup):
            if reply:
                words = f"You are logged in as {reply['wallet']}, but this computer cannot pay for jobs yet."
                cli.err.print(Text(words))
            raise
    await client.call("wallet_changed")
    return {**reply, **await client.call("wallet_balance")}
