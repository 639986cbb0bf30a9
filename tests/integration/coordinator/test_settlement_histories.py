"""Random settlement histories: the ledger has what happens on chain, to the unit, and nobody is paid twice.

The real program in the real runtime, the ledger's own path from transactions to postings, a real PostgreSQL.
Nothing here knows how money is divided: the chain says what everybody has, and the ledger has to say the
same. What is sent is chosen blindly, so that much of it is refused; what was not refused counts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import trio

from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Kind
from coordinator.service.comparison import Account, compare
from coordinator.service.follower import Follower
from coordinator.store import ledger
from coordinator.store.database import Database, Row, Tx
from p2p.chain.calls import mentions_of
from p2p.chain.instructions import Tag
from p2p.chain.keys import Signer
from p2p.chain.recorded import RecordedChain, RecordedClient
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.money import Asset
from p2p.testing.random_history import NAMES, RandomHistory

STEPS = 24

Way = Callable[[random.Random], Any]


class Bench:
    """The chain, and two coordinators on one database that hear of what happens there in many ways."""

    def __init__(self, databases: Sequence[Database]) -> None:
        self.box = RecordedChain()
        self.box.give_sol(self.box.fee_owner.address, 10**12)
        self.box.give_usdc(self.box.fee_owner.address, 0)
        self.db = databases[0]
        client = RecordedClient(self.box)
        self.followers = [Follower(db, client, SYSTEM_CLOCK) for db in databases]
        self.sent: Counter[str] = Counter()
        self.people: list[Signer] = []

    @property
    def history(self) -> Any:
        return self.followers[0].history

    async def in_order(self, draw: random.Random) -> None:
        await draw.choice(self.followers).follow()

    async def at_once(self, draw: random.Random) -> None:
        async with trio.open_nursery() as nursery:
            for follower in self.followers:
                nursery.start_soon(follower.follow)

    async def twice(self, draw: random.Random) -> None:
        landings = await self.history.landings((await self._new())[::-1])
        await self.followers[0].follow()
        assert await self.followers[1].take(landings) == 0

    async def disordered(self, draw: random.Random) -> None:
        """In pieces, some of them twice; but new settings first, as nothing else tells what held when."""
        landings = await self.history.landings((await self._new())[::-1])
        settings = [landing for landing in landings if Tag.SET_CONFIG in (m.tag for m in landing.movements)]
        await self.followers[0].take(settings)
        pieces = [landing for landing in landings for _ in range(draw.choice([1, 1, 2]))]
        draw.shuffle(pieces)
        while pieces:
            size = draw.randint(1, 8)
            await draw.choice(self.followers).take(pieces[:size])
            del pieces[:size]
        await self.in_order(draw)

    async def _new(self) -> list[Any]:
        head = self.db.transact(ledger.head)
        program = self.history.chain.chain.program_id
        return await mentions_of(self.history.chain, program, 1000, until=head.read_signature)

    async def run(self, seed: int) -> None:
        draw = random.Random(seed)
        people = [self.box.person(sol=10**12, usdc=10**12) for _ in range(4)]
        history = RandomHistory(self.box, draw, people)
        ways: list[Way] = [self.in_order, self.at_once, self.twice, self.disordered]
        for _ in range(draw.choice([1, 2])):
            for _ in range(STEPS // 2):
                history.step()
            await draw.choice(ways)(draw)
        await self.check(history)
        history.leave()
        await draw.choice(ways)(draw)
        await self.check(history)
        self.check_end(history)
        self.box.forget()
        self.sent.update(history.sent)
        self.people += people[:1]  # may have been named to get the fees of later ones

    async def check(self, history: RandomHistory) -> None:
        found = await compare(self.db, self.history, accounts_of(history), 0.0)
        assert [difference.text for difference in found.differences] == []
        assert (found.late, found.unexplained) == ([], {})

    def check_end(self, history: RandomHistory) -> None:
        """Nobody has anything left, and no escrow was paid more than once, nor given back as well."""
        everything = [(rules.user(who.address), asset) for who in history.people for asset in Asset]
        escrows = {rules.escrow(job.owner.address, job.job_id) for job in history.jobs}
        everything += [(escrow, asset) for escrow in escrows for asset in Asset]
        names = [name for name, _ in everything]
        rows = self.db.transact(lambda tx: tx.rows("ledger.balances", accounts=names))
        assert [row for row in rows if row["units"]] == []
        for escrow in escrows:
            lines = self.db.transact(partial(_lines, account=escrow))
            kinds = Counter(line["kind"] for line in lines)
            assert kinds[Kind.OPEN.value] == 1
            assert kinds[Kind.SETTLE.value] <= 1
            assert kinds[Kind.REVERSAL.value] == 0
            paid = [line["signature"] for line in lines if line["kind"] == Kind.SETTLE.value]
            late = {line["signature"] for line in lines if line["kind"] == Kind.TOP_UP.value}
            back = {line["signature"] for line in lines if line["kind"] == Kind.REFUND.value} - late
            assert len(paid) + len(back) == 1
            assert sum(line["units"] for line in lines) == 0

    async def check_all(self) -> None:
        """The last have left: there is nothing any more, nowhere."""
        rest = RandomHistory(self.box, random.Random(0), self.people)
        for who in self.people:
            rest.take_all(who)
        await self.followers[0].follow()
        sums = self.db.transact(ledger.sums)
        assert {account for account, units in sums.items() if units} == set()
        assert all(self.box.asset(asset).owed_units == self.box.vault(asset) == 0 for asset in Asset)
        self.box.check_books()
        assert self.db.transact(lambda tx: tx.rows("ledger.stray_balances")) == []
        after = 0
        while True:
            after, broken = self.db.transact(partial(ledger.verify, after_seq=after))
            assert broken is None
            if not after:
                break
        # The histories were worth something: everything was tried, and everything was done.
        done = {name.partition(" ")[0] for name in self.sent if name.endswith("done")}
        assert done == set(NAMES) - {"time"}


def accounts_of(history: RandomHistory) -> list[Account]:
    """Everything on which the two may differ; with the totals, there is no other."""
    everybody = {person.address for person in history.people} | {job.fee_owner for job in history.jobs}
    everybody.add(history.box.fee_owner.address)
    found = [(rules.user(who), asset) for who in everybody for asset in Asset]
    found += [(rules.escrow(job.owner.address, job.job_id), job.asset) for job in history.jobs]
    return [*found, *((rules.CHAIN, asset) for asset in Asset)]


def _lines(tx: Tx, account: str) -> list[Row]:
    return tx.rows("ledger.of_account", account=account, limit=50)


async def run(dsn: str, histories: int, first_seed: int) -> None:
    with Database(dsn) as one, Database(dsn) as two:
        bench = Bench([one, two])
        for seed in range(first_seed, first_seed + histories):
            try:
                await bench.run(seed)
            except Exception as error:
                error.add_note(f"history {seed}, after {seed - first_seed} others")
                raise
        await bench.check_all()


@pytest.mark.timeout(900)
async def test_a_thousand_settlement_histories(dsn: str) -> None:
    await run(dsn, 1000, 0)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_ten_thousand_settlement_histories(dsn: str) -> None:
    await run(dsn, 10_000, 1_000_000)
