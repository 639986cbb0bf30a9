"""Random settlement histories: the ledger has what happens on chain, to the unit, and nobody is paid twice.

The real program in the real runtime, the ledger's own path from transactions to postings, a real PostgreSQL.
Nothing here knows how money is divided: the chain says what everybody has, and the ledger has to say the
same. What is sent is chosen blindly, so that much of it is refused; what was not refused counts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import trio
from solders.instruction import Instruction

from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Kind
from coordinator.service.comparison import compare
from coordinator.service.follower import Follower
from coordinator.store import ledger
from coordinator.store.database import Database, Row, Tx
from p2p.chain import accounts
from p2p.chain.accounts import JobStatus
from p2p.chain.calls import mentions_of
from p2p.chain.instructions import Settings, Tag
from p2p.chain.keys import Signer
from p2p.chain.sandbox import LONGEST_JOB_S, REVIEW_WINDOW_S
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset
from p2p.testing.recorded_chain import RecordedChain, RecordedClient

STEPS = 24
START_UNITS = 10**6
HASH = bytes(32)


@dataclass
class Job:
    """What a step needs to know to be about it."""

    owner: Signer
    job_id: JobId
    asset: Asset
    node: Signer
    fee_owner: Wallet


@dataclass
class Random:
    """One history: its people and its jobs, on a chain that others had before and have after it."""

    box: RecordedChain
    draw: random.Random
    people: list[Signer]
    sent: Counter[str] = field(default_factory=Counter)
    jobs: list[Job] = field(default_factory=list)
    chosen: Job | None = None

    def __post_init__(self) -> None:
        self.build = self.box.build
        self.fee_owner = self.box.config().fee_owner

    def send(self, name: str, steps: Sequence[Instruction], payer: Signer, *signers: Signer) -> bool:
        if self.draw.random() < 0.6:
            self.box.slot += 1
        ok = self.box.send(steps, payer, *signers).ok
        self.sent[f"{name} {'done' if ok else 'refused'}"] += 1
        return ok

    def step(self) -> None:
        """Anything at all, or something that may well come next for one of the jobs."""
        self.chosen = self.draw.choice(self.jobs) if self.jobs else None
        likely = LIKELY.get(self._status(self.chosen), []) if self.chosen else []
        name = self.draw.choice(likely if likely and self.draw.random() < 0.7 else NAMES)
        if name in ABOUT_JOBS and not self.jobs:
            name = "open"
        getattr(self, f"_{name}")()

    def _status(self, job: Job) -> JobStatus | None:
        data = self.box.data(self.box.addresses.job(job.owner.address, job.job_id)) or b""
        return None if accounts.is_closed_job(data) else accounts.decode_job(data).status

    def _job(self) -> Job:
        assert self.chosen is not None
        return self.chosen

    def _used(self) -> int:
        return self.draw.randint(0, START_UNITS // self.draw.choice([1, 10, 100]))

    # -- money in and out

    def _deposit(self) -> None:
        who, asset = self.draw.choice(self.people), self.draw.choice(list(Asset))
        steps = [
            self.build.deposit(who.address, asset, self.draw.randint(1, START_UNITS))
            for _ in range(self.draw.choice([1, 1, 2]))
        ]
        self.send("deposit", steps, who)

    def _withdraw(self) -> None:
        who, asset = self.draw.choice(self.people), self.draw.choice(list(Asset))
        held = self.box.balance(who.address, asset)
        units = self.draw.choice([held, self.draw.randint(0, START_UNITS)])
        self.send("withdraw", [self.build.withdraw(who.address, asset, units)], who)

    # -- jobs

    def _open(self) -> None:
        owner, node = self.draw.sample(self.people, 2) if self.draw.random() < 0.9 else [self.people[0]] * 2
        asset, job_id = self.draw.choice(list(Asset)), self.box.job_id()
        if self.jobs and self.draw.random() < 0.1:
            job_id = self.jobs[-1].job_id  # somebody chose the same, or the same person again
        units = self.draw.randint(1, START_UNITS)
        opening = self.build.open(
            owner.address,
            owner.address,
            job_id,
            asset,
            deposit_units=units,
            terms_hash=HASH,
            run_s=self.draw.choice([60, REVIEW_WINDOW_S, 3 * REVIEW_WINDOW_S]),
        )
        steps = [self.build.deposit(owner.address, asset, units), opening]
        if self.send("open", steps[self.draw.choice([0, 0, 1]) :], owner):
            self.jobs.append(Job(owner, job_id, asset, node, self.box.job(owner.address, job_id).fee_owner))

    def _top_up(self) -> None:
        job, units = self._job(), self.draw.randint(1, START_UNITS)
        step = self.build.top_up(job.owner.address, job.owner.address, job.job_id, job.asset, units)
        deposit = self.build.deposit(job.owner.address, job.asset, units)
        self.send("top_up", [deposit, step], job.owner)

    def _assign(self) -> None:
        job = self._job()
        step = self.build.assign(
            self.box.coordinator.address,
            job.owner.address,
            job.job_id,
            job.asset,
            job.node.address,
            job.fee_owner,
        )
        self.send("assign", [step], self.box.coordinator)

    def _settle(self) -> None:
        """One, or several together."""
        others = [job for job in self.jobs if job is not self._job()]
        jobs = [self._job(), *self.draw.sample(others, min(len(others), self.draw.choice([0, 0, 1, 2])))]
        steps = [
            self.build.settle(
                self.box.coordinator.address,
                job.owner.address,
                job.owner.address,
                job.job_id,
                job.asset,
                **self._payees(job),
                used_units=self._used(),
                result_hash=HASH,
            )
            for job in jobs
        ]
        self.send(
            "settle", steps, self.box.coordinator, *{job.owner.address: job.owner for job in jobs}.values()
        )

    def _claim(self) -> None:
        job = self._job()
        step = self.build.claim(
            self.box.coordinator.address, job.owner.address, job.job_id, self._used(), HASH
        )
        self.send("claim", [step], self.box.coordinator)

    def _dispute(self) -> None:
        job = self._job()
        self.send(
            "dispute", [self.build.dispute(job.owner.address, job.owner.address, job.job_id)], job.owner
        )

    def _resolve(self) -> None:
        job = self._job()
        step = self.build.resolve(
            self.box.arbiter.address,
            job.owner.address,
            job.job_id,
            job.asset,
            **self._payees(job),
            used_units=self._used(),
        )
        self.send("resolve", [step], self.box.arbiter)

    def _finalize(self) -> None:
        job = self._job()
        self.send("finalize", [self._finalizing(job)], self.draw.choice(self.people))

    def _finalizing(self, job: Job) -> Instruction:
        return self.build.finalize(job.owner.address, job.job_id, job.asset, **self._payees(job))

    def _refund(self) -> None:
        job = self._job()
        by = self.draw.choice([self.box.coordinator, job.node])
        self.send("refund", [self.build.refund(by.address, job.owner.address, job.job_id, job.asset)], by)

    def _cancel(self) -> None:
        job = self._job()
        step = self.build.cancel(job.owner.address, job.owner.address, job.job_id, job.asset)
        self.send("cancel", [step], job.owner)

    def _reclaim(self) -> None:
        job = self._job()
        step = self.build.reclaim(job.owner.address, job.job_id, job.asset)
        self.send("reclaim", [step], self.draw.choice(self.people))

    def _close(self) -> None:
        job = self._job()
        step = self.build.close(job.owner.address, job.job_id, job.owner.address)
        self.send("close", [step], self.draw.choice(self.people))

    def _payees(self, job: Job) -> dict[str, Wallet]:
        return {"node": job.node.address, "fee_owner": job.fee_owner}

    # -- the rest of the world

    def _time(self) -> None:
        self.box.set_time(self.box.now_s + self.draw.choice([1, 61, REVIEW_WINDOW_S + 1]))

    def _settings(self) -> None:
        """Another fee, to another owner: of new jobs."""
        self.box.slot += 1  # which of several in one slot came last, only the order of a history tells
        owner = self.draw.choice([self.box.fee_owner, self.people[0]]).address
        settings = Settings(owner, self.draw.randint(0, 2000), REVIEW_WINDOW_S, LONGEST_JOB_S)
        self.send("settings", [self.build.set_config(self.box.admin.address, settings)], self.box.admin)
        self.box.slot += 1

    # -- the end

    def leave(self) -> None:
        """Every job comes to an end, and everybody takes everything that is theirs."""
        self.box.set_time(self.box.now_s + 2 * LONGEST_JOB_S)
        for job in self.jobs:
            payer = self.people[0]
            if not self.send("finalize", [self._finalizing(job)], payer):
                step = self.build.reclaim(job.owner.address, job.job_id, job.asset)
                self.send("reclaim", [step], payer)
        for who in (*self.people, self.box.fee_owner):
            self.take_all(who)

    def take_all(self, who: Signer) -> None:
        for asset in Asset:
            held = self.box.balance(who.address, asset)
            if held:
                assert self.send("withdraw", [self.build.withdraw(who.address, asset, held)], who)

    def accounts(self) -> list[tuple[str, Asset]]:
        """Everything on which the two may differ; with the totals, there is no other."""
        everybody = {person.address for person in self.people} | {job.fee_owner for job in self.jobs}
        everybody.add(self.box.fee_owner.address)
        found = [(rules.user(who), asset) for who in everybody for asset in Asset]
        found += [(rules.escrow(job.owner.address, job.job_id), job.asset) for job in self.jobs]
        return [*found, *((rules.CHAIN, asset) for asset in Asset)]


WEIGHTS = {"deposit": 1, "withdraw": 1, "open": 4, "top_up": 2, "assign": 6, "settle": 3, "claim": 3}
WEIGHTS |= {"dispute": 2, "resolve": 2, "finalize": 2, "refund": 1, "cancel": 1, "reclaim": 1, "close": 2}
WEIGHTS |= {"time": 3, "settings": 1}
LIKELY = {
    JobStatus.OPEN: ["assign", "assign", "assign", "top_up", "cancel"],
    JobStatus.ASSIGNED: ["settle", "settle", "claim", "claim", "claim", "top_up", "refund", "reclaim"],
    JobStatus.CLAIMED: ["dispute", "dispute", "finalize", "settle", "time"],
    JobStatus.DISPUTED: ["resolve", "resolve", "settle", "refund", "reclaim"],
    JobStatus.SETTLED: ["close", "settle", "finalize", "refund"],
    JobStatus.RESOLVED: ["close", "resolve", "finalize"],
    JobStatus.FINALIZED: ["close", "finalize", "settle"],
}
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
ABOUT_JOBS = set(NAMES) - {"deposit", "withdraw", "open", "time", "settings"}


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
        history = Random(self.box, draw, people)
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

    async def check(self, history: Random) -> None:
        found = await compare(self.db, self.history, history.accounts(), 0.0)
        assert [difference.text for difference in found.differences] == []
        assert (found.late, found.unexplained) == ([], {})

    def check_end(self, history: Random) -> None:
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
        rest = Random(self.box, random.Random(0), self.people)
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


async def test_a_thousand_settlement_histories(dsn: str) -> None:
    await run(dsn, 1000, 0)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_ten_thousand_settlement_histories(dsn: str) -> None:
    await run(dsn, 10_000, 1_000_000)
