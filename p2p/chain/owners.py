"""The wallet itself, as a command reaches it: in the browser, in a keystore, or in a plain file.

It signs in the command's own process, because the person is in front of that one: it has the desktop for the
page and the terminal for the password.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from p2p.chain.browser import WalletAnswer, WalletRequest, answer_with, ask_wallet_all
from p2p.chain.keys import Signer, load_keypair, load_keypair_of
from p2p.chain.keystore import Keystore
from p2p.chain.passwords import Passwords
from p2p.core.ids import Wallet
from p2p.core.wallet_choice import WalletChoice, WalletKind

_CONSOLE_BROWSERS = ("elinks", "links", "lynx", "w3m", "www-browser")
"""Browsers that would take the terminal over, and know neither JavaScript nor wallets."""

Say = Callable[[str], object]
"""Shows a line to whoever sits at the terminal."""


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

    def __init__(self, say: Say, wallet: Wallet | None = None) -> None:
        self._say = say
        self.wallet = wallet

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        return await ask_wallet_all(requests, partial(open_page, say=self._say))


class KeystoreOwner:
    """An encrypted file; its password is asked for when something is to be signed."""

    shows_what_it_signs = False

    def __init__(self, file: Path) -> None:
        """:raises UserError: there is no keystore, or it is broken."""
        self._keystore = Keystore(file)
        self.wallet: Wallet | None = self._keystore.address()

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        password = Passwords().ask(f"Password of the wallet {self.wallet}")
        try:
            unlocked = self._keystore.unlock(password)
        finally:
            password.wipe()
        with unlocked as signer:
            return await answer_with(signer, requests)


class SignerOwner:
    """A key that this process holds already."""

    shows_what_it_signs = False

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.wallet: Wallet | None = signer.address

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        return await answer_with(self._signer, requests)


class KeypairOwner:
    """A key in a plain file, which is read when something is to be signed."""

    shows_what_it_signs = False

    def __init__(self, file: Path, wallet: Wallet | None = None) -> None:
        """``wallet``: whose key the file holds, if that is known.

        :raises UserError: the file cannot be used.
        """
        self._file = file
        self._wallet = wallet or load_keypair(file).address
        self.wallet: Wallet | None = self._wallet

    async def answer(self, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
        return await answer_with(load_keypair_of(self._file, self._wallet), requests)


def owner_for(choice: WalletChoice, say: Say, wallet: Wallet | None = None) -> Owner:
    """The wallet that was chosen. ``wallet``: the only account that will do, if there is one.

    :raises UserError: the wallet's file is gone or broken.
    """
    file = choice.file or Path()
    match choice.kind:
        case WalletKind.BROWSER:
            return BrowserOwner(say, wallet)
        case WalletKind.KEYSTORE:
            return KeystoreOwner(file)
        case WalletKind.KEYPAIR:
            return KeypairOwner(file, wallet)


def open_page(address: str, say: Say) -> bool:
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
    say("No browser could be opened. Open this page in the one that has your wallet:")
    say(f"  {address}")
    return True
