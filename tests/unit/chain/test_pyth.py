"""Pyth's account: what the real one says, and that nothing else passes for it."""

from __future__ import annotations

import struct
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from p2p.chain.pyth import (
    ACCOUNT_BYTES,
    RECEIVER_PROGRAM,
    SOL_USD_ACCOUNT,
    SOL_USD_FEED,
    decode_price,
    usd_micros,
)
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import PRICE_MAX_USD_MICROS

PUSH_ORACLE = "pythWSnswVUd12oZpeFP8e9CVaEqJg25g1Vtc2biRsT"
OF_DEVNET = bytes.fromhex(  # the sponsored account as it was on devnet on 13 August 2026
    "22f123639d7ef4cd6031470434 0deddf371fd42472148f248e9d1a6d1a5eb2ac3acd8b7fd5d6b243"
    "01ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"
    "34e691c501000000 5e55420000000000 f8ffffff b7397e6a00000000 b7397e6a00000000"
    "f0109cc501000000 e4f0430000000000 0a0fd31c00000000 00"
)


def account(
    price: int = 7_610_659_380,
    confidence: int = 4_347_230,
    exponent: int = -8,
    mean: int = 7_611_322_608,
    *,
    level: bytes = b"\x01",
    feed: bytes = SOL_USD_FEED,
) -> bytes:
    message = struct.pack("<32sqQiqqqQQ", feed, price, confidence, exponent, 10, 9, mean, 1, 5)
    head = sha256(b"account:PriceUpdateV2").digest()[:8] + bytes(32) + level
    return (head + message).ljust(ACCOUNT_BYTES, b"\0")


def refuse(data: bytes, owner: str = RECEIVER_PROGRAM) -> str:
    with pytest.raises(EnvironmentFailure) as caught:
        decode_price(data, owner, SOL_USD_FEED)
    assert caught.value.code == "price_unreadable"
    return caught.value.what


def test_the_account_of_devnet_is_read() -> None:
    update = decode_price(OF_DEVNET, RECEIVER_PROGRAM, SOL_USD_FEED)
    assert (update.usd_micros, update.confidence_usd_micros) == (76_096_405, 43_473)
    assert (update.mean_usd_micros, update.published_at_s) == (76_103_068, 1_786_657_207)


def test_the_sponsored_account_is_that_of_the_feed() -> None:
    seeds = [(0).to_bytes(2, "little"), SOL_USD_FEED]
    found, _ = Pubkey.find_program_address(seeds, Pubkey.from_string(PUSH_ORACLE))
    assert str(found) == SOL_USD_ACCOUNT


def test_what_is_not_pyths_or_not_this_feed_is_refused() -> None:
    assert "not Pyth's" in refuse(account(), "11111111111111111111111111111111")
    assert "something else" in refuse(account(feed=bytes(32)))
    assert "not verified in full" in refuse(account(level=b"\x00\x05"))
    assert "not verified in full" in refuse(account(level=b"\x02"))
    assert "no price update" in refuse(bytes([account()[0] ^ 1]) + account()[1:])
    for size in range(ACCOUNT_BYTES):
        refuse(account()[:size])
    refuse(account() + b"\0")


@pytest.mark.parametrize("exponent", [-(2**31), -13, 1, 2**31 - 1])
def test_an_absurd_exponent_is_refused(exponent: int) -> None:
    assert "exponent" in refuse(account(exponent=exponent))


@pytest.mark.parametrize(
    ("price", "mean", "exponent"),
    [(0, 1, 0), (-1, 1, 0), (-(2**63), 1, 0), (1, 0, 0), (1, -1, 0), (1, 100, -8), (99, 10**9, -8)],
)
def test_no_price_is_refused(price: int, mean: int, exponent: int) -> None:
    assert "not a price" in refuse(account(price=price, mean=mean, exponent=exponent))


def test_the_highest_price_that_is_believed() -> None:
    most = PRICE_MAX_USD_MICROS * 100
    assert (
        decode_price(account(price=most), RECEIVER_PROGRAM, SOL_USD_FEED).usd_micros == PRICE_MAX_USD_MICROS
    )
    assert "not a price" in refuse(account(price=most + 100))


@given(st.binary(max_size=200), st.booleans())
def test_bytes_of_strangers_are_a_price_or_are_refused(data: bytes, dressed: bool) -> None:
    if dressed:
        data = (account()[:41] + data).ljust(ACCOUNT_BYTES, b"\0")[:ACCOUNT_BYTES]
    update = None
    with suppress(EnvironmentFailure):
        update = decode_price(data, RECEIVER_PROGRAM, SOL_USD_FEED)
    if update is not None:
        assert update.usd_micros > 0
        assert update.mean_usd_micros > 0
        assert update.confidence_usd_micros >= 0


@given(st.integers(1, 2**63 - 1), st.integers(0, 2**64 - 1), st.integers(-12, 0))
def test_a_price_is_rounded_down_and_its_doubt_up(price: int, confidence: int, exponent: int) -> None:
    scale = 10**12
    assert usd_micros(price, exponent) * scale <= price * 10 ** (exponent + 18)
    assert (usd_micros(price, exponent) + 1) * scale > price * 10 ** (exponent + 18)
    doubt = -usd_micros(-confidence, exponent)
    assert doubt * scale >= confidence * 10 ** (exponent + 18)
    assert (doubt - 1) * scale < confidence * 10 ** (exponent + 18)
