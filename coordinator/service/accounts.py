"""What is on offer, and a buyer's own lines of the ledger."""

from __future__ import annotations

import logging

import trio

from coordinator.domain import ledger as rules
from coordinator.service.context import Context
from coordinator.service.follower import Follower
from coordinator.store import rates
from coordinator.store.database import Row, Tx
from coordinator.store.records import LoginRow
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import LEDGER_FRESH_S, LEDGER_WAIT_S, NODE_SILENT_S, POSTINGS_LISTED_MAX
from p2p.core.messages.jobs import (
    AccountRequest,
    Offer,
    OfferList,
    OffersRequest,
    Posting,
    PostingList,
)
from p2p.core.money import Asset

logger = logging.getLogger(__name__)


class Accounts:
    """``offers.list``, which nodes ask as ``node.rates``; ``account.show``."""

    def __init__(self, context: Context, follower: Follower) -> None:
        self._context = context
        self._follower = follower

    async def offers(self, login: LoginRow, request: OffersRequest) -> OfferList:
        """Every class with a rate, and how many nodes offer it now; what is free first, then the cheapest."""

        def work(tx: Tx) -> tuple[Offer, ...]:
            since_s = self._context.now_s() - NODE_SILENT_S
            online = {row["gpu_class"]: row for row in tx.rows("nodes.offers", since_s=since_s)}
            prices = rates.hourly(tx)
            return tuple(_offer(name, usd, online.get(name)) for name, usd in prices.items())

        offers = await self._context.run(work)
        order = sorted(
            offers, key=lambda offer: (-(offer.nodes_free > 0), offer.usd_micros_per_hour, offer.gpu_class)
        )
        return OfferList(tuple(order))

    async def show(self, login: LoginRow, request: AccountRequest) -> PostingList:
        """The wallet's ledger lines, newest first, after a look at what happened on chain."""
        try:
            # One that has much to read, such as at its first start, goes on without us.
            with trio.move_on_after(LEDGER_WAIT_S):
                await self._follower.follow(fresh_s=LEDGER_FRESH_S)
        except EnvironmentFailure as error:
            logger.info("history of %s: %s", login.wallet, error.what)
        limit = max(1, min(request.limit, POSTINGS_LISTED_MAX))
        rows = await self._context.run(
            lambda tx: tx.rows("ledger.of_account", account=rules.user(login.wallet), limit=limit)
        )
        return PostingList(tuple(_posting(row) for row in rows))


def _offer(gpu_class: str, usd_micros: int, online: Row | None) -> Offer:
    return Offer(
        gpu_class=gpu_class,
        nodes_online=online["nodes_online"] if online else 0,
        nodes_free=online["nodes_free"] if online else 0,
        vram_max_bytes=online["vram_max_bytes"] if online else 0,
        usd_micros_per_hour=usd_micros,
    )


def _posting(row: Row) -> Posting:
    return Posting(
        transfer_id=row["transfer_id"],
        at_s=row["at_s"],
        kind=row["kind"],
        job_id=row["job_id"] or "",
        asset=Asset(row["asset"]),
        units=row["units"],
        signature=row["signature"],
    )
