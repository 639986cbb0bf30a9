"""What the buyer's wallet is asked to sign, whichever kind of wallet it is, and what stands against it.

The page in the browser answers these requests (:func:`p2p.chain.browser.ask_wallet_all`), or a key at hand
does (:func:`p2p.chain.browser.answer_with`). A refusal is raised when a request is built: build it once
before anybody is asked for a password.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from p2p.chain.browser import SignTransactions, withdraw_request
from p2p.chain.browser.buying import Grant, deposit_and_grant_request, grants_request, revoke_request
from p2p.chain.escrow import EscrowClient
from p2p.core.clock import Clock
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import (
    SESSION_FUND_LAMPORTS,
    SESSION_LIFETIME_S,
    SESSION_LOW_LAMPORTS,
    SESSION_RENEW_S,
)
from p2p.core.money import Asset, format_amount
from p2p.engine.wallets import require_sol

SessionKeys = Callable[[Wallet], Awaitable[Mapping[Asset, Wallet]]]

_REVOKED_AT_ONCE = 8


class WalletRequests:
    """Requests of one wallet; ``keys`` gives this computer's session key for each asset."""

    def __init__(self, chain: EscrowClient, keys: SessionKeys, clock: Clock) -> None:
        self._chain = chain
        self._keys = keys
        self._expires_at_s = int(clock.now_s()) + SESSION_LIFETIME_S
        self._clock = clock

    async def renewal(self, wallet: Wallet) -> list[SignTransactions]:
        """Let the session keys spend all of the balance again, where they could not for much of their
        lifetime, or have too little SOL for fees. Empty when there is nothing to do.
        """
        grants = []
        for asset, key in (await self._keys(wallet)).items():
            balance = await self._chain.balance(wallet, asset)
            if balance and await self._is_short(wallet, asset, key, balance):
                grants.append(await self._grant(asset, key, balance))
        if not grants:
            return []
        lamports = sum(grant.fund_lamports for grant in grants)

        async def check(signer: Wallet) -> None:
            await require_sol(self._chain, signer, lamports)

        return [grants_request(self._chain, wallet, grants, check)]

    def deposit(self, wallet: Wallet, asset: Asset, units: int) -> SignTransactions:
        """From the wallet into escrow; the session key may spend the new balance."""

        async def grant() -> Grant:
            key = (await self._keys(wallet))[asset]
            balance = await self._chain.balance(wallet, asset)
            found = await self._grant(asset, key, balance + units)
            await _require_funds(self._chain, wallet, asset, units, found.fund_lamports)
            return found

        return deposit_and_grant_request(self._chain, wallet, asset, units, grant)

    async def withdraw(self, wallet: Wallet, asset: Asset, units: int | None) -> tuple[SignTransactions, int]:
        """From escrow into the wallet, and how much; all of it without ``units``.

        :raises Refused: ``balance_too_low`` or ``sol_too_low``.
        """
        available = await self._chain.balance(wallet, asset)
        wanted = available if units is None else units
        if wanted > available or available == 0:
            raise Refused(
                "balance_too_low",
                f"Your escrow balance is {format_amount(available, asset)}.",
                "Nothing was moved. Deposits of open jobs come back when these end.",
                "Withdraw at most the balance.",
            )
        await require_sol(self._chain, wallet, 0)
        return withdraw_request(self._chain, wallet, asset, wanted), wanted

    def revoke(self, wallet: Wallet, keys: Sequence[Wallet]) -> list[SignTransactions]:
        """End session keys, some at a time."""
        parts = [keys[at : at + _REVOKED_AT_ONCE] for at in range(0, len(keys), _REVOKED_AT_ONCE)]
        return [revoke_request(self._chain, wallet, part) for part in parts]

    async def _is_short(self, wallet: Wallet, asset: Asset, key: Wallet, balance: int) -> bool:
        session = await self._chain.session(wallet, key)
        if session is None or session.remaining_units < balance:
            return True
        if session.expires_at_s < self._clock.now_s() + SESSION_RENEW_S:
            return True
        return await self._chain.wallet_balance(key, Asset.SOL) < SESSION_LOW_LAMPORTS

    async def _grant(self, asset: Asset, key: Wallet, units: int) -> Grant:
        fund = max(0, SESSION_FUND_LAMPORTS - await self._chain.wallet_balance(key, Asset.SOL))
        return Grant(key, asset, units, self._expires_at_s, fund)


async def _require_funds(
    chain: EscrowClient, wallet: Wallet, asset: Asset, units: int, fund_lamports: int
) -> None:
    """Whether the wallet has what is to be deposited, and SOL for its session key and the fees."""
    if asset is Asset.SOL:
        await require_sol(chain, wallet, units + fund_lamports)
        return
    has = await chain.wallet_balance(wallet, asset)
    if has < units:
        raise Refused(
            "wallet_too_low",
            f"The wallet {wallet} has {format_amount(has, asset)}.",
            "Nothing was moved.",
            f"Send {format_amount(units - has, asset)} to it, or deposit less.",
        )
    await require_sol(chain, wallet, fund_lamports)
