"""The wallet itself, as a command reaches it: in the browser, in a keystore, or in a plain file.

It signs in the command's own process, because the person is in front of that one: it has the desktop for the
page and the terminal for the password.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.text import Text

from p2p.chain.browser import WalletAnswer, WalletRequest, answer_with, ask_wallet_all
from p2p.chain.keys import load_keypair
from p2p.chain.keystore import Keystore
from p2p.chain.passwords import Passwords
from p2p.core.ids import Wallet
from p2p.engine.wallets import Account, WalletKind
from p2p.local import cli

_CONSOLE_BROWSERS = ("elinks", "links", "lynx", "w3m", "www-browser")
"""Browsers that would take the terminal over, and know neither JavaScript nor wallets."""


class Owner(Protocol):
    """Whoever can sign for a wallet."""

    @property
    def wallet(self) -> Wallet | None:
        """None: the person chooses it on the page."""

    @property
    def shows_what_it_signs(self) -> bool:
        """Whether the person is asked by the wallet, so that no other question is needed."""

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        """:raises CyxWizError: the person said no, or what a request raised."""


class BrowserOwner:
    """A wallet in the person's browser, reached by a page on the loopback."""

    shows_what_it_signs = True

    def __init__(self, wallet: Wallet | None = None) -> None:
        self.wallet = wallet

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        return await ask_wallet_all(requests, open_page)


class KeystoreOwner:
    """An encrypted file; its password is asked for when something is to be signed."""

    shows_what_it_signs = False

    def __init__(self, file: Path) -> None:
        """:raises UserError: there is no keystore, or it is broken."""
        self._keystore = Keystore(file)
        self.wallet: Wallet | None = self._keystore.address()

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        password = Passwords().ask(f"Password of the wallet {self.wallet}")
        with self._keystore.unlock(password) as signer:
            password.wipe()
            return await answer_with(signer, requests)


class KeypairOwner:
    """A key in a plain file."""

    shows_what_it_signs = False

    def __init__(self, account: Account) -> None:
        self._account = account
        self.wallet: Wallet | None = account.wallet

    @classmethod
    def of(cls, file: Path) -> KeypairOwner:
        """:raises UserError: the file cannot be used."""
        return cls(Account(load_keypair(file).address, keypair_file=file))

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        return await answer_with(self._account.signer(), requests)


def owner_of(account: dict[str, Any]) -> Owner:
    """Of the wallet that the agent says is logged in (its command ``account``).

    :raises UserError: the wallet's file is gone or broken.
    """
    wallet, file = Wallet(account["wallet"]), Path(account["file"] or "")
    match WalletKind(account["kind"]):
        case WalletKind.BROWSER:
            return BrowserOwner(wallet)
        case WalletKind.KEYSTORE:
            return KeystoreOwner(file)
        case WalletKind.KEYPAIR:
            return KeypairOwner(Account(wallet, keypair_file=file))


def open_page(address: str) -> bool:
    """Open the wallet page; where there is no browser, show its address to whoever sits at the terminal.

    Whoever has the address first has the page: it is shown on a terminal only, never in a log.
    """
    try:
        first = getattr(webbrowser.get(), "basename", "")
        if first not in _CONSOLE_BROWSERS and webbrowser.open(address):
            return True
    except webbrowser.Error:
        pass
    if not sys.stderr.isatty():
        return False
    cli.err.print("No browser could be opened. Open this page in the one that has your wallet:")
    cli.err.print(Text(f"  {address}"))
    return True
