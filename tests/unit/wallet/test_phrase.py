"""Seed phrases: known answers, and everything that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from p2p.chain.phrase import WORDS_ALLOWED, keypair_of, new_phrase
from p2p.chain.secret import Secret
from p2p.core.errors import UserError

ZEROS = "abandon " * 11 + "about"


def test_the_address_that_phantom_and_solflare_show() -> None:
    assert str(keypair_of(Secret(ZEROS)).pubkey()) == "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"


def test_account_and_passphrase_make_other_keys() -> None:
    phrase = Secret(ZEROS)
    keys = {
        str(keypair_of(phrase, passphrase, account).pubkey())
        for passphrase in (None, Secret("TREZOR"))
        for account in (0, 1)
    }
    assert len(keys) == 4


def test_spelling_does_not_matter() -> None:
    tidy, untidy = Secret(ZEROS), Secret(f"\n  {ZEROS.upper().replace(' ', '   ')}\t")
    assert keypair_of(tidy) == keypair_of(untidy)


@given(st.sampled_from([16, 20, 24, 28, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_every_phrase_of_the_standard_is_taken(entropy: bytes) -> None:
    keypair_of(Secret(Mnemonic("english").to_mnemonic(entropy)))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 23), st.integers(1, 2047))
def test_a_wrong_word_is_found_or_makes_a_valid_phrase(entropy: bytes, place: int, shift: int) -> None:
    """The checksum has 8 bits with 24 words: 255 of 256 slips are found, the rest are phrases themselves."""
    standard = Mnemonic("english")
    words = standard.to_mnemonic(entropy).split()
    words[place] = standard.wordlist[(standard.wordlist.index(words[place]) + shift) % 2048]
    slip = " ".join(words)
    if standard.check(slip):
        keypair_of(Secret(slip))
    else:
        with pytest.raises(UserError, match="checksum"):
            keypair_of(Secret(slip))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 words"),
        ("abandon " * 11, "11 words"),
        ("abandon " * 12, "checksum"),
        ("abandon " * 11 + "canaryword", "Word 12"),
        ("a" * 600, "too long"),
        (b"\xff\xfe", "not text"),
    ],
)
def test_what_is_no_phrase_is_refused_without_repeating_it(text: str | bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        keypair_of(Secret(text))
    assert caught.value.code == "bad_phrase"
    assert "canaryword" not in "".join(caught.value.lines())


def test_an_account_beyond_the_standard_is_refused() -> None:
    for account in (-1, 2**31):
        with pytest.raises(UserError):
            keypair_of(Secret(ZEROS), account=account)


@pytest.mark.parametrize("words", WORDS_ALLOWED)
def test_new_phrases_differ_and_are_valid(words: int) -> None:
    first, second = new_phrase(words), new_phrase(words)
    assert len(first.text().split()) == words
    assert first != second
    keypair_of(first)


def test_other_lengths_are_not_made() -> None:
    with pytest.raises(ValueError, match="words"):
        new_phrase(13)
