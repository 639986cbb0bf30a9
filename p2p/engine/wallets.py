"""The buyer's wallet and the session keys that act for it.

The wallet's own key is in the person's browser, in a keystore that the commands unlock, or in a plain file,
which is read when it has to sign; it is never kept here. Day to day the engine signs with session keys, one
per wallet and asset, which the wallet authorised on chain up to an amount and a date.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer, load_keypair_of, load_or_create_keypair
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletKind
from p2p.local.home import make_private
from p2p.store.engine import EngineTables

_WALLET, _KEYPAIR, _KEYSTORE = "wallet", "keypair_file", "keystore_file"
_NOT_PAID = "Nothing was sent and nothing was paid."


@dataclass(frozen=True, slots=True)
class Account:
    """Who is logged in, and the file of the wallet's key; a browser wallet has none."""

    wallet: Wallet
    keypair_file: Path | None = None
    keystore_file: Path | None = None

    @property
    def kind(self) -> WalletKind:
        if self.keypair_file is not None:
            return WalletKind.KEYPAIR
        return WalletKind.BROWSER if self.keystore_file is None else WalletKind.KEYSTORE

    @property
    def login_command(self) -> str:
        """What logs this wallet in again."""
        if self.kind is WalletKind.BROWSER:
            return "cyxwiz login"
        return f"cyxwiz login --{self.kind.value} {self.keypair_file or self.keystore_file}"

    def signer(self) -> Signer:
        """The wallet's key, read from its file.

        :raises UserError: the file is gone or broken.
        :raises Refused: it holds another wallet's key by now, or the key is not in a plain file.
        """
        if self.keypair_file is None:
            raise Refused(
                "wallet_elsewhere",
                f"The key of the wallet {self.wallet} is not in a file that the engine can read.",
                "Nothing was signed.",
                "Use `cyxwiz login` and `cyxwiz wallet …`: they ask the wallet itself.",
            )
        return load_keypair_of(self.keypair_file, self.wallet)


class Wallets:
    """Accounts and session keys of one home."""

    def __init__(self, home: Home, tables: EngineTables) -> None:
        self._home = home
        self._tables = tables

    async def account(self) -> Account:
        """Who is logged in.

        :raises Refused: ``not_logged_in``.
        """
        wallet = await self._tables.setting(_WALLET)
        if wallet is None:
            raise not_logged_in()
        keypair, keystore = await self._tables.setting(_KEYPAIR), await self._tables.setting(_KEYSTORE)
        return Account(
            Wallet(wallet), Path(keypair) if keypair else None, Path(keystore) if keystore else None
        )

    async def remember(self, account: Account) -> None:
        """Keep who is logged in."""
        files = {_KEYPAIR: account.keypair_file, _KEYSTORE: account.keystore_file}
        for name, file in files.items():
            await self._tables.set_setting(name, None if file is None else str(file))
        await self._tables.set_setting(_WALLET, account.wallet)

    async def remember_login(self, wallet: Wallet, coordinator: str, expires_at_s: float) -> None:
        """Keep until when a login at a coordinator lasts."""
        await self._tables.set_setting(f"login_ends:{coordinator}:{wallet}", str(expires_at_s))

    async def login_ends_at_s(self, wallet: Wallet, coordinator: str) -> float | None:
        """What :meth:`remember_login` kept."""
        kept = await self._tables.setting(f"login_ends:{coordinator}:{wallet}")
        return None if kept is None else float(kept)

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

    async def require_session(
        self, chain: EscrowClient, wallet: Wallet, asset: Asset, deposit_units: int, until_s: float
    ) -> Signer:
        """The session key, once it may open a job of ``deposit_units`` and still act at ``until_s``.

        :raises Refused: ``session_too_small`` or ``session_expired``.
        """
        signer = self.session(wallet, asset)
        session = await chain.session(wallet, signer.address)
        remaining = 0 if session is None else session.remaining_units
        hint = f"Renew it with `{await self.login_command(wallet)}`."
        if remaining < deposit_units:
            raise Refused(
                "session_too_small",
                f"The session key may spend {format_amount(remaining, asset)} more, and the job needs "
                f"{format_amount(deposit_units, asset)}.",
                _NOT_PAID,
                hint,
            )
        if session is not None and session.expires_at_s <= until_s:
            raise Refused(
                "session_expired", "The session key expires before the job could end.", _NOT_PAID, hint
            )
        return signer

    async def login_command(self, wallet: Wallet) -> str:
        """What logs ``wallet`` in, whoever is logged in now."""
        account = await self.account()
        return account.login_command if account.wallet == wallet else "cyxwiz login"


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
            _NOT_PAID,
            f"Add to it with `cyxwiz wallet deposit {missing} --asset {asset.value}`, "
            "or lower --timeout or --max-price.",
        )
    return balance


def not_logged_in() -> Refused:
    """Nobody is logged in on this home."""
    return Refused(
        "not_logged_in",
        "You are not logged in.",
        _NOT_PAID,
        "Run `cyxwiz login` first: with the wallet in your browser, `--keystore`, or `--keypair FILE`.",
    )


def login_ended(account: Account) -> Refused:
    """The coordinator does not know this engine any more, and only the person can log in again."""
    return Refused(
        "not_logged_in",
        f"The login of the wallet {account.wallet} has ended.",
        "Jobs that run go on and their money is safe; nothing new was sent or paid.",
        f"Log in again with `{account.login_command}`.",
    )
