"""Seed phrases (BIP-39) and the Solana key that a wallet derives from them.

Words, checksum and seed as in BIP-39, English list; then SLIP-0010 along ``m/44'/501'/ACCOUNT'/0'``: what
Phantom and Solflare do, so that a phrase moves between them and us. (``solana-keygen`` without
``--derivation-path`` does something else: import its JSON file instead.)
"""

from __future__ import annotations

from functools import cache

from mnemonic import Mnemonic
from solders.keypair import Keypair

from p2p.chain.secret import Secret
from p2p.core.errors import UserError
from p2p.core.limits import ACCOUNT_INDEX_MAX, SEED_PHRASE_MAX_CHARS

WORDS_ALLOWED = (12, 15, 18, 21, 24)
_BITS_PER_WORD_X3 = 32  # three words carry 33 bits, one of them checksum


@cache
def _english() -> Mnemonic:
    return Mnemonic("english")


def new_phrase(words: int = 24) -> Secret:
    """A fresh phrase from the system's randomness.

    :raises ValueError: not a number of words that BIP-39 knows.
    """
    if words not in WORDS_ALLOWED:
        raise ValueError(f"a seed phrase has one of {WORDS_ALLOWED} words")
    return Secret(_english().generate(words // 3 * _BITS_PER_WORD_X3))


def keypair_of(phrase: Secret, passphrase: Secret | None = None, account: int = 0) -> Keypair:
    """The key of ``m/44'/501'/account'/0'``. ``passphrase``: BIP-39's own, rarely used.

    :raises UserError: ``bad_phrase``: wrong number of words, an unknown word, or a wrong checksum.
    """
    if not 0 <= account <= ACCOUNT_INDEX_MAX:
        raise UserError("bad_account", "The account's number must be 0 or more; the first one is 0.")
    if problem := _problem(phrase):
        raise _bad(problem)  # here, where no local variable holds a word of it
    seed = Mnemonic.to_seed(" ".join(_words(phrase)), passphrase.text() if passphrase else "")
    return Keypair.from_seed_and_derivation_path(seed, f"m/44'/501'/{account}'/0'")


def _words(phrase: Secret) -> list[str]:
    return Mnemonic.normalize_string(phrase.text()).lower().split()


def _problem(phrase: Secret) -> str:
    """What is wrong with a phrase, if anything. Names a word's place, never the word."""
    if len(phrase) > SEED_PHRASE_MAX_CHARS:
        return "It is too long."
    try:
        words = _words(phrase)
    except UnicodeDecodeError:
        return "It holds bytes that are not text."
    if len(words) not in WORDS_ALLOWED:
        return f"It has {len(words)} words; a phrase has 12, 15, 18, 21 or 24."
    for place, word in enumerate(words, 1):
        if word not in _english().wordlist:
            return f"Word {place} is not in the BIP-39 English list."
    if not _english().check(" ".join(words)):
        return "Its checksum is wrong: a word is mistaken for another, or two have changed places."
    return ""


def _bad(why: str) -> UserError:
    return UserError(
        "bad_phrase",
        f"This is not a seed phrase. {why}",
        "Nothing was imported.",
        "Compare it with what was written down, word by word.",
    )
