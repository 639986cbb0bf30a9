"""Login: a Solana-signed challenge that binds a wallet to the peer id of the channel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a peer logs in as."""

    ENGINE = "engine"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class ChallengeRequest:
    """``auth.challenge``: ask for the text to sign.

    ``domain``: whose name the text bears: ``cyxwiz`` (also when empty), or the ``127.0.0.1:PORT`` or
    ``localhost:PORT`` of the page on which a browser wallet signs.
    """

    wallet: str
    role: Role
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The exact Sign In With Solana text; its nonce is good once, until ``expires_at_s``."""

    text: str
    nonce: str
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """``auth.login``: the challenge text as signed by the wallet."""

    wallet: str
    role: Role
    text: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class LoginReply:
    """How long the login lasts for this peer id, and which chain the coordinator settles on."""

    expires_at_s: int
    cluster: str
    program_id: str
    usdc_mint: str
    coordinator_wallet: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Nothing to say but yes."""
