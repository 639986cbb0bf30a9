"""Identifiers: job ids, peer ids, wallets and hashes, each checked where it enters."""

from __future__ import annotations

import re
import secrets
from typing import NewType

from p2p.core.errors import UserError

JobId = NewType("JobId", str)
"""32 lower-case hex digits: 16 random bytes drawn by the buyer, the job's PDA seed on chain."""

PeerId = NewType("PeerId", str)
"""A libp2p peer id in base58 (Ed25519 identity multihash, ``12D3Koo…``)."""

Wallet = NewType("Wallet", str)
"""A Solana address in base58 (32 bytes)."""

_JOB_ID = re.compile(r"[0-9a-f]{32}\Z")
_PREFIX = re.compile(r"[0-9a-f]{4,32}\Z")
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]+\Z")

JOB_ID_CHARS = 32
HASH_BYTES = 32
WALLET_MAX_CHARS = 44
PEER_ID_MAX_CHARS = 64


def new_job_id() -> JobId:
    """A fresh random job id."""
    return JobId(secrets.token_hex(16))


def parse_job_id(text: str) -> JobId:
    """Check ``text`` as a whole job id.

    :raises UserError: it is not 32 hex digits.
    """
    if not _JOB_ID.match(text):
        raise UserError(
            "bad_job_id",
            f"{text[:64]!r} is not a job id.",
            hint="A job id has 32 hex digits; `cyxwiz jobs` lists yours.",
        )
    return JobId(text)


def is_job_id_prefix(text: str) -> bool:
    """Whether ``text`` may abbreviate a job id, as people type it (at least 4 digits)."""
    return bool(_PREFIX.match(text))


def parse_wallet(text: str) -> Wallet:
    """Check the alphabet and length of a base58 address; :mod:`p2p.chain` checks the curve point.

    :raises UserError: it cannot be a Solana address.
    """
    if not (32 <= len(text) <= WALLET_MAX_CHARS and _BASE58.match(text)):
        raise UserError("bad_wallet", f"{text[:64]!r} is not a Solana address.")
    return Wallet(text)


def parse_peer_id(text: str) -> PeerId:
    """Check the alphabet and length of a base58 peer id.

    :raises UserError: it cannot be a peer id.
    """
    if not (len(text) <= PEER_ID_MAX_CHARS and _BASE58.match(text)):
        raise UserError("bad_peer_id", f"{text[:80]!r} is not a peer id.")
    return PeerId(text)
