"""What a SOL is worth: asked of the feed that the operator chose, and quoted by only while it is good."""

from __future__ import annotations

import logging
from typing import Protocol

import trio

from coordinator.domain.prices import SolPrice
from coordinator.domain.settings import LOCALNET, SolFeed
from coordinator.service.context import Context
from coordinator.store import rates
from p2p.chain.pyth import SOL_USD_ACCOUNT, SOL_USD_FEED, PriceUpdate, read_price
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.limits import ADMIN_PRICE_AGE_MAX_S, PRICE_CACHE_S, PRICE_READ_MAX_S, SOL_PRICE_AGE_MAX_S

logger = logging.getLogger(__name__)


class Feed(Protocol):
    """A source of the price of SOL."""

    source: SolFeed

    async def read(self) -> SolPrice:
        """:raises EnvironmentFailure: there is none to be had."""
        ...


class AdminFeed:
    """The price that the operator set. On a localnet, whose money is play money, it does not get old."""

    source = SolFeed.ADMIN

    def __init__(self, context: Context) -> None:
        self._context = context
        on_localnet = context.chain.chain.cluster == LOCALNET
        self._age_max_s = None if on_localnet else ADMIN_PRICE_AGE_MAX_S

    async def read(self) -> SolPrice:
        usd_micros, set_at_s = await self._context.run(rates.admin_sol_price)
        age_s = self._context.now_s() - set_at_s
        return SolPrice(self.source, usd_micros, age_s, self._age_max_s, 0, usd_micros)


class PythFeed:
    """An account that Pyth keeps up to date on the chain. One read serves all quotes of ``PRICE_CACHE_S``."""

    source = SolFeed.PYTH

    def __init__(self, context: Context) -> None:
        self._chain, self._clock = context.chain, context.clock
        self._account = context.settings.pyth_account or SOL_USD_ACCOUNT
        self._lock = trio.Lock()
        self._found: tuple[PriceUpdate, int] | EnvironmentFailure | None = None
        self._asked_at_s = 0.0

    async def read(self) -> SolPrice:
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._found is None or now_s - self._asked_at_s >= PRICE_CACHE_S:
                self._found = await self._ask()
                self._asked_at_s = now_s
            found, asked_at_s = self._found, self._asked_at_s
        if isinstance(found, EnvironmentFailure):
            raise EnvironmentFailure(found.code, found.what, found.meaning, found.hint)
        update, chain_time_s = found
        age_s = chain_time_s - update.published_at_s + self._clock.monotonic_s() - asked_at_s
        return SolPrice(
            self.source,
            update.usd_micros,
            age_s,
            SOL_PRICE_AGE_MAX_S,
            update.confidence_usd_micros,
            update.mean_usd_micros,
        )

    async def _ask(self) -> tuple[PriceUpdate, int] | EnvironmentFailure:
        with trio.move_on_after(PRICE_READ_MAX_S):
            try:
                return await read_price(self._chain, self._account, SOL_USD_FEED)
            except EnvironmentFailure as error:
                return error
        return EnvironmentFailure("price_unreadable", f"The feed did not answer in {PRICE_READ_MAX_S:.0f} s.")


class Prices:
    """The price of SOL for quotes, and what the operator is shown of it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        pyth = context.settings.feed_on(context.chain.chain.cluster) is SolFeed.PYTH
        self._feed: Feed = PythFeed(context) if pyth else AdminFeed(context)
        self._told = ""

    async def sol_usd_micros(self) -> int:
        """USD micros per SOL, good enough to quote by.

        :raises Refused: ``sol_price_stopped``.
        """
        price, fault = await self._look()
        if price is None or fault:
            raise Refused(
                "sol_price_stopped",
                f"No job is priced in SOL now: the price of SOL {fault if price else 'is unknown'}.",
                "Nothing was submitted and nothing was paid; jobs that were quoted before keep their price.",
                "Pay in USDC (`--asset usdc`), or try again in a few minutes.",
            )
        return price.usd_micros

    async def watch(self) -> None:
        """Write down how the feed is, and say in the log when that changes."""
        price, fault = await self._look()
        now_s = self._context.now_s()
        await self._context.run(lambda tx: rates.keep_seen(tx, self._feed.source, price, fault, now_s))
        if bool(fault) != bool(self._told):
            if fault:
                logger.error("quotes in SOL are stopped: the price of SOL %s", fault)
            else:
                logger.info("quotes in SOL go on")
        self._told = fault

    async def _look(self) -> tuple[SolPrice | None, str]:
        try:
            price = await self._feed.read()
        except EnvironmentFailure as error:
            return None, f"is unknown: {error.what.rstrip('.')}"
        return price, price.fault()
