"""Signed statements: the signature covers a domain tag and the exact bytes that were sent.

A receiver verifies the bytes it got, then parses them; nothing is ever serialised again to be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256


class Domain(Enum):
    """What is signed; keeps a signature for one purpose from being used for another."""

    TERMS = "cyxwiz:terms:v1"  # coordinator's peer key; the hash is in the escrow on chain
    RESULT = "cyxwiz:result:v1"  # node's peer key
    RECEIPT = "cyxwiz:receipt:v1"  # engine's peer key
    SPEC = "cyxwiz:spec:v1"  # only hashed
    ADVERT = "cyxwiz:advert:v1"  # node's peer key
    DISPUTE = "cyxwiz:dispute:v1"  # engine's peer key
    ANSWER = "cyxwiz:answer:v1"  # node's peer key: what it says to a dispute


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement as it travels: encoded payload, signer's peer id, 64-byte Ed25519 signature."""

    payload: bytes
    signer: str
    signature: bytes


def signing_input(domain: Domain, payload: bytes) -> bytes:
    """The bytes that are signed: domain, NUL, payload."""
    return domain.value.encode() + b"\0" + payload


def statement_hash(domain: Domain, payload: bytes) -> bytes:
    """SHA-256 of the signing input: how chain and receipts refer to a statement."""
    return sha256(signing_input(domain, payload)).digest()
