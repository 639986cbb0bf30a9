"""From a wallet's escrow balance into the wallet itself, and what may stand against it."""

from __future__ import annotations

from p2p.chain.browser import SignTransactions, withdraw_request
from p2p.chain.escrow import EscrowClient
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import WALLET_FEE_LAMPORTS
from p2p.core.money import Asset, format_amount


async def withdrawal(
    chain: EscrowClient, wallet: Wallet, asset: Asset, units: int | None
) -> tuple[SignTransactions, int]:
    """What the wallet is to sign, and how much it moves; all of the balance without ``units``.

    :raises Refused: ``balance_too_low`` or ``sol_too_low``.
    """
    available = await chain.balance(wallet, asset)
    wanted = available if units is None else units
    if wanted > available or available == 0:
        raise Refused(
            "balance_too_low",
            f"Your escrow balance is {format_amount(available, asset)}.",
            "Nothing was moved. What open jobs hold comes back when these end.",
            "Withdraw at most the balance.",
        )
    await require_sol(chain, wallet, 0)
    return withdraw_request(chain, wallet, asset, wanted), wanted


async def require_sol(chain: EscrowClient, wallet: Wallet, lamports: int) -> None:
    """Whether a wallet can pay ``lamports`` and the fees beside.

    :raises Refused: ``sol_too_low``.
    """
    has = await chain.wallet_balance(wallet, Asset.SOL)
    needed = lamports + WALLET_FEE_LAMPORTS
    if has < needed:
        raise Refused(
            "sol_too_low",
            f"The wallet {wallet} has {format_amount(has, Asset.SOL)}; "
            f"{format_amount(needed, Asset.SOL)} are needed, fees and rent included.",
            "Nothing was moved.",
            f"Send {format_amount(needed - has, Asset.SOL)} or more to {wallet}: "
            "fees on Solana are always paid in SOL.",
        )
