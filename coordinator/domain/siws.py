"""The Sign In With Solana text of a login, rebuilt from what was asked and compared byte for byte.

Layout: https://github.com/phantom/sign-in-with-solana (ABNF message format); absent fields are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from p2p.core.login import DOMAIN, uri_of
from p2p.core.messages.auth import Role

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Ask:
    """Everything that a login text says."""

    wallet: str
    peer_id: str
    role: Role
    cluster: str
    nonce: str
    issued_at_s: int
    expires_at_s: int
    domain: str = DOMAIN


def login_text(ask: Ask) -> str:
    """The exact text to sign (UTF-8, no line end at the end)."""
    statement = f"Log in to CyxWiz as {ask.role.value} from peer {ask.peer_id}. This moves no money."
    return "\n".join(
        (
            f"{ask.domain} wants you to sign in with your Solana account:",
            ask.wallet,
            "",
            statement,
            "",
            f"URI: {uri_of(ask.domain)}",
            f"Version: {VERSION}",
            f"Chain ID: {ask.cluster}",
            f"Nonce: {ask.nonce}",
            f"Issued At: {_time(ask.issued_at_s)}",
            f"Expiration Time: {_time(ask.expires_at_s)}",
        )
    )


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
