"""``cyxwiz wallet create | import | export | password``: a wallet of one's own, in an encrypted file."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.columns import Columns
from rich.text import Text

from p2p.chain.keystore import Keystore
from p2p.chain.passwords import Passwords
from p2p.chain.secret import Secret
from p2p.core.errors import UserError
from p2p.core.ids import Wallet
from p2p.core.limits import ACCOUNT_INDEX_MAX
from p2p.local import cli
from p2p.local.home import find_home, make_private
from p2p.local.wallet_options import keystore_path

_WORDS_ASKED = 2
_WORDS_TRIES = 3


def _keystore_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--keystore",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The keystore's file, if it is not the one in the home.",
    )(function)


@click.command()
@_keystore_option
@click.option("--yes", is_flag=True, help="Without a terminal: print the words and ask nothing about them.")
def create(keystore: Path | None, yes: bool) -> int:
    """Draw a new wallet and show its 24 words, once: whoever has them has the money."""
    interactive = sys.stdin.isatty() and cli.out.is_terminal
    if not interactive and not yes:
        raise UserError(
            "nobody_to_ask",
            "There is no terminal on which the words could be shown and confirmed.",
            "No wallet was made.",
            "Run it in a terminal; or add --yes, and the words are printed for whatever reads them.",
        )
    store = _new_keystore(keystore)
    phrase = store.create(Passwords().ask_new("New password"))
    confirmed = _show_and_confirm(phrase) if interactive else _print_words(phrase)
    phrase.wipe()
    _say_made(store)
    if not confirmed:
        cli.err.print(
            "The words were not confirmed: should this computer or the password be lost, so is the wallet."
        )
        cli.err.print(f"Put no money into it. Remove {store.path} and run the command again.", style="bold")
        return 1
    return 0


@click.command(name="import")
@_keystore_option
@click.option(
    "--keypair",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the key of a Solana keypair file over, instead of asking for the words.",
)
@click.option(
    "--account",
    type=click.IntRange(0, ACCOUNT_INDEX_MAX),
    default=0,
    show_default=True,
    help="Which account of the words.",
)
def import_wallet(keystore: Path | None, keypair: Path | None, account: int) -> None:
    """Take a wallet over from its seed phrase, which is asked for and not shown, or a keypair file."""
    store = _new_keystore(keystore)
    passwords = Passwords()
    if keypair is not None:
        store.import_keypair(keypair.expanduser().absolute(), passwords.ask_new("New password"))
    else:
        phrase = passwords.ask("Seed phrase, its words with spaces between")
        store.import_phrase(phrase, passwords.ask_new("New password"), account=account)
        phrase.wipe()
    _say_made(store)


@click.command()
@_keystore_option
@click.option(
    "--keypair",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="Where the bare key goes.",
)
def export(keystore: Path | None, keypair: Path) -> None:
    """Write the bare key as the Solana CLI does: no password protects it any more."""
    store = _keystore(keystore)
    target = keypair.expanduser().absolute()
    wallet = store.export_keypair(Passwords().ask(f"Password of the wallet {store.address()}"), target)
    cli.out.print(Text(f"The key of {wallet} is in {target}, readable by you alone and not encrypted."))


@click.command()
@_keystore_option
def password(keystore: Path | None) -> None:
    """Change the keystore's password. Copies of the file keep the old one."""
    store = _keystore(keystore)
    passwords = Passwords()
    old = passwords.ask(f"Password of the wallet {store.address()}")
    store.change_password(old, passwords.ask_new("New password"))
    cli.out.print("The password was changed.")


def _keystore(named: Path | None) -> Keystore:
    store = Keystore(keystore_path(named))
    store.address()  # says at once if there is none
    return store


def _new_keystore(named: Path | None) -> Keystore:
    """Where a keystore may be made. Says so before anything is asked if it may not.

    :raises UserError: ``keystore_exists``.
    """
    store = Keystore(keystore_path(named))
    if named is None:
        make_private(find_home().engine.folder)
    store.require_absent()
    return store


def _say_made(store: Keystore) -> None:
    wallet: Wallet = store.address()
    cli.out.print(Text(f"The wallet {wallet} is in {store.path}, encrypted under your password."))
    named = "" if store.path == find_home().engine.keystore else f" {store.path}"
    cli.out.print(Text(f"Log in with it: `cyxwiz login --keystore{named}`."))


def _print_words(phrase: Secret) -> bool:
    click.echo(phrase.text())
    return True


def _show_and_confirm(phrase: Secret) -> bool:
    """Show the words on a screen of their own, which is gone with all it showed when this returns."""
    words = phrase.text().split()
    with cli.out.screen(hide_cursor=False):
        cli.out.print("Write these words down, in their order, on paper. They are not shown again.\n")
        numbered = [Text(f"{place:>2}. {word}") for place, word in enumerate(words, 1)]
        cli.out.print(Columns(numbered, width=16, equal=True))
        cli.out.print("\nWhoever has them has the wallet. Whoever loses them and the file has nothing.")
        click.prompt("Enter goes on", default="", show_default=False, prompt_suffix=" ")
    return all(_knows(words, place) for place in _places(len(words)))


def _places(count: int) -> list[int]:
    return sorted(secrets.SystemRandom().sample(range(1, count + 1), _WORDS_ASKED))


def _knows(words: list[str], place: int) -> bool:
    for _ in range(_WORDS_TRIES):
        said = click.prompt(f"Word {place}", hide_input=True, default="", show_default=False)
        if said.strip().lower() == words[place - 1]:
            return True
        cli.err.print("That is another word.")
    return False
