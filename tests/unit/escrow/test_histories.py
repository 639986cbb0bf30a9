"""Random histories of buyers, nodes and thieves: no unit is ever created or lost.

A model in plain integers runs beside the program. Every step that the model allows must succeed,
every other must be refused, and afterwards all balances must be equal.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from p2p.chain.accounts import JobStatus
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S, Sandbox
from p2p.core.money import Asset, split
from p2p.testing import thefts

PEOPLE = 4
SEED_UNITS = 10**15
UNITS = st.one_of(st.integers(0, 40), st.integers(0, 10**9))
WHO = st.integers(0, PEOPLE - 1)
ASSET = st.sampled_from(list(Asset))
PICK = st.integers(0, 10**6)
RUN_S = st.integers(1, 5000)
ENDED = ("settled", "gone", "closed")
BY = st.booleans()
HAS_JOBS = precondition(lambda histories: bool(histories.jobs))


class Histories(RuleBasedStateMachine):
    """Person 0 is the thief, who holds the coordinator's key as well, and signs for nobody else.

    Everybody has a session key, with which most of what an owner does may be done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.box = Sandbox()
        self.people = [self.box.person(usdc=SEED_UNITS, sol=SEED_UNITS) for _ in range(PEOPLE)]
        self.everybody = [*self.people, self.box.fee_owner]
        self.keys = [self.box.person() for _ in self.people]
        self.sessions: dict[str, dict[str, Any]] = {}
        self.have: dict[tuple[str, Asset], int] = {}
        self.jobs: list[dict[str, Any]] = []

    def units(self, address: str, asset: Asset) -> int:
        return self.have.get((address, asset), 0)

    def gain(self, address: str, asset: Asset, units: int) -> None:
        self.have[address, asset] = self.units(address, asset) + units

    def pick(self, number: int) -> dict[str, Any]:
        return self.jobs[number % len(self.jobs)]

    def expect(self, allowed: bool, step: Any, *signers: Any) -> bool:
        ran = self.box.send(step, *signers)
        assert ran.ok == allowed, (allowed, ran.error, ran.logs)
        return allowed

    # -- sessions

    @rule(who=WHO, asset=ASSET, units=UNITS, seconds=RUN_S)
    def authorize(self, who: int, asset: Asset, units: int, seconds: int) -> None:
        owner, key = self.people[who], self.keys[who]
        expires_at_s = self.box.now_s + seconds
        step = self.box.build.authorize(owner.address, key.address, asset, units, expires_at_s)
        if self.expect(units > 0, step, owner):
            self.sessions[owner.address] = {"asset": asset, "left": units, "expires_at_s": expires_at_s}

    @rule(who=WHO)
    def revoke(self, who: int) -> None:
        owner = self.people[who]
        step = self.box.build.revoke(owner.address, self.keys[who].address)
        if self.expect(owner.address in self.sessions, step, owner):
            del self.sessions[owner.address]

    def actor(self, owner: Any, by_session: bool) -> Any:
        return self.keys[self.people.index(owner)] if by_session else owner

    def may(self, owner: Any, asset: Asset, by_session: bool, units: int = 0) -> bool:
        """Whether the owner, or the session key, may do something that costs so much."""
        if not by_session:
            return True
        session = self.sessions.get(owner.address)
        return (
            session is not None
            and session["asset"] is asset
            and session["left"] >= units
            and self.box.now_s < session["expires_at_s"]
        )

    def spend(self, owner: Any, asset: Asset, units: int, by_session: bool) -> None:
        self.gain(owner.address, asset, -units)
        if by_session:
            self.sessions[owner.address]["left"] -= units

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

    def ix_open(self, actor: Any, owner: Any, job_id: Any, asset: Asset, units: int, run_s: int) -> Any:
        return self.box.build.open(
            actor.address,
            owner.address,
            job_id,
            asset,
            deposit_units=units,
            terms_hash=bytes(32),
            run_s=run_s,
        )

    @rule(who=WHO, asset=ASSET, units=UNITS, run_s=RUN_S, by_session=BY)
    def open(self, who: int, asset: Asset, units: int, run_s: int, by_session: bool) -> None:
        owner, job_id = self.people[who], self.box.job_id()
        actor = self.actor(owner, by_session)
        step = self.ix_open(actor, owner, job_id, asset, units, run_s)
        allowed = 0 < units <= self.units(owner.address, asset) and self.may(owner, asset, by_session, units)
        if self.expect(allowed, step, actor):
            self.spend(owner, asset, units, by_session)
            deadline_s = self.box.now_s + LONGEST_JOB_S
            job = {"id": job_id, "owner": owner, "rent_payer": actor, "asset": asset, "deposit": units}
            job |= {"run_s": run_s, "state": "open", "node": None, "deadline_s": deadline_s, "claimed": 0}
            self.jobs.append(job)

    @HAS_JOBS
    @rule(number=PICK, who=WHO)
    def assign(self, number: int, who: int) -> None:
        job, node = self.pick(number), self.people[who]
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

    @HAS_JOBS
    @rule(number=PICK, units=UNITS, by_session=BY)
    def top_up(self, number: int, units: int, by_session: bool) -> None:
        job = self.pick(number)
        owner, asset = job["owner"], job["asset"]
        actor = self.actor(owner, by_session)
        step = self.box.build.top_up(actor.address, owner.address, job["id"], asset, units)
        affordable = 0 < units <= self.units(owner.address, asset)
        allowed = job["state"] in ("open", "assigned") and affordable
        if self.expect(allowed and self.may(owner, asset, by_session, units), step, actor):
            self.spend(owner, asset, units, by_session)
            job["deposit"] += units

    # -- ends

    def pay(self, job: dict[str, Any], used: int) -> None:
        parts = split(job["deposit"], used, FEE_BPS)
        self.gain(job["owner"].address, job["asset"], parts.refund_units)
        self.gain(job["node"].address, job["asset"], parts.node_units)
        self.gain(self.box.fee_owner.address, job["asset"], parts.fee_units)
        job["state"] = "settled"

    def give_back(self, job: dict[str, Any]) -> None:
        self.gain(job["owner"].address, job["asset"], job["deposit"])
        job["state"] = "gone"

    def payees(self, job: dict[str, Any]) -> dict[str, Any]:
        node = job["node"] or self.people[0]
        return {"node": node.address, "fee_owner": self.box.fee_owner.address}

    @HAS_JOBS
    @rule(number=PICK, used=UNITS, buyer_agrees=BY, by_session=BY)
    def settle(self, number: int, used: int, buyer_agrees: bool, by_session: bool) -> None:
        job = self.pick(number)
        owner = job["owner"] if buyer_agrees else self.people[0]
        actor = self.actor(owner, by_session)
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
            owner is job["owner"]
            and self.may(owner, job["asset"], by_session)
            and job["state"] in ("assigned", "claimed", "disputed")
            and used <= job["deposit"]
        )
        if self.expect(allowed, step, self.box.coordinator, actor):
            self.pay(job, used)

    @HAS_JOBS
    @rule(number=PICK, used=UNITS)
    def claim(self, number: int, used: int) -> None:
        job = self.pick(number)
        step = self.box.build.claim(
            self.box.coordinator.address, job["owner"].address, job["id"], used, bytes(32)
        )
        allowed = job["state"] == "assigned" and used <= job["deposit"] and self.box.now_s < job["deadline_s"]
        if self.expect(allowed, step, self.box.coordinator):
            job["state"], job["claimed"] = "claimed", used
            job["review_ends_at_s"] = self.box.now_s + REVIEW_WINDOW_S

    @HAS_JOBS
    @rule(number=PICK, by_session=BY)
    def dispute(self, number: int, by_session: bool) -> None:
        job = self.pick(number)
        owner = job["owner"]
        actor = self.actor(owner, by_session)
        step = self.box.build.dispute(actor.address, owner.address, job["id"])
        allowed = job["state"] == "claimed" and self.box.now_s < job["review_ends_at_s"]
        if self.expect(allowed and self.may(owner, job["asset"], by_session), step, actor):
            job["state"] = "disputed"
            job["deadline_s"] = max(job["deadline_s"], self.box.now_s + REVIEW_WINDOW_S)

    @HAS_JOBS
    @rule(number=PICK, used=UNITS)
    def resolve(self, number: int, used: int) -> None:
        job = self.pick(number)
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

    @HAS_JOBS
    @rule(number=PICK, who=WHO)
    def finalize(self, number: int, who: int) -> None:
        job = self.pick(number)
        step = self.box.build.finalize(job["owner"].address, job["id"], job["asset"], **self.payees(job))
        allowed = job["state"] == "claimed" and self.box.now_s >= job["review_ends_at_s"]
        if self.expect(allowed, step, self.people[who]):
            self.pay(job, job["claimed"])

    @HAS_JOBS
    @rule(number=PICK)
    def cancel_by_session(self, number: int) -> None:
        job = self.pick(number)
        owner, asset = job["owner"], job["asset"]
        key = self.actor(owner, by_session=True)
        step = self.box.build.cancel(key.address, owner.address, job["id"], asset)
        if self.expect(job["state"] == "open" and self.may(owner, asset, by_session=True), step, key):
            self.give_back(job)

    @HAS_JOBS
    @rule(number=PICK)
    def refund_by_coordinator(self, number: int) -> None:
        job = self.pick(number)
        coordinator = self.box.coordinator
        step = self.box.build.refund(coordinator.address, job["owner"].address, job["id"], job["asset"])
        if self.expect(job["state"] not in ENDED, step, coordinator):
            self.give_back(job)

    @HAS_JOBS
    @rule(number=PICK, who=WHO)
    def close(self, number: int, who: int) -> None:
        """By anyone; the rent goes to whoever paid it, and never again is there a job of this id."""
        job = self.pick(number)
        owner, payer = job["owner"], job["rent_payer"]
        step = self.box.build.close(owner.address, job["id"], payer.address)
        if self.expect(job["state"] in ("settled", "gone"), step, self.people[who]):
            job["state"] = "closed"
        if job["state"] == "closed":
            again = self.ix_open(owner, owner, job["id"], job["asset"], 1, 60)
            self.expect(False, again, owner)

    @rule(number=PICK, who=st.integers(1, PEOPLE - 1), asset=ASSET, used=UNITS, by_session=BY)
    def steal(self, number: int, who: int, asset: Asset, used: int, by_session: bool) -> None:
        thief = self.actor(self.people[0], by_session)
        victim, key = self.people[who].address, self.keys[who].address
        attempts = thefts.on_a_person(self.box, thief, victim, key, asset)
        job = self.pick(number) if self.jobs else None
        if job is not None and job["owner"] is not self.people[0]:
            node = self.payees(job)["node"]
            booty = thefts.Booty(job["owner"].address, job["id"], job["asset"], node)
            attempts += thefts.on_a_job(self.box, thief, self.people[0].address, booty, used)
        for step in attempts:
            self.expect(False, step, self.box.coordinator, thief)

    @HAS_JOBS
    @rule(number=PICK, who=WHO, way=st.sampled_from(["cancel", "refund", "reclaim"]))
    def give_up(self, number: int, who: int, way: str) -> None:
        job, person = self.pick(number), self.people[who]
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
        for number in range(len(self.jobs)):
            if self.jobs[number]["state"] != "closed":
                self.close(number, 0)
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
