"""Takes out of a text what is nobody's business: keys in whatever form, phrases, passwords in addresses.

Meant for a support bundle. It takes out too much rather than too little: a transaction's signature has the
length of a secret key, and goes, too. No shape is looked for anew within a run of its own characters: a long
line would take minutes, in which the whole agent stands still.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from functools import cache

import base58
from mnemonic import Mnemonic

REMOVED = "[removed]"

_PHRASE_WORDS_MIN = 12
_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        r"(?<![1-9A-HJ-NP-Za-km-z])[1-9A-HJ-NP-Za-km-z]{80,96}(?![1-9A-HJ-NP-Za-km-z])",  # 64 bytes in base58
        r"(?<!sha256:)(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})(?![0-9A-Fa-f])",
        r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{42,}+={1,2}",  # 32 bytes or more in base64
        r"\d{1,3}(?:\s*,\s*\d{1,3}){31,}",  # bytes as the Solana CLI writes them
        r"(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)",
        r"(?i)(?<=bearer )\S+",
        r"(?i)(?<=password[=: ])\S+",
        r"(?<=://)[^\s/@]*(?=@)",
        r"(?<=\?)[^\s\"'<>]+(?<![.,;)])",  # the query of an address
    )
)
_WORDS = re.compile(r"[a-z]{3,8}(?:\s+[a-z]{3,8}){11,}")


class Redactor:
    """``keys``: those that lie on this machine; ``names``: what is shown as something else, such as the
    person's folder."""

    def __init__(self, keys: Iterable[bytes] = (), names: dict[str, str] | None = None) -> None:
        self._forms = sorted({form for key in keys for form in _forms(key)}, key=len, reverse=True)
        self._names = names or {}

    def clean(self, text: str) -> str:
        """The text without them."""
        for form in self._forms:
            text = text.replace(form, REMOVED)
        for shape in _SHAPES:
            text = shape.sub(REMOVED, text)
        text = _WORDS.sub(_without_phrase, text)
        for name, shown in self._names.items():
            text = text.replace(name, shown)
        return text


def _forms(key: bytes) -> set[str]:
    """How somebody may have written down a key: in full, and its first half alone."""
    found: set[str] = set()
    for raw in {key, key[:32]}:
        numbers = [str(byte) for byte in raw]
        found |= {raw.hex(), raw.hex().upper(), ", ".join(numbers), ",".join(numbers), repr(raw)[2:-1]}
        found.add(base58.b58encode(raw).decode())
        # of base64, what does not depend on the bytes that follow
        found |= {encode(raw).decode()[:42] for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    found |= {json.dumps(form)[1:-1] for form in found}
    return found - {""}


@cache
def _phrase_words() -> frozenset[str]:
    return frozenset(Mnemonic("english").wordlist)


def _without_phrase(found: re.Match[str]) -> str:
    """Runs of words that could be a seed phrase; ordinary sentences have others in between."""
    words, known = found[0].split(), _phrase_words()
    run = longest = 0
    for word in words:
        run = run + 1 if word in known else 0
        longest = max(longest, run)
    return REMOVED if longest >= _PHRASE_WORDS_MIN else found[0]
