"""The buyer's wallet and the session keys that act for it.

The wallet's own key is read from its file when it has to sign, and is never kept. Day to day the engine
signs with session keys, one per wallet and asset, which the wallet authorised on chain up to an amount and
a date.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer, load_keypair, load_or_create_keypair
from p2p.core.clock import Clock
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import (
    SESSION_FUND_LAMPORTS,
    SESSION_LIFETIME_S,
    SESSION_LOW_LAMPORTS,
    WALLET_FEE_LAMPORTS,
)
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.local.home import make_private
from p2p.store.engine import EngineTables

_WALLET, _KEYPAIR = "wallet", "keypair_file"


@dataclass(frozen=True, slots=True)
class Account:
    """Who is logged in, and where the wallet's key file lies."""

    wallet: Wallet
    keypair_file: Path

    def signer(self) -> Signer:
        """The wallet's key, read from its file.

        :raises UserError: the file is gone or broken.
        :raises Refused: it holds another wallet's key by now.
        """
        signer = load_keypair(self.keypair_file)
        if signer.address != self.wallet:
            raise Refused(
                "other_wallet",
                f"{self.keypair_file} now holds the key of another wallet than the one logged in.",
                "Nothing was signed.",
                "Log in again with `cyxwiz login --keypair FILE`.",
            )
        return signer


class Wallets:
    """Accounts and session keys of one home."""

    def __init__(self, home: Home, tables: EngineTables, clock: Clock) -> None:
        self._home = home
        self._tables = tables
        self._clock = clock

    async def account(self) -> Account:
        """Who is logged in.

        :raises Refused: ``not_logged_in``.
        """
        wallet, file = await self._tables.setting(_WALLET), await self._tables.setting(_KEYPAIR)
        if wallet is None or file is None:
            raise not_logged_in()
        return Account(Wallet(wallet), Path(file))

    async def remember(self, account: Account) -> None:
        """Keep who is logged in."""
        await self._tables.set_setting(_WALLET, account.wallet)
        await self._tables.set_setting(_KEYPAIR, str(account.keypair_file))

    def session(self, wallet: Wallet, asset: Asset) -> Signer:
        """The session key of a wallet and asset, drawn at first use."""
        folder = make_private(self._home.engine.folder / "sessions" / wallet)
        return load_or_create_keypair(folder / f"{asset.value}.json")

    def session_named(self, wallet: Wallet, address: str) -> Signer:
        """The session key that a job was opened with.

        :raises Refused: its file is gone.
        """
        for asset in Asset:
            signer = self.session(wallet, asset)
            if signer.address == address:
                return signer
        raise Refused(
            "session_key_lost",
            f"The session key {address} of this job is not on this machine any more.",
            "The job cannot be settled from here; after its deadline the deposit can be reclaimed.",
            f"Restore {self._home.engine.folder / 'sessions'} from a backup.",
        )

    async def authorise(self, chain: EscrowClient, owner: Signer, asset: Asset) -> str | None:
        """Let the session key spend all of the escrow balance in ``asset``, for ``SESSION_LIFETIME_S``.

        Returns the transaction's signature; None when there is no balance.

        :raises Refused: the wallet has too little SOL for the key's fees.
        """
        balance = await chain.balance(owner.address, asset)
        if balance == 0:
            return None
        session = self.session(owner.address, asset)
        fund = max(0, SESSION_FUND_LAMPORTS - await chain.wallet_balance(session.address, Asset.SOL))
        await require_sol(chain, owner.address, fund)
        expires_at_s = int(self._clock.now_s()) + SESSION_LIFETIME_S
        return await chain.authorize(owner, session.address, asset, balance, expires_at_s, fund)

    async def require_session(
        self, chain: EscrowClient, wallet: Wallet, asset: Asset, deposit_units: int, until_s: float
    ) -> Signer:
        """The session key, once it may open a job of ``deposit_units`` and still act at ``until_s``.

        :raises Refused: ``session_too_small``, ``session_expired`` or ``session_no_sol``.
        """
        signer = self.session(wallet, asset)
        session = await chain.session(wallet, signer.address)
        remaining = 0 if session is None else session.remaining_units
        meaning, hint = "Nothing was paid.", "Renew it with `cyxwiz login --keypair FILE`."
        if remaining < deposit_units:
            raise Refused(
                "session_too_small",
                f"The session key may spend {format_amount(remaining, asset)} more, and the job needs "
                f"{format_amount(deposit_units, asset)}.",
                meaning,
                hint,
            )
        if session is not None and session.expires_at_s <= until_s:
            raise Refused(
                "session_expired", "The session key expires before the job could end.", meaning, hint
            )
        if await chain.wallet_balance(signer.address, Asset.SOL) < SESSION_LOW_LAMPORTS:
            raise Refused("session_no_sol", "The session key has too little SOL for its fees.", meaning, hint)
        return signer


async def require_balance(chain: EscrowClient, wallet: Wallet, asset: Asset, needed: int) -> int:
    """The escrow balance, once it covers ``needed``.

    :raises Refused: ``balance_too_low``, naming what is missing.
    """
    balance = await chain.balance(wallet, asset)
    if balance < needed:
        missing = format_amount(needed - balance, asset, symbol=False)
        raise Refused(
            "balance_too_low",
            f"The job needs a deposit of {format_amount(needed, asset)}; "
            f"your escrow balance is {format_amount(balance, asset)}.",
            "Nothing was sent and nothing was paid.",
            f"Add to it with `cyxwiz wallet deposit {missing} --asset {asset.value}`, "
            "or lower --timeout or --max-price.",
        )
    return balance


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
            f"{format_amount(needed, Asset.SOL)} are needed, fees included.",
            "Nothing was paid.",
            "Send some SOL to it; fees on Solana are always paid in SOL.",
        )


def not_logged_in() -> Refused:
    """Nobody is logged in on this home, or the coordinator does not know it any more."""
    return Refused(
        "not_logged_in",
        "You are not logged in.",
        "Nothing was sent and nothing was paid.",
        "Run `cyxwiz login --keypair FILE` first.",
    )
