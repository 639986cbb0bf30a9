"""The ledger follows the program's finalized history: whatever moved on chain is posted, whoever moved it.

Only what is final is posted, so that nothing has to be taken back. Several coordinators on one database may
follow at once; what one has posted the other finds there.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import trio

from coordinator.domain import ledger as rules
from coordinator.domain.book import Book, Reading
from coordinator.service.effects import Boundary, Effect, no_effect
from coordinator.store import book as store_book
from coordinator.store import ledger
from coordinator.store.database import Database, Tx
from p2p.chain.calls import Mention, mentions_of
from p2p.chain.config import FINALIZED
from p2p.chain.escrow import EscrowClient
from p2p.chain.movements import Landing, MovementReader
from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import LEDGER_PAGE_MAX, LEDGER_PAGES_MAX, LEDGER_UNPOSTED_MAX
from p2p.core.money import Asset

logger = logging.getLogger(__name__)

FEES = "fees"
"""An account of older ledgers: what was earned in fees, not saying whose it is."""


class History:
    """The program's finalized transactions after those that the ledger has read."""

    def __init__(self, db: Database, chain: EscrowClient) -> None:
        self._db = db
        self._chain = chain
        self._reader = MovementReader()

    @property
    def chain(self) -> EscrowClient:
        """Reads of what is final."""
        return self._chain.at(FINALIZED)

    async def pages(self, min_slot: int = 0) -> AsyncGenerator[tuple[list[Landing], Mention | None], None]:
        """What could not be posted so far, then what is new, oldest first; with each page its newest mention.

        ``min_slot``: nothing up to this slot is missing.

        :raises EnvironmentFailure: the chain or the database cannot be reached.
        """
        head, waiting = await self._db.run(
            lambda tx: (ledger.head(tx), tx.rows("ledger.unposted", limit=LEDGER_UNPOSTED_MAX))
        )
        mentions = [Mention(row["signature"], row["slot"], False) for row in waiting]
        if mentions:
            yield await self.landings(mentions), None
        first = await self._mentions("", head.read_signature, min_slot)
        starts: list[str] = []
        if first:  # a node that is behind would say that there is nothing older than what it does not know
            min_slot = max(min_slot, first[0].slot)
        page = first
        while len(page) == LEDGER_PAGE_MAX and len(starts) < LEDGER_PAGES_MAX:
            starts.append(page[-1].signature)
            page = await self._mentions(starts[-1], head.read_signature, min_slot)
        for start in reversed(starts):
            page = await self._mentions(start, head.read_signature, min_slot)
            if page:
                yield await self.landings(page[::-1]), page[0]
        if first:
            yield await self.landings(first[::-1]), first[0]

    async def _mentions(self, before: str, until: str, min_slot: int) -> list[Mention]:
        program = self.chain.chain.program_id
        return await mentions_of(
            self.chain, program, LEDGER_PAGE_MAX, before=before, until=until, min_slot=min_slot
        )

    async def landings(self, mentions: Sequence[Mention]) -> list[Landing]:
        """What some transactions did."""
        return await self._reader.landings(self.chain, mentions)


class Follower:
    """Posts the history. One in each coordinator."""

    def __init__(self, db: Database, chain: EscrowClient, clock: Clock, effect: Effect = no_effect) -> None:
        self._db = db
        self._clock = clock
        self._effect = effect
        self._lock = trio.Lock()
        self._followed_at_s = -float("inf")
        self._is_first = True
        self.history = History(db, chain)

    async def follow(self, *, fresh_s: float = 0.0) -> int:
        """Post what has become final since the last time; how many transfers.

        ``fresh_s``: unless this was done so recently.

        :raises EnvironmentFailure: the chain or the database cannot be reached; what was read is posted.
        """
        async with self._lock:
            began_s = self._clock.monotonic_s()
            if began_s - self._followed_at_s < fresh_s:
                return 0
            posted = 0
            async with aclosing(self.history.pages()) as pages:
                async for landings, newest in pages:
                    posted += await self.take(landings, newest)
            if self._is_first:
                posted += await self._carry()
                self._is_first = False
            self._followed_at_s = began_s
            return posted

    async def take(self, landings: Sequence[Landing], newest: Mention | None = None) -> int:
        """Post some transactions, in one transaction of the database; how many transfers.

        One that breaks a rule of the database's holds up no other: it is kept with the reason.
        """
        now_s = self._clock.now_s()
        await self._effect(Boundary.LEDGER_READ)
        try:
            reading = await self._db.run(lambda tx: take(tx, landings, newest, now_s))
        except EnvironmentFailure:
            raise
        except Exception as mistake:
            logger.exception("the ledger cannot post %d transactions together", len(landings))
            return await self._take_apart(landings, newest, repr(mistake))
        await self._effect(Boundary.LEDGER_POSTED)
        for signature, reason in reading.unexplained.items():
            logger.warning("transaction %s cannot be posted yet: %s", signature, reason)
        return len(reading.transfers)

    async def _take_apart(self, landings: Sequence[Landing], newest: Mention | None, mistake: str) -> int:
        posted = 0
        if len(landings) > 1:
            for landing in landings:
                posted += await self.take([landing])
        now_s = self._clock.now_s()

        def work(tx: Tx) -> None:
            if len(landings) == 1:
                store_book.put_off(tx, landings[0], f"a mistake of the ledger's: {mistake[:300]}", now_s)
            if newest is not None:
                tx.execute("ledger.read_on", signature=newest.signature, slot=newest.slot)

        await self._db.run(work)
        return posted

    async def _carry(self) -> int:
        """Give the fees of an older ledger to whom the program pays them."""
        if not any((await self._db.run(_fees)).values()):
            return 0
        owner, now_s = (await self.history.chain.config()).fee_owner, int(self._clock.now_s())

        def work(tx: Tx) -> int:
            number = ledger.lock(tx).seq
            held = [(asset, units) for asset, units in _fees(tx).items() if units]
            return ledger.post(tx, [rules.carry(FEES, owner, *each, number, now_s) for each in held])

        return await self._db.run(work)


def _fees(tx: Tx) -> dict[Asset, int]:
    return {asset: ledger.total(tx, FEES, asset) for asset in Asset}


def take(tx: Tx, landings: Sequence[Landing], newest: Mention | None, now_s: float) -> Reading:
    """Post what some transactions did, each once however often they are heard of; and what came of it.

    ``newest``: the last transaction of the program up to which nothing is left out.
    """
    ledger.lock(tx)
    reading = Book(store_book.load(tx, landings), now_s).read(landings)
    store_book.keep(tx, landings, reading, now_s)
    if newest is not None:
        tx.execute("ledger.read_on", signature=newest.signature, slot=newest.slot)
    return reading
