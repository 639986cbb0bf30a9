"""The wallet's commands: login, balances, deposit, withdraw, history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer, load_keypair
from p2p.core.errors import Refused, UserError
from p2p.core.ids import Wallet
from p2p.core.limits import SESSION_RENEW_S
from p2p.core.money import Asset, format_amount
from p2p.engine.context import Engine
from p2p.engine.wallets import Account, require_sol

Params = dict[str, Any]

_HISTORY_DEFAULT = 50


class WalletApi:
    """Handlers for everything that the wallet itself signs. One at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = trio.Lock()

    async def login(self, params: Params) -> Params:
        """``login``: at the coordinator; and renew the session keys where there is something to spend."""
        async with self._lock:
            file = Path(str(params["keypair"])).expanduser().absolute()
            signer = await trio.to_thread.run_sync(load_keypair, file)
            reply = await self._engine.link.login_account(Account(signer.address, file))
            async with self._engine.chain() as chain:
                for asset in Asset:
                    if await self._needs_renewal(chain, signer, asset):
                        await self._engine.wallets.authorise(chain, signer, asset)
            self._wake_jobs()
            return {"expires_at_s": reply.expires_at_s, **await self._balances(signer.address)}

    async def balance(self, params: Params) -> Params:
        """``wallet_balance``."""
        return await self._balances((await self._engine.wallets.account()).wallet)

    async def deposit(self, params: Params) -> Params:
        """``wallet_deposit``: and let the session key spend the new balance."""
        asset, units = asset_of(params), _units(params)
        async with self._lock:
            signer = (await self._engine.wallets.account()).signer()
            async with self._engine.chain() as chain:
                await _require_funds(chain, signer.address, asset, units)
                signature = await chain.deposit(signer, asset, units)
                try:
                    await self._engine.wallets.authorise(chain, signer, asset)
                except Refused as error:
                    raise Refused(
                        error.code,
                        f"{format_amount(units, asset)} were deposited, but the session key was not renewed: "
                        f"{error.what}",
                        "The deposit is in your escrow balance; jobs cannot be opened yet.",
                        f"{error.hint} Then run `cyxwiz login --keypair FILE`.",
                    ) from None
            self._wake_jobs()
            return {"signature": signature, **await self._balances(signer.address)}

    async def withdraw(self, params: Params) -> Params:
        """``wallet_withdraw``."""
        asset = asset_of(params)
        async with self._lock:
            signer = (await self._engine.wallets.account()).signer()
            async with self._engine.chain() as chain:
                available = await chain.balance(signer.address, asset)
                units = available if params.get("units") is None else _units(params)
                if units > available or available == 0:
                    raise Refused(
                        "balance_too_low",
                        f"Your escrow balance is {format_amount(available, asset)}.",
                        "Nothing was moved. Deposits of open jobs come back when these end.",
                        "Withdraw at most the balance.",
                    )
                await require_sol(chain, signer.address, 0)
                signature = await chain.withdraw(signer, asset, units)
            return {"signature": signature, "units": units, **await self._balances(signer.address)}

    async def history(self, params: Params) -> list[Params]:
        """``wallet_history``."""
        wallet = (await self._engine.wallets.account()).wallet
        limit = max(1, int(params.get("limit") or _HISTORY_DEFAULT))
        async with self._engine.chain() as chain:
            entries = await chain.history(wallet, limit=limit)
        return [
            {
                "kind": entry.kind,
                "asset": entry.asset.value if entry.asset else None,
                "decimals": entry.asset.decimals if entry.asset else None,
                "units": entry.units,
                "job_id": entry.job_id,
                "signature": entry.signature,
                "at_s": entry.time_s,
            }
            for entry in entries
        ]

    async def _balances(self, wallet: Wallet) -> Params:
        found = []
        async with self._engine.chain() as chain:
            for asset in Asset:
                key = self._engine.wallets.session(wallet, asset).address
                session = await chain.session(wallet, key)
                found.append(
                    {
                        "asset": asset.value,
                        "decimals": asset.decimals,
                        "escrow_units": await chain.balance(wallet, asset),
                        "wallet_units": await chain.wallet_balance(wallet, asset),
                        "session": None
                        if session is None
                        else {
                            "key": key,
                            "remaining_units": session.remaining_units,
                            "expires_at_s": session.expires_at_s,
                        },
                    }
                )
        return {"wallet": wallet, "cluster": self._engine.link.chain_config().cluster, "assets": found}

    async def _needs_renewal(self, chain: EscrowClient, signer: Signer, asset: Asset) -> bool:
        """Whether the session key could not spend the whole balance for much of its lifetime."""
        key = self._engine.wallets.session(signer.address, asset).address
        session = await chain.session(signer.address, key)
        if session is None or session.remaining_units < await chain.balance(signer.address, asset):
            return True
        return session.expires_at_s < self._engine.clock.now_s() + SESSION_RENEW_S

    def _wake_jobs(self) -> None:
        """Jobs that waited for a login or for money may go on."""
        self._engine.live.retry_all()


def asset_of(params: Params) -> Asset:
    """The asset named in ``params``; USDC when none is.

    :raises UserError: there is no such asset.
    """
    name = params.get("asset") or Asset.USDC.value
    try:
        return Asset(name)
    except ValueError:
        names = ", ".join(asset.value for asset in Asset)
        raise UserError("bad_asset", f"{str(name)[:20]!r} is not one of {names}.") from None


def _units(params: Params) -> int:
    units = params.get("units")
    if isinstance(units, bool) or not isinstance(units, int) or units <= 0:
        raise UserError("bad_amount", "The amount must be more than zero.", "Nothing was moved.")
    return units


async def _require_funds(chain: EscrowClient, wallet: Wallet, asset: Asset, units: int) -> None:
    """Whether the wallet has what is to be deposited, and SOL for the fees."""
    if asset is Asset.SOL:
        await require_sol(chain, wallet, units)
        return
    has = await chain.wallet_balance(wallet, asset)
    if has < units:
        raise Refused(
            "wallet_too_low",
            f"The wallet {wallet} has {format_amount(has, asset)}.",
            "Nothing was moved.",
            f"Send {format_amount(units - has, asset)} to it, or deposit less.",
        )
    await require_sol(chain, wallet, 0)
