"""What a login's text says of the place where it is signed, and what a peer may be asked to sign.

Layout: https://github.com/phantom/sign-in-with-solana (ABNF message format).
"""

from __future__ import annotations

import re

from p2p.core.errors import UserError
from p2p.core.messages.auth import Role

DOMAIN = "cyxwiz"
"""The domain of a login that our own program signs, with a keypair file or a keystore."""

_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost):([1-9][0-9]{0,4})")
_PORT_MAX = 65535


def check_domain(domain: str) -> str:
    """The domain of a login text: :data:`DOMAIN` (also for an empty one), or a wallet page on the loopback.

    :raises UserError: ``bad_domain``: it is neither, and a wallet would lend its name to a stranger's page.
    """
    if domain in ("", DOMAIN):
        return DOMAIN
    found = _LOOPBACK.fullmatch(domain)
    if found is None or int(found[1]) > _PORT_MAX:
        raise UserError(
            "bad_domain",
            f"A login for {domain[:80]!r} cannot be asked for.",
            "Nothing was signed.",
            f"A login is for {DOMAIN!r}, or for a page on 127.0.0.1 or localhost with its port.",
        )
    return domain


def uri_of(domain: str) -> str:
    """The URI that goes with a domain; on a page it is the page's own, as wallets demand."""
    return f"{DOMAIN}://login" if domain == DOMAIN else f"http://{domain}/login"


def check_challenge(text: str, wallet: str, peer_id: str, role: Role, domain: str = DOMAIN) -> None:
    """Sign nothing but a login of this very wallet, peer and role, for this very place.

    :raises UserError: ``strange_challenge``.
    """
    lines = text.split("\n")
    opening = [f"{domain} wants you to sign in with your Solana account:", wallet, ""]
    words = lines[3].split() if len(lines) > 3 else []
    elsewhere = any(line.startswith("URI:") and line != f"URI: {uri_of(domain)}" for line in lines)
    if lines[:3] != opening or f"{peer_id}." not in words or role.value not in words or elsewhere:
        raise UserError(
            "strange_challenge",
            f"The coordinator asked the wallet to sign something that is not a login of this {role.value}.",
            "Nothing was signed.",
            "Check that the coordinator's address in config.toml is the right one.",
        )
