"""Blind steps of buyers, nodes, operators and strangers on the escrow program: a random history.

Nothing here knows what is allowed: the program refuses what is not.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from p2p.chain import accounts
from p2p.chain.accounts import JobStatus
from p2p.chain.instructions import Settings, Step
from p2p.chain.keys import Signer
from p2p.chain.recorded import RecordedChain
from p2p.chain.sandbox import LONGEST_JOB_S, REVIEW_WINDOW_S
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset

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
class RandomHistory:
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

    def send(self, name: str, steps: Sequence[Step], payer: Signer, *signers: Signer) -> bool:
        if self.draw.random() < 0.6:
            self.box.slot += 1
        ok = self.box.send(steps, payer, *signers).ok
        self.sent[f"{name} {'done' if ok else 'refused'}"] += 1
        return ok

    def step(self) -> None:
        """Anything at all, or something that may well come next for one of the jobs."""
        self.chosen = self.draw.choice(self.jobs) if self.jobs else None
        status = self._status(self.chosen) if self.chosen else None
        likely = LIKELY.get(status, []) if status else []
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
            used_units=self._used() // 10,
        )
        self.send("resolve", [step], self.box.arbiter)

    def _finalize(self) -> None:
        job = self._job()
        self.send("finalize", [self._finalizing(job)], self.draw.choice(self.people))

    def _finalizing(self, job: Job) -> Step:
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
