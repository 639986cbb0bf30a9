"""Where a secret is found, in whatever form somebody may have written it down."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import base58

SEED_BYTES = 32


@dataclass(frozen=True)
class Secret:
    """``forms``: bytes any of which gives it away."""

    name: str
    forms: tuple[bytes, ...]


def text(name: str, value: str) -> Secret:
    """A password, phrase or token."""
    raw = value.encode()
    return Secret(name, (raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode()))


def key(name: str, seed: bytes, public: bytes = b"") -> Secret:
    """An Ed25519 key: its seed, and the 64 bytes that Solana calls a keypair."""
    forms = [seed]
    numbers = list(seed)
    forms += [", ".join(map(str, numbers)).encode(), ",".join(map(str, numbers)).encode()]
    forms += [seed.hex().encode(), seed.hex().upper().encode(), repr(seed)[2:-1].encode()]
    for raw in {seed, seed + public}:
        forms.append(base58.b58encode(raw))
        # of base64, what does not depend on the bytes that follow
        forms += [encode(raw)[:42] for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    return Secret(name, tuple(forms))


def keypair_file(path: Path) -> Secret:
    """As the Solana CLI writes it."""
    raw = bytes(json.loads(path.read_text()))
    return key(str(path), raw[:SEED_BYTES], raw[SEED_BYTES:])


def found_in(data: bytes, secrets: Iterable[Secret]) -> Iterator[str]:
    for secret in secrets:
        if any(form in data for form in secret.forms):
            yield secret.name
