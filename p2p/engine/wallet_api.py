"""The wallet's commands: login, balances, deposit, withdraw, session keys, history.

What a browser wallet or a keystore signs is signed in the command's own process, because that is where the
person is; the agent then only hears of it (``login_challenge``, ``login_finish``, ``wallet_changed``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

import trio

from p2p.chain.browser import SignTransactions, answer_with
from p2p.chain.browser.request import SignedTransactions
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer, load_keypair, to_pubkey
from p2p.core.errors import UserError
from p2p.core.ids import Wallet, parse_wallet
from p2p.core.money import Asset
from p2p.engine.context import Engine
from p2p.engine.parameters import Params, asset_of
from p2p.engine.session_limits import SessionLimits, change_session_limits, session_limits
from p2p.engine.sponsoring import is_offered
from p2p.engine.wallet_history import wallet_history
from p2p.engine.wallet_requests import WalletRequests
from p2p.engine.wallets import Account
from p2p.local.server import Handler

_HISTORY_DEFAULT = 50


class WalletApi:
    """Handlers for everything that concerns the wallet itself. What it signs is signed one at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = trio.Lock()

    def handlers(self) -> dict[str, Handler]:
        """By command."""
        return {
            "account": self.account,
            "login": self.login,
            "login_challenge": self.login_challenge,
            "login_finish": self.login_finish,
            "session_keys": self.session_keys,
            "sponsorship": self.sponsorship,
            "wallet_changed": self.changed,
            "wallet_balance": self.balance,
            "wallet_deposit": self.deposit,
            "wallet_withdraw": self.withdraw,
            "wallet_sessions": self.sessions,
            "session_limits": self.limits,
            "wallet_history": self.history,
        }

    # -- logging in

    async def account(self, params: Params) -> Params:
        """``account``."""
        account = await self._engine.wallets.account()
        file = account.keypair_file or account.keystore_file
        return {
            "wallet": account.wallet,
            "kind": account.kind.value,
            "file": None if file is None else str(file),
        }

    async def login(self, params: Params) -> Params:
        """``login``: with a keypair file; and renew the session keys where there is something to spend."""
        async with self._lock:
            file = Path(str(params["keypair"])).expanduser().absolute()
            signer = await trio.to_thread.run_sync(load_keypair, file)
            reply = await self._engine.link.login_account(Account(signer.address, keypair_file=file))
            async with self._engine.chain() as chain:
                requests = await self._requests(chain).renewal(
                    signer.address, always=bool(params.get("renew"))
                )
                await answer_with(signer, requests)
            self._wake_jobs()
            return {"expires_at_s": reply.expires_at_s, **await self._balances(signer.address)}

    async def login_challenge(self, params: Params) -> Params:
        """``login_challenge``: the text for a wallet that signs elsewhere."""
        domain = str(params.get("domain") or "")
        return {"text": await self._engine.link.challenge(_wallet(params), domain)}

    async def login_finish(self, params: Params) -> Params:
        """``login_finish``: what the wallet made of the text."""
        keystore = params.get("keystore")
        account = Account(_wallet(params), keystore_file=Path(keystore) if keystore else None)
        try:
            signature = base64.b64decode(str(params["signature"]), validate=True)
        except binascii.Error:
            raise UserError("bad_message", "The signature is not Base64.") from None
        reply = await self._engine.link.finish_login(account, str(params["text"]), signature)
        self._wake_jobs()
        return {"expires_at_s": reply.expires_at_s}

    async def session_keys(self, params: Params) -> Params:
        """``session_keys``: this computer's, drawn at first use."""
        found = await self._session_keys(_wallet(params))
        return {asset.value: key for asset, key in found.items()}

    async def sponsorship(self, params: Params) -> Params:
        """``sponsorship``."""
        offer = await is_offered(self._engine)
        return {"offered": offer.offered, "reason": offer.reason}

    async def changed(self, params: Params) -> Params:
        """``wallet_changed``."""
        self._wake_jobs()
        return {}

    # -- money

    async def balance(self, params: Params) -> Params:
        """``wallet_balance``."""
        return await self._balances((await self._engine.wallets.account()).wallet)

    async def deposit(self, params: Params) -> Params:
        """``wallet_deposit``: and let the session key spend the new balance."""
        asset, units = asset_of(params), _units(params)
        async with self._lock:
            signer = (await self._engine.wallets.account()).signer()
            async with self._engine.chain() as chain:
                request = self._requests(chain).deposit(signer.address, asset, units)
                signature = await _sign(signer, request)
            self._wake_jobs()
            return {"signature": signature, **await self._balances(signer.address)}

    async def withdraw(self, params: Params) -> Params:
        """``wallet_withdraw``."""
        asset = asset_of(params)
        async with self._lock:
            signer = (await self._engine.wallets.account()).signer()
            async with self._engine.chain() as chain:
                wanted = None if params.get("units") is None else _units(params)
                request, units = await self._requests(chain).withdraw(signer.address, asset, wanted)
                signature = await _sign(signer, request)
            return {"signature": signature, "units": units, **await self._balances(signer.address)}

    async def sessions(self, params: Params) -> list[Params]:
        """``wallet_sessions``: all of the wallet's, also those of other computers and those that ended."""
        wallet = (await self._engine.wallets.account()).wallet
        ours = set((await self._session_keys(wallet)).values())
        found = []
        async with self._engine.chain() as chain:
            for session in await chain.sessions_of(wallet):
                asset = chain.addresses.asset_of(to_pubkey(session.mint))
                found.append(
                    {
                        "key": session.key,
                        "here": session.key in ours,
                        "asset": None if asset is None else asset.value,
                        "decimals": None if asset is None else asset.decimals,
                        "remaining_units": session.remaining_units,
                        "expires_at_s": session.expires_at_s,
                        "sol_units": await chain.wallet_balance(session.key, Asset.SOL),
                    }
                )
        return found

    async def limits(self, params: Params) -> Params:
        """``session_limits``."""
        if not params:
            return (await self._limits()).to_json()
        return (await change_session_limits(self._engine.tables, params)).to_json()

    async def history(self, params: Params) -> list[Params]:
        """``wallet_history``: chain and ledger joined, with the names and prices of this engine's jobs."""
        wallet = (await self._engine.wallets.account()).wallet
        limit = max(1, int(params.get("limit") or _HISTORY_DEFAULT))
        return await wallet_history(self._engine, wallet, limit)

    # --

    def _requests(self, chain: EscrowClient) -> WalletRequests:
        return WalletRequests(chain, self._session_keys, self._limits, self._is_sponsored, self._engine.clock)

    async def _limits(self) -> SessionLimits:
        return await session_limits(self._engine.tables)

    async def _is_sponsored(self) -> bool:
        return (await is_offered(self._engine)).offered

    async def _session_keys(self, wallet: Wallet) -> Mapping[Asset, Wallet]:
        return {asset: self._engine.wallets.session(wallet, asset).address for asset in Asset}

    async def _balances(self, wallet: Wallet) -> Params:
        found = []
        async with self._engine.chain() as chain:
            for asset, key in (await self._session_keys(wallet)).items():
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

    def _wake_jobs(self) -> None:
        """Jobs that waited for a login or for money may go on."""
        self._engine.live.retry_all()


def _wallet(params: Params) -> Wallet:
    wallet = parse_wallet(str(params["wallet"]))
    to_pubkey(wallet)  # the name of a folder, too
    return wallet


def _units(params: Params) -> int:
    units = params.get("units")
    if isinstance(units, bool) or not isinstance(units, int) or units <= 0:
        raise UserError("bad_amount", "The amount must be more than zero.", "Nothing was moved.")
    return units


async def _sign(signer: Signer, request: SignTransactions) -> str:
    """Sign and send; the signature of the one transaction."""
    (answer,) = await answer_with(signer, [request])
    assert isinstance(answer, SignedTransactions)
    return answer.transactions[-1].signature
