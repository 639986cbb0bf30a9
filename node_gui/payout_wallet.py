"""The payout wallet in words, and how another one is logged in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gui_kit.words import tr
from p2p.core.errors import UserError
from p2p.core.paths import Home

OWN, BROWSER, KEYSTORE, KEYPAIR = "own", "browser", "keystore", "keypair"
OWN_FILE = "wallet.json"


def kind_words(payout: Mapping[str, Any]) -> str:
    """Where the key of the wallet lies."""
    match payout.get("kind"):
        case "browser":
            return tr("in a browser; this node never sees its key")
        case "keystore":
            return tr("in an encrypted keystore; this node never sees its key")
        case "keypair" if payout.get("own"):
            return tr("this node's own, made at its first start")
        case "keypair":
            return tr("in a keypair file")
    return tr("not known yet")


def backup_words(payout: Mapping[str, Any]) -> str:
    """What to keep safe; nothing for a wallet that is kept elsewhere."""
    if payout.get("kind") == "keypair":
        return tr("Back this file up. Whoever has it has the money, and without it the money is lost.")
    if payout.get("kind") == "keystore":
        return tr("Back this file and its password up: without either the money is lost.")
    return ""


def login_arguments(kind: str, file: str, home: Home) -> tuple[str, ...]:
    """The command that has the node paid to another wallet.

    :raises UserError: the file is not named, or not as a whole path.
    """
    if kind == OWN:
        return ("login", f"--keypair={home.node.folder / OWN_FILE}")
    if kind == BROWSER:
        return ("login", "--browser")
    if not Path(file).is_absolute():
        raise UserError("bad_file", tr("Name the file with its whole path, or choose it."))
    return ("login", f"--{kind}={file}")
