"""Quotes in SOL go by a feed, and stop when it cannot be trusted; quotes in USDC go on."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest
import trio
from solders.pubkey import Pubkey

from coordinator.domain.settings import Settings, SolFeed
from coordinator.store import rates
from p2p.chain.pyth import ACCOUNT_BYTES, RECEIVER_PROGRAM, SOL_USD_ACCOUNT, SOL_USD_FEED
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import PRICE_CACHE_S, SOL_PRICE_AGE_MAX_S
from p2p.core.messages.jobs import Terms
from p2p.core.money import Asset, usd_to_units
from p2p.wire.codec import decode

PYTH = Settings(sol_feed=SolFeed.PYTH)
CENT = 10**6  # of the feed's eight decimals


@pytest.fixture
def post(localnet: Any) -> Any:
    """Writes the account as Pyth's receiver does, ``age_s`` ago by the chain's time."""

    def write(price: int, age_s: int = 1, confidence: int = CENT, owner: str = RECEIVER_PROGRAM) -> None:
        at_s = int(localnet.chain.now_s()) - age_s
        message = struct.pack(
            "<32sqQiqqqQQ", SOL_USD_FEED, price, confidence, -8, at_s, at_s - 1, price, confidence, 9
        )
        head = sha256(b"account:PriceUpdateV2").digest()[:8] + bytes(32) + b"\x01"
        localnet.put_account(SOL_USD_ACCOUNT, (head + message).ljust(ACCOUNT_BYTES, b"\0"), owner)

    yield write
    localnet.put_account(SOL_USD_ACCOUNT, b"", str(Pubkey.default()))


@asynccontextmanager
async def quoting(make_world: Any) -> AsyncIterator[tuple[Any, Any]]:
    async with make_world(run=False, settings=PYTH) as world:
        buyer = world.stranger()
        await buyer.login()
        yield world, buyer


async def terms(buyer: Any, asset: Asset = Asset.SOL) -> Terms:
    quote = await buyer.quote(buyer.spec(gpu_type="cpu", asset=asset))
    return decode(Terms, quote.terms.payload)


async def test_the_price_of_the_feed_is_in_the_terms(make_world: Any, post: Any) -> None:
    async with quoting(make_world) as (_, buyer):
        post(7_610_659_380)
        agreed = await terms(buyer)
        assert agreed.asset_price_usd_micros == 76_106_593
        assert agreed.rates[0].units_per_hour == usd_to_units(40_000, Asset.SOL, 76_106_593)
        assert (await terms(buyer, Asset.USDC)).asset_price_usd_micros == 1_000_000


async def test_quotes_in_sol_stop_and_go_on(make_world: Any, post: Any, refused: Any) -> None:
    async with quoting(make_world) as (world, buyer):
        bad: list[dict[str, Any]] = [
            {"age_s": SOL_PRICE_AGE_MAX_S + 5},
            {"age_s": -3600},
            {"confidence": 151 * CENT},
            {"owner": str(Pubkey.default())},
        ]
        for changes in bad:
            post(150 * 100 * CENT, **changes)
            with refused("sol_price_stopped"):
                await terms(buyer)
            await terms(buyer, Asset.USDC)
            await world.coordinator.prices.watch()
            seen = world.db.transact(rates.seen)
            assert seen["source"] == "pyth"
            assert seen["fault"]
            world.clock.ahead_s += PRICE_CACHE_S
        post(150 * 100 * CENT, confidence=150 * CENT)
        assert (await terms(buyer)).asset_price_usd_micros == 150_000_000
        await world.coordinator.prices.watch()
        seen = world.db.transact(rates.seen)
        assert (seen["usd_micros"], seen["confidence_usd_micros"], seen["fault"]) == (
            150_000_000,
            1_500_000,
            "",
        )


async def test_no_account_and_no_chain_stop_quotes_in_sol_only(
    make_world: Any, refused: Any, monkeypatch: Any
) -> None:
    async with quoting(make_world) as (world, buyer):
        with refused("sol_price_stopped"):
            await terms(buyer)

        async def unreachable(*_: object) -> None:
            raise EnvironmentFailure("chain_unreachable", "The chain cannot be reached: refused.")

        monkeypatch.setattr(world.chain, "account_and_time", unreachable)
        world.clock.ahead_s += PRICE_CACHE_S
        with refused("sol_price_stopped"):
            await terms(buyer)
        await terms(buyer, Asset.USDC)


async def test_a_feed_that_hangs_is_given_up(make_world: Any, refused: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.service.prices.PRICE_READ_MAX_S", 0.05)
    async with quoting(make_world) as (world, buyer):

        async def hang(*_: object) -> None:
            await trio.sleep_forever()

        monkeypatch.setattr(world.chain, "account_and_time", hang)
        with refused("sol_price_stopped"):
            await terms(buyer)


async def test_one_question_answers_many_quotes_and_its_price_grows_old(
    make_world: Any, post: Any, refused: Any, monkeypatch: Any
) -> None:
    async with quoting(make_world) as (world, buyer):
        asked = []
        real = world.chain.account_and_time

        async def count(address: object) -> Any:
            asked.append(address)
            return await real(address)

        monkeypatch.setattr(world.chain, "account_and_time", count)
        post(100 * CENT)
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(terms, buyer)
        assert asked == [SOL_USD_ACCOUNT]
        post(100 * CENT, age_s=SOL_PRICE_AGE_MAX_S - 2)
        world.clock.ahead_s += PRICE_CACHE_S
        await terms(buyer)
        world.clock.ahead_s += PRICE_CACHE_S - 1
        with refused("sol_price_stopped"):  # what was read has become too old since
            await terms(buyer)
        assert len(asked) == 2


async def test_a_price_set_by_hand_gets_old_but_on_a_localnet(
    make_world: Any, refused: Any, monkeypatch: Any
) -> None:
    async with make_world(run=False) as world:
        buyer = world.stranger()
        await buyer.login()
        assert (await terms(buyer)).asset_price_usd_micros == 150_000_000
    monkeypatch.setattr("coordinator.service.prices.LOCALNET", "another")
    async with make_world(run=False, settings=Settings(sol_feed=SolFeed.ADMIN)) as world:
        buyer = world.stranger()
        await buyer.login()
        with refused("sol_price_stopped"):
            await terms(buyer)
        world.db.transact(lambda tx: rates.set_sol_price(tx, 140_000_000, world.clock.now_s()))
        assert (await terms(buyer)).asset_price_usd_micros == 140_000_000
        world.clock.ahead_s += 3601
        with refused("sol_price_stopped"):
            await terms(buyer)
