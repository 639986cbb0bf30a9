"""The payout wallet in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui_kit.words import tr

OWN_FILE = "wallet.json"
"""In the node's folder: the wallet that it made for itself."""


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
