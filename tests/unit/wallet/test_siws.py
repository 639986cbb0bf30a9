"""Sign In With Solana texts: both directions agree to the byte."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.chain.browser.checks import check_sign_in, parse_sign_in
from p2p.chain.browser.siws import SiwsFields
from p2p.chain.keys import Signer
from p2p.core.errors import Refused

HOST = "127.0.0.1:41234"
words = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters=" :/-."), min_size=1)
maybe = st.just("") | words.filter(lambda text: text.strip() == text)
fields_given = st.builds(
    SiwsFields,
    domain=st.just(HOST),
    address=st.just("HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"),
    statement=maybe.filter(lambda text: ": " not in text and not text.startswith("Resources:")),
    uri=maybe,
    version=maybe,
    chain_id=maybe,
    nonce=maybe,
    issued_at=maybe,
    expiration_time=maybe,
    not_before=maybe,
    request_id=maybe,
    resources=st.lists(maybe.filter(bool), max_size=3).map(tuple),
)


@given(fields_given)
def test_a_text_is_taken_apart_into_what_it_was_made_of(fields: SiwsFields) -> None:
    assert SiwsFields.parse(fields.text()) == fields


@given(st.text())
def test_what_is_parsed_is_the_text_itself_or_refused(text: str) -> None:
    with suppress(Refused):
        assert SiwsFields.parse(text).text() == text


@given(fields_given, st.integers(0, 400), st.characters(codec="utf-8"))
def test_a_changed_text_is_other_fields_or_none(fields: SiwsFields, place: int, char: str) -> None:
    text = fields.text()
    changed = text[: place % len(text)] + char + text[place % len(text) + 1 :]
    if changed == text:
        return
    with suppress(Refused):
        assert SiwsFields.parse(changed) != fields


def test_the_example_of_the_specification() -> None:
    text = SiwsFields(
        domain="example.com",
        address="HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk",
        statement="Hello",
        uri="https://example.com",
        version="1",
        chain_id="mainnet",
        nonce="abcdef12",
        issued_at="2026-11-23T10:00:00Z",
        resources=("https://example.com/a", "https://example.com/b"),
    ).text()
    assert text.split("\n") == [
        "example.com wants you to sign in with your Solana account:",
        "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk",
        "",
        "Hello",
        "",
        "URI: https://example.com",
        "Version: 1",
        "Chain ID: mainnet",
        "Nonce: abcdef12",
        "Issued At: 2026-11-23T10:00:00Z",
        "Resources:",
        "- https://example.com/a",
        "- https://example.com/b",
    ]


def test_fields_reach_the_wallet_under_their_own_names() -> None:
    fields = SiwsFields("h", "a", chain_id="localnet", issued_at="t", resources=("r",))
    assert fields.wallet_input() == {
        "domain": "h",
        "address": "a",
        "chainId": "localnet",
        "issuedAt": "t",
        "resources": ["r"],
    }


def test_only_this_wallets_signature_over_this_very_text_counts() -> None:
    signer, other = Signer.generate(), Signer.generate()
    text = SiwsFields(HOST, signer.address, uri=f"http://{HOST}", chain_id="solana:devnet").text()
    fields = parse_sign_in(text, signer.address, HOST, "devnet")
    message = text.encode()
    good = check_sign_in(fields, signer.address, message, signer.sign(message))
    assert (good.wallet, good.text) == (signer.address, text)
    for wallet, signed, signature, code in (
        (other.address, message, signer.sign(message), "wrong_account"),
        (signer.address, message + b" ", signer.sign(message + b" "), "other_text"),
        (signer.address, message, other.sign(message), "bad_signature"),
        (signer.address, message, bytes(64), "bad_signature"),
        (signer.address, message, b"", "bad_signature"),
    ):
        with pytest.raises(Refused) as caught:
            check_sign_in(fields, wallet, signed, signature)
        assert caught.value.code == code
