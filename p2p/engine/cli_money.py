"""What the money commands share: the agent's answers, the wallet's signature, balances on the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from p2p.chain.browser import SignedTransactions, SignTransactions
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.owners import Owner, owner_for
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.engine import render
from p2p.engine.client import EngineClient
from p2p.engine.session_limits import SessionLimits
from p2p.engine.wallet_requests import SessionKeys, WalletRequests
from p2p.local import cli
from p2p.local.home import find_home, load_network_config

Make = Callable[[WalletRequests, Wallet], Awaitable[Sequence[SignTransactions]]]


def ask(name: str, **params: Any) -> Any:
    """One command to the agent, which is started if need be."""

    async def asking() -> Any:
        client = EngineClient(find_home())
        await client.ensure_running()
        return await client.call(name, **params)

    return cli.run_async(asking)


def owner_of(account: Mapping[str, Any]) -> Owner:
    """Of the wallet that the agent says is logged in (its command ``account``).

    :raises UserError: the wallet's file is gone or broken.
    """
    file = Path(account["file"]) if account["file"] else None
    choice = WalletChoice(WalletKind(account["kind"]), file)
    return owner_for(choice, cli.say, Wallet(account["wallet"]))


def sign_here(owner: Owner, wallet: Wallet, make: Make) -> list[str]:
    """Have the wallet sign what ``make`` gives; the signatures of the transactions.

    :raises CyxWizError: what stands against it, which is said before anybody is asked to sign.
    """
    return cli.run_async(_sign_here, owner, wallet, make)


async def _sign_here(owner: Owner, wallet: Wallet, make: Make) -> list[str]:
    home = find_home()
    config = ChainConfig.from_table(load_network_config(home).chain)
    client = EngineClient(home)
    await client.ensure_running()
    async with EscrowClient(config, SYSTEM_CLOCK) as chain:
        requests = await make(wallet_requests(chain, client), wallet)
        for request in requests:
            await request.build(wallet)
        answers = await owner.answer(requests)
    await client.call("wallet_changed")
    return [each.signature for answer in answers for each in _transactions(answer)]


def _transactions(answer: object) -> Sequence[Any]:
    return answer.transactions if isinstance(answer, SignedTransactions) else ()


def session_keys(client: EngineClient) -> SessionKeys:
    """This computer's session keys, as its agent has them."""

    async def found(wallet: Wallet) -> Mapping[Asset, Wallet]:
        keys = await client.call("session_keys", wallet=wallet)
        return {Asset(name): Wallet(key) for name, key in keys.items()}

    return found


def wallet_requests(chain: EscrowClient, client: EngineClient) -> WalletRequests:
    """What a wallet that signs here is asked, with what its agent knows."""

    async def limits() -> SessionLimits:
        return SessionLimits.from_json(await client.call("session_limits"))

    async def is_sponsored() -> bool:
        return bool((await client.call("sponsorship"))["offered"])

    return WalletRequests(chain, session_keys(client), limits, is_sponsored, SYSTEM_CLOCK)


def print_moved(found: dict[str, Any], as_json: bool) -> None:
    """A deposit or withdrawal that is done."""
    if as_json:
        cli.print_json(found)
        return
    cli.out.print(Text(f"Done: transaction {found['signature']}"))
    print_balances(found)


def print_balances(found: dict[str, Any]) -> None:
    """The agent's ``wallet_balance``, as a table."""
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
