"""What the buyer's wallet is asked to sign, whichever kind of wallet it is, and what stands against it.

The page in the browser answers these requests (:func:`p2p.chain.browser.ask_wallet_all`), or a key at hand
does (:func:`p2p.chain.browser.answer_with`). A refusal is raised when a request is built: build it once
before anybody is asked for a password.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from p2p.chain.browser import SignTransactions
from p2p.chain.browser.buying import Grant, deposit_and_grant_request, grants_request, revoke_request
from p2p.chain.escrow import EscrowClient
from p2p.chain.withdrawing import require_sol, withdrawal
from p2p.core.clock import Clock
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import (
    SESSION_FUND_LAMPORTS,
    SESSION_LOW_LAMPORTS,
    SESSION_RENEW_S,
    WALLET_FEE_LAMPORTS,
)
from p2p.core.money import Asset, format_amount
from p2p.engine.session_limits import SessionLimits

SessionKeys = Callable[[Wallet], Awaitable[Mapping[Asset, Wallet]]]
Limits = Callable[[], Awaitable[SessionLimits]]
IsSponsored = Callable[[], Awaitable[bool]]
"""Whether the coordinator pays the fees of session keys."""

_REVOKED_AT_ONCE = 8


class WalletRequests:
    """Requests of one wallet.

    ``keys`` gives this computer's session key for each asset, ``limits`` what these get. The wallet gives
    them SOL for fees, if it has it; else the coordinator may pay them.
    """

    def __init__(
        self,
        chain: EscrowClient,
        keys: SessionKeys,
        limits: Limits,
        is_sponsored: IsSponsored,
        clock: Clock,
    ) -> None:
        self._chain = chain
        self._keys = keys
        self._limits = limits
        self._is_sponsored = is_sponsored
        self._clock = clock

    async def renewal(self, wallet: Wallet, *, always: bool = False) -> list[SignTransactions]:
        """Let the session keys spend what their limits say again, where they could not for much of their
        lifetime, or have too little SOL for fees. Empty when there is nothing to do. ``always``: also where
        they could.
        """
        grants: list[Grant] = []
        for asset, key in (await self._keys(wallet)).items():
            balance = await self._chain.balance(wallet, asset)
            spent = sum(grant.fund_lamports for grant in grants)
            fund = await self._fund_lamports(wallet, key, spent) if balance else 0
            if balance and (always or await self._is_short(wallet, asset, key, balance, fund)):
                grants.append(await self._grant(asset, key, balance, fund))
        if not grants:
            return []
        lamports = sum(grant.fund_lamports for grant in grants)

        async def check(signer: Wallet) -> None:
            await require_sol(self._chain, signer, lamports)

        return [grants_request(self._chain, wallet, grants, check)]

    def deposit(self, wallet: Wallet, asset: Asset, units: int) -> SignTransactions:
        """From the wallet into escrow; the session key may spend the new balance, within its limits."""

        async def grant() -> Grant:
            key = (await self._keys(wallet))[asset]
            balance = await self._chain.balance(wallet, asset)
            fund = await self._fund_lamports(wallet, key, units if asset is Asset.SOL else 0)
            await _require_funds(self._chain, wallet, asset, units, fund)
            return await self._grant(asset, key, balance + units, fund)

        return deposit_and_grant_request(self._chain, wallet, asset, units, grant)

    async def withdraw(self, wallet: Wallet, asset: Asset, units: int | None) -> tuple[SignTransactions, int]:
        """As :func:`p2p.chain.withdrawing.withdrawal`."""
        return await withdrawal(self._chain, wallet, asset, units)

    def revoke(self, wallet: Wallet, keys: Sequence[Wallet]) -> list[SignTransactions]:
        """End session keys, some at a time."""
        parts = [keys[at : at + _REVOKED_AT_ONCE] for at in range(0, len(keys), _REVOKED_AT_ONCE)]
        return [revoke_request(self._chain, wallet, part) for part in parts]

    async def _is_short(
        self, wallet: Wallet, asset: Asset, key: Wallet, balance: int, fund_lamports: int
    ) -> bool:
        session = await self._chain.session(wallet, key)
        limits = await self._limits()
        if session is None or session.remaining_units < limits.enough_units(asset, balance):
            return True
        renew_s = min(SESSION_RENEW_S, limits.lifetime_s // 2)
        if session.expires_at_s < self._clock.now_s() + renew_s:
            return True
        return fund_lamports > SESSION_FUND_LAMPORTS - SESSION_LOW_LAMPORTS

    async def _grant(self, asset: Asset, key: Wallet, balance_units: int, fund_lamports: int) -> Grant:
        limits = await self._limits()
        expires_at_s = int(self._clock.now_s()) + limits.lifetime_s
        return Grant(key, asset, limits.grant_units(asset, balance_units), expires_at_s, fund_lamports)

    async def _fund_lamports(self, wallet: Wallet, key: Wallet, spent_lamports: int) -> int:
        """What the key is given: nothing where the wallet has not got it and the coordinator pays."""
        fund = max(0, SESSION_FUND_LAMPORTS - await self._chain.wallet_balance(key, Asset.SOL))
        needed = spent_lamports + fund + WALLET_FEE_LAMPORTS
        poor = fund and await self._chain.wallet_balance(wallet, Asset.SOL) < needed
        return 0 if poor and await self._is_sponsored() else fund


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
