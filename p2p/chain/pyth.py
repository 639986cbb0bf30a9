"""A price that Pyth posted on the chain: the account as bytes, and as a value here.

The layout is that of ``PriceUpdateV2`` in ``pyth-solana-receiver-sdk``: eight bytes for the type, then Borsh.
The level of verification has one byte when it is full and two when it is partial; what follows moves with it,
and the account is as long as the longer form.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import Wallet
from p2p.core.limits import PRICE_MAX_USD_MICROS

if TYPE_CHECKING:
    from p2p.chain.reads import ChainReads

RECEIVER_PROGRAM = Wallet("rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ")
"""Owns every price account; checks the guardians' signatures before it writes one."""
SOL_USD_FEED = bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d")
SOL_USD_ACCOUNT = Wallet("7UVimffxr9ow1uXYxsr4LHAcV58mLzhmwaeKvJ1pjLiE")
"""The sponsored feed of devnet and mainnet: shard 0 of ``SOL_USD_FEED`` at Pyth's push oracle."""

ACCOUNT_BYTES = 134
_DISCRIMINATOR = hashlib.sha256(b"account:PriceUpdateV2").digest()[:8]
_FULLY_VERIFIED = 1
_LEVEL_AT = 40  # after the discriminator and the write authority
_MESSAGE = struct.Struct("<32sqQiqqqQ")  # feed, price, confidence, exponent, published, before, mean, its own
_USD_MICROS_EXPONENT = -6
_EXPONENT_MIN, _EXPONENT_MAX = -12, 0


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """USD micros per whole asset; ``mean``: the feed's moving mean of about an hour."""

    usd_micros: int
    confidence_usd_micros: int
    mean_usd_micros: int
    published_at_s: int


def decode_price(data: bytes, owner: str, feed: bytes) -> PriceUpdate:
    """The price in an account of the program ``owner``, for ``feed`` and no other.

    :raises EnvironmentFailure: ``price_unreadable``: anybody's account, another feed's, one that was not
        verified in full, or a number that is no price.
    """
    if owner != RECEIVER_PROGRAM:
        raise _unreadable("the account is not Pyth's")
    if len(data) != ACCOUNT_BYTES or data[:8] != _DISCRIMINATOR:
        raise _unreadable("the account holds no price update")
    if data[_LEVEL_AT] != _FULLY_VERIFIED:
        raise _unreadable("the price was not verified in full")
    found, price, confidence, exponent, published_at_s, _, mean, _ = _MESSAGE.unpack_from(data, _LEVEL_AT + 1)
    if found != feed:
        raise _unreadable("the account holds the price of something else")
    if not _EXPONENT_MIN <= exponent <= _EXPONENT_MAX:
        raise _unreadable(f"the exponent is {exponent}")
    update = PriceUpdate(
        usd_micros(price, exponent),
        -usd_micros(-confidence, exponent),
        usd_micros(mean, exponent),
        published_at_s,
    )
    if not (0 < update.usd_micros <= PRICE_MAX_USD_MICROS and update.mean_usd_micros > 0):
        raise _unreadable("it is not a price")
    return update


def usd_micros(number: int, exponent: int) -> int:
    """``number × 10^exponent`` dollars in USD micros, rounded down (a negated confidence: away from zero)."""
    shift = exponent - _USD_MICROS_EXPONENT
    scale: int = 10 ** abs(shift)
    return number * scale if shift >= 0 else number // scale


async def read_price(chain: ChainReads, account: Wallet, feed: bytes) -> tuple[PriceUpdate, int]:
    """The price in ``account`` and the chain's own time, by one question to one node.

    :raises EnvironmentFailure: ``price_unreadable``, or the chain cannot be reached.
    """
    found, chain_time_s = await chain.account_and_time(account)
    if found is None:
        raise _unreadable(f"there is no account {account}")
    data, owner = found
    return decode_price(data, owner, feed), chain_time_s


def _unreadable(why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "price_unreadable",
        f"The Pyth feed cannot be read: {why}.",
        "Nothing is priced by it.",
        "Check pyth_account in [prices] and cluster in [chain].",
        retryable=False,
    )
