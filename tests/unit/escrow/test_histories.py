"""Random histories of buyers, nodes and thieves: no unit is ever created or lost.

A model in plain integers runs beside the program. Every step that the model allows must succeed,
every other must be refused, and afterwards all balances must be equal.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from p2p.chain.accounts import JobStatus
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S, Sandbox
from p2p.core.money import Asset, split

PEOPLE = 4
SEED_UNITS = 10**15
UNITS = st.one_of(st.integers(0, 40), st.integers(0, 10**9))
WHO = st.integers(0, PEOPLE - 1)
ASSET = st.sampled_from(list(Asset))
PICK = st.integers(0, 10**6)
RUN_S = st.integers(1, 5000)
ENDED = ("settled", "gone")


class Histories(RuleBasedStateMachine):
    """Person 0 is the thief, who holds the coordinator's key as well, and signs for nobody else."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Sandbox()
        self.people = [self.box.person(usdc=SEED_UNITS, sol=SEED_UNITS) for _ in range(PEOPLE)]
        self.everybody = [*self.people, self.box.fee_owner]
        self.have: dict[tuple[str, Asset], int] = {}
        self.jobs: list[dict[str, Any]] = []

    def units(self, address: str, asset: Asset) -> int:
        return self.have.get((address, asset), 0)

    def gain(self, address: str, asset: Asset, units: int) -> None:
        self.have[address, asset] = self.units(address, asset) + units

    def pick(self, number: int) -> dict[str, Any] | None:
        return self.jobs[number % len(self.jobs)] if self.jobs else None

    def expect(self, allowed: bool, step: Any, *signers: Any) -> bool:
        ran = self.box.send(step, *signers)
        assert ran.ok == allowed, (allowed, ran.error, ran.logs)
        return allowed

    # -- money

    @rule(who=WHO, asset=ASSET, units=UNITS)
    def deposit(self, who: int, asset: Asset, units: int) -> None:
        person = self.people[who]
        if self.expect(units > 0, self.box.build.deposit(person.address, asset, units), person):
            self.gain(person.address, asset, units)

    @rule(who=WHO, asset=ASSET, units=UNITS)
    def withdraw(self, who: int, asset: Asset, units: int) -> None:
        person = self.people[who]
        allowed = 0 < units <= self.units(person.address, asset)
        if self.expect(allowed, self.box.build.withdraw(person.address, asset, units), person):
            self.gain(person.address, asset, -units)

    # -- jobs

    @rule(who=WHO, asset=ASSET, units=UNITS, run_s=RUN_S)
    def open(self, who: int, asset: Asset, units: int, run_s: int) -> None:
        owner, job_id = self.people[who], self.box.job_id()
        step = self.box.build.open(
            owner.address,
            owner.address,
            job_id,
            asset,
            deposit_units=units,
            terms_hash=bytes(32),
            run_s=run_s,
        )
        if self.expect(0 < units <= self.units(owner.address, asset), step, owner):
            self.gain(owner.address, asset, -units)
            deadline_s = self.box.now_s + LONGEST_JOB_S
            self.jobs.append(
                {
                    "id": job_id,
                    "owner": owner,
                    "asset": asset,
                    "deposit": units,
                    "run_s": run_s,
                    "state": "open",
                    "node": None,
                    "deadline_s": deadline_s,
                    "claimed": 0,
                }
            )

    @rule(number=PICK, who=WHO)
    def assign(self, number: int, who: int) -> None:
        job, node = self.pick(number), self.people[who]
        if job is None:
            return
        step = self.box.build.assign(
            self.box.coordinator.address,
            job["owner"].address,
            job["id"],
            job["asset"],
            node.address,
            self.box.fee_owner.address,
        )
        allowed = job["state"] in ("open", "assigned") and self.box.now_s < job["deadline_s"]
        if self.expect(allowed, step, self.box.coordinator):
            if job["state"] == "open":
                job["deadline_s"] = self.box.now_s + job["run_s"]
            job["state"], job["node"] = "assigned", node

    @rule(number=PICK, units=UNITS)
    def top_up(self, number: int, units: int) -> None:
        job = self.pick(number)
        if job is None:
            return
        owner, asset = job["owner"], job["asset"]
        step = self.box.build.top_up(owner.address, owner.address, job["id"], asset, units)
        allowed = job["state"] in ("open", "assigned") and 0 < units <= self.units(owner.address, asset)
        if self.expect(allowed, step, owner):
            self.gain(owner.address, asset, -units)
            job["deposit"] += units

    # -- ends

    def pay(self, job: dict[str, Any], used: int) -> None:
        parts = split(job["deposit"], used, FEE_BPS)
        for person, units in (
            (job["owner"], parts.refund_units),
            (job["node"], parts.node_units),
            (self.box.fee_owner, parts.fee_units),
        ):
            self.gain(person.address, job["asset"], units)
        job["state"] = "settled"

    def give_back(self, job: dict[str, Any]) -> None:
        self.gain(job["owner"].address, job["asset"], job["deposit"])
        job["state"] = "gone"

    def payees(self, job: dict[str, Any]) -> dict[str, Any]:
        node = job["node"] or self.people[0]
        return {"node": node.address, "fee_owner": self.box.fee_owner.address}

    @rule(number=PICK, used=UNITS, buyer_agrees=st.booleans())
    def settle(self, number: int, used: int, buyer_agrees: bool) -> None:
        job = self.pick(number)
        if job is None:
            return
        actor = job["owner"] if buyer_agrees else self.people[0]
        step = self.box.build.settle(
            self.box.coordinator.address,
            actor.address,
            job["owner"].address,
            job["id"],
            job["asset"],
            **self.payees(job),
            used_units=used,
            result_hash=bytes(32),
        )
        allowed = (
            actor is job["owner"]
            and job["state"] in ("assigned", "claimed", "disputed")
            and used <= job["deposit"]
        )
        if self.expect(allowed, step, self.box.coordinator, actor):
            self.pay(job, used)

    @rule(number=PICK, used=UNITS)
    def claim(self, number: int, used: int) -> None:
        job = self.pick(number)
        if job is None:
            return
        step = self.box.build.claim(
            self.box.coordinator.address, job["owner"].address, job["id"], used, bytes(32)
        )
        allowed = job["state"] == "assigned" and used <= job["deposit"] and self.box.now_s < job["deadline_s"]
        if self.expect(allowed, step, self.box.coordinator):
            job["state"], job["claimed"] = "claimed", used
            job["review_ends_at_s"] = self.box.now_s + REVIEW_WINDOW_S

    @rule(number=PICK)
    def dispute(self, number: int) -> None:
        job = self.pick(number)
        if job is None:
            return
        owner = job["owner"]
        step = self.box.build.dispute(owner.address, owner.address, job["id"])
        allowed = job["state"] == "claimed" and self.box.now_s < job["review_ends_at_s"]
        if self.expect(allowed, step, owner):
            job["state"] = "disputed"
            job["deadline_s"] = max(job["deadline_s"], self.box.now_s + REVIEW_WINDOW_S)

    @rule(number=PICK, used=UNITS)
    def resolve(self, number: int, used: int) -> None:
        job = self.pick(number)
        if job is None:
            return
        step = self.box.build.resolve(
            self.box.arbiter.address,
            job["owner"].address,
            job["id"],
            job["asset"],
            **self.payees(job),
            used_units=used,
        )
        if self.expect(job["state"] == "disputed" and used <= job["claimed"], step, self.box.arbiter):
            self.pay(job, used)

    @rule(number=PICK, who=WHO)
    def finalize(self, number: int, who: int) -> None:
        job = self.pick(number)
        if job is None:
            return
        step = self.box.build.finalize(job["owner"].address, job["id"], job["asset"], **self.payees(job))
        allowed = job["state"] == "claimed" and self.box.now_s >= job["review_ends_at_s"]
        if self.expect(allowed, step, self.people[who]):
            self.pay(job, job["claimed"])

    @rule(number=PICK, who=WHO, way=st.sampled_from(["cancel", "refund", "reclaim"]))
    def give_up(self, number: int, who: int, way: str) -> None:
        job, person = self.pick(number), self.people[who]
        if job is None:
            return
        build, owner, live = self.box.build, job["owner"].address, job["state"] not in ENDED
        if way == "cancel":
            step = build.cancel(person.address, owner, job["id"], job["asset"])
            step = self.without_session(step)
            allowed = job["state"] == "open" and person is job["owner"]
        elif way == "refund":
            step = build.refund(person.address, owner, job["id"], job["asset"])
            allowed = live and person is job["node"]
        else:
            step = build.reclaim(owner, job["id"], job["asset"])
            in_time = self.box.now_s >= job["deadline_s"]
            allowed = live and job["state"] != "claimed" and in_time
        if self.expect(allowed, step, person):
            self.give_back(job)

    @staticmethod
    def without_session(step: Any) -> Any:
        return type(step)(step.program_id, bytes(step.data), list(step.accounts)[:3])

    @rule(seconds=st.one_of(st.integers(0, 10), st.integers(0, 10_000), st.just(LONGEST_JOB_S)))
    def time_passes(self, seconds: int) -> None:
        self.box.set_time(self.box.now_s + seconds)

    # -- what must hold

    @invariant()
    def the_books_are_in_order(self) -> None:
        self.box.check_books()
        for person in self.everybody:
            for asset in Asset:
                assert self.box.balance(person.address, asset) == self.units(person.address, asset)

    def teardown(self) -> None:
        """Everybody leaves with everything: by reclaim, finalize and withdraw alone, nobody signing."""
        self.box.set_time(self.box.now_s + 10 * LONGEST_JOB_S)
        for number, job in enumerate(self.jobs):
            if job["state"] == "claimed":
                self.finalize(number, 0)
            elif job["state"] not in ENDED:
                self.give_up(number, 0, "reclaim")
        self.box.give_sol(self.box.fee_owner.address, 10**9)
        self.box.give_usdc(self.box.fee_owner.address, 0)
        for person in self.everybody:
            for asset in Asset:
                units = self.units(person.address, asset)
                if units:
                    self.box.must(self.box.build.withdraw(person.address, asset, units), person)
        for asset in Asset:
            assert self.box.asset(asset).owed_units == 0
            assert self.box.vault(asset) == 0
        assert all(job.status >= JobStatus.SETTLED for job in self.box.jobs())


def run(histories: int, steps: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_histories() -> None:
    run(histories=100, steps=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_thousands_of_random_histories() -> None:
    run(histories=5000, steps=50)
