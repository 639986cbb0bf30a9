"""``--browser | --keystore [FILE] | --keypair FILE``: with which wallet a command signs.

The choice is turned into a wallet that can sign by :func:`p2p.chain.owners.owner_for`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local.home import find_home

_KEYPAIR_FILE = click.Path(path_type=Path)


def wallet_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The three options; the command gets them as ``choice``: a :class:`WalletChoice`, or None."""

    @click.option("--browser", is_flag=True, help="Sign with the wallet in your browser.")
    @click.option(
        "--keystore",
        is_flag=False,
        flag_value="",
        metavar="[FILE]",
        help="Sign with your own encrypted keystore; without FILE the one in the home.",
    )
    @click.option("--keypair", type=_KEYPAIR_FILE, metavar="FILE", help="Sign with a Solana keypair file.")
    @wraps(function)
    def with_choice(
        *arguments: Any, browser: bool, keystore: str | None, keypair: Path | None, **named: Any
    ) -> Any:
        return function(*arguments, choice=_choice(browser, keystore, keypair), **named)

    return with_choice


def _choice(browser: bool, keystore: str | None, keypair: Path | None) -> WalletChoice | None:
    if sum((browser, keystore is not None, keypair is not None)) > 1:
        raise click.UsageError("--browser, --keystore and --keypair exclude each other.")
    if browser:
        return WalletChoice(WalletKind.BROWSER)
    if keystore is not None:
        return WalletChoice(WalletKind.KEYSTORE, keystore_path(keystore))
    if keypair is not None:
        return WalletChoice(WalletKind.KEYPAIR, keypair.expanduser().absolute())
    return None


def keystore_path(named: str | Path | None) -> Path:
    """The keystore that was named, or the home's own."""
    return Path(named).expanduser().absolute() if named else find_home().engine.keystore
