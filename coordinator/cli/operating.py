"""How an operator's action on chain is shown, agreed to and signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import WALLET_FEE_LAMPORTS
from p2p.core.money import Asset, format_amount
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.local.wallet_options import wallet_options

if TYPE_CHECKING:  # the chain takes a second to load that `--help` should not take
    from p2p.chain.administration import Action
    from p2p.chain.escrow import EscrowClient
    from p2p.chain.owners import Owner

UNTOUCHED = "Nothing was signed, and nothing was changed."


def action_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every action takes: the wallet that signs, ``--yes`` and ``--json``."""
    asked = click.option("--yes", is_flag=True, help="Do not ask.")(frame.json_option(function))
    return wallet_options(asked)


def owner_of(choice: WalletChoice | None) -> Owner:
    """The wallet that was chosen; without a choice, the one in the browser."""
    from p2p.chain.owners import owner_for

    return owner_for(choice or WalletChoice(WalletKind.BROWSER), frame.say)


def act(
    choice: WalletChoice | None,
    yes: bool,
    as_json: bool,
    find: Callable[[EscrowClient], Awaitable[Action]],
) -> int:
    """Show what would change, have it signed, and say what was done."""
    return print_done(frame.run_async(_act, owner_of(choice), yes, find), as_json)


async def _act(owner: Owner, yes: bool, find: Callable[[EscrowClient], Awaitable[Action]]) -> str | None:
    from p2p.chain.browser import SignedTransactions

    async with open_chain() as chain:
        action = await find(chain)
        await check_signer(chain, owner, action.office, action.holder)
        for line in (*action.changes, action.keeps):
            frame.say(line)
        question = f"Sign this as the {action.office}, {action.holder}?"
        if not frame.agreed(owner.shows_what_it_signs, yes, question, UNTOUCHED):
            return None
        (answer,) = await owner.answer([action.request])
        assert isinstance(answer, SignedTransactions)
        return answer.transactions[-1].signature


def open_chain() -> EscrowClient:
    """A client of the chain that this home's configuration names, to be entered."""
    from p2p.chain.config import ChainConfig
    from p2p.chain.escrow import EscrowClient

    return EscrowClient(ChainConfig.load(find_home().config), SYSTEM_CLOCK)


async def check_signer(chain: EscrowClient, owner: Owner, office: str, holder: Wallet) -> None:
    """Whether the wallet is the right one, and can pay the network's fee, before anybody is asked to sign.

    :raises Refused: ``wrong_key`` or ``sol_too_low``.
    """
    if owner.wallet not in (None, holder):
        raise Refused(
            "wrong_key",
            f"Only the {office} can sign this: {holder}. The wallet that was named is {owner.wallet}.",
            UNTOUCHED,
            f"Name the wallet {holder}: --browser, --keystore FILE or --keypair FILE.",
        )
    await check_sol(chain, holder, WALLET_FEE_LAMPORTS)


async def check_sol(chain: EscrowClient, wallet: Wallet, needed: int) -> None:
    """:raises Refused: ``sol_too_low``."""
    has = await chain.wallet_balance(wallet, Asset.SOL)
    if has < needed:
        raise Refused(
            "sol_too_low",
            f"The wallet {wallet} has {format_amount(has, Asset.SOL)}; "
            f"{format_amount(needed, Asset.SOL)} are needed for fees and rent.",
            UNTOUCHED,
            "Send some SOL to it.",
        )


def print_done(signature: str | None, as_json: bool) -> int:
    """The transaction; nothing was signed if there is none."""
    if signature is None:
        return 1
    if as_json:
        frame.print_json({"signature": signature})
    else:
        frame.out.print(f"Done: transaction {signature}", markup=False)
    return 0
