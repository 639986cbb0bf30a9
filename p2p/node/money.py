"""The payout wallet's money, moved by the command itself: the agent is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2p.chain.browser import SignedTransactions, SignTransactions, explorer_link
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.owners import Owner, owner_for
from p2p.chain.withdrawing import withdrawal
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import Refused, UserError
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local.cli import agreed, say
from p2p.local.home import load_network_config, make_private
from p2p.node.payout import Payout, load_payout
from p2p.node.settings import load_settings, settings_path


async def balance(home: Home) -> dict[str, Any]:
    """Of the payout wallet: in escrow and outside of it.

    :raises CyxWizError: the settings or the wallet cannot be read; the chain cannot be reached.
    """
    async with _chain(home) as chain:
        return await _balances(chain, _payout(home).wallet)


async def withdraw(
    home: Home, choice: WalletChoice | None, assets: Sequence[Asset], units: int | None, yes: bool
) -> dict[str, Any] | None:
    """From escrow into the wallet; None: the person said no.

    :raises CyxWizError: what stands against it, which is said before anybody is asked to sign.
    """
    owner = _owner(home, choice)
    assert owner.wallet is not None  # known of a payout wallet, and of a file
    async with _chain(home) as chain:
        planned = await _plan(chain, owner.wallet, assets, units)
        amounts = " and ".join(format_amount(moved, asset) for asset, _, moved in planned)
        if not agreed(owner.shows_what_it_signs, yes, f"Withdraw {amounts} to {owner.wallet}?"):
            return None
        answers = await owner.answer([request for _, request, _ in planned])
        withdrawn = [
            {
                "asset": asset.value,
                "decimals": asset.decimals,
                "units": moved,
                "signature": _signature(answer),
                "explorer": explorer_link(_signature(answer), chain.chain.cluster),
            }
            for (asset, _, moved), answer in zip(planned, answers, strict=True)
        ]
        return {"withdrawn": withdrawn, **await _balances(chain, owner.wallet)}


def _payout(home: Home) -> Payout:
    folder = make_private(home.node.folder)
    return load_payout(folder, load_settings(settings_path(folder)))


def _owner(home: Home, choice: WalletChoice | None) -> Owner:
    payout = _payout(home)
    if choice is None:
        return owner_for(payout.choice, say, payout.wallet)
    if choice.kind is WalletKind.BROWSER:
        if payout.choice.kind is not WalletKind.BROWSER:
            raise UserError(
                "not_the_browser",
                "This node is not paid to a wallet in the browser.",
                "Nothing was moved.",
                f"It is paid to {payout.wallet}: leave --browser out.",
            )
        return owner_for(choice, say, payout.wallet)
    return owner_for(choice, say)


async def _plan(
    chain: EscrowClient, wallet: Wallet, assets: Sequence[Asset], units: int | None
) -> list[tuple[Asset, SignTransactions, int]]:
    """What is to be signed; every refusal comes before anybody is asked."""
    if len(assets) > 1:
        assets = [asset for asset in assets if await chain.balance(wallet, asset)]
        if not assets:
            raise Refused(
                "balance_too_low",
                f"The wallet {wallet} has nothing in escrow.",
                "Nothing was moved.",
                "What it has earned, and what of that is not paid yet: cyxwiz-node earnings",
            )
    planned = []
    for asset in assets:
        request, moved = await withdrawal(chain, wallet, asset, units)
        await request.build(wallet)
        planned.append((asset, request, moved))
    return planned


def _signature(answer: object) -> str:
    assert isinstance(answer, SignedTransactions)
    return answer.transactions[-1].signature


def _chain(home: Home) -> EscrowClient:
    return EscrowClient(ChainConfig.from_table(load_network_config(home).chain), SYSTEM_CLOCK)


async def _balances(chain: EscrowClient, wallet: Wallet) -> dict[str, Any]:
    found = [
        {
            "asset": asset.value,
            "decimals": asset.decimals,
            "escrow_units": await chain.balance(wallet, asset),
            "wallet_units": await chain.wallet_balance(wallet, asset),
        }
        for asset in Asset
    ]
    return {"wallet": wallet, "cluster": chain.chain.cluster, "assets": found}
