"""The ledger in PostgreSQL: what it must make impossible, and random histories that try."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Kind, Line, Transfer
from coordinator.store import ledger
from coordinator.store.database import Database, Overdrawn, UniqueBroken
from p2p.core.ids import new_job_id
from p2p.core.money import Asset

USERS = [letter * 40 for letter in "ABC"]
USDC = Asset.USDC


def post(db: Database, transfer: Transfer) -> bool:
    return db.transact(lambda tx: ledger.post(tx, transfer, 1.0))


def test_a_transfer_is_posted_once(db: Database) -> None:
    transfer = rules.deposit(USERS[0], USDC, 5, "sig")
    assert post(db, transfer)
    assert not post(db, transfer)
    assert db.transact(lambda tx: ledger.balance(tx, rules.user(USERS[0]), USDC)) == 5


def test_nobody_is_overdrawn(db: Database) -> None:
    post(db, rules.deposit(USERS[0], USDC, 5, "sig"))
    with pytest.raises(Overdrawn):
        post(db, rules.withdraw(USERS[0], USDC, 6, "out"))
    with pytest.raises(Overdrawn):
        post(db, rules.withdraw(USERS[0], Asset.SOL, 1, "out"))
    assert db.transact(ledger.sums) == {("chain", USDC): -5, (rules.user(USERS[0]), USDC): 5}


def test_a_job_has_one_opening_and_one_verdict(db: Database) -> None:
    job_id = new_job_id()
    post(db, rules.deposit(USERS[0], USDC, 50, "sig"))
    post(db, rules.open_job(USERS[0], job_id, USDC, 20, "open"))
    post(db, rules.refund(USERS[0], job_id, USDC, 20, "back"))
    second = rules.settle(
        buyer=USERS[0],
        node=USERS[1],
        job_id=job_id,
        asset=USDC,
        deposit_units=20,
        used_units=1,
        fee_bps=0,
        signature="",
    )
    with pytest.raises(UniqueBroken) as caught:
        post(db, second)
    assert caught.value.constraint == "one_verdict_per_job"


@pytest.mark.parametrize(
    "lines",
    [
        [("chain", -5, "usdc"), (f"user:{USERS[0]}", 6, "usdc")],
        [("chain", -5, "usdc")],
        [("chain", -5, "sol"), (f"user:{USERS[0]}", 5, "sol")],
        [],
    ],
    ids=["unequal", "one-sided", "other-asset", "empty"],
)
def test_what_does_not_balance_is_not_committed(db: Database, lines: list[tuple[str, int, str]]) -> None:
    """Even if our own code wrote it: the check is the database's, at commit."""

    def write() -> None:
        with db.raw() as connection:
            connection.execute("INSERT INTO transfers VALUES ('t', 'deposit', 'usdc', NULL, '', 0)")
            for account, units, asset in lines:
                connection.execute("INSERT INTO postings VALUES ('t', %s, %s, %s)", (account, asset, units))

    with pytest.raises(psycopg.errors.CheckViolation, match="does not balance"):
        write()
    assert db.transact(ledger.sums) == {}


def test_a_line_added_later_is_not_committed(db: Database) -> None:
    post(db, rules.deposit(USERS[0], USDC, 5, "sig"))
    with pytest.raises(psycopg.errors.CheckViolation, match="does not balance"), db.raw() as connection:
        connection.execute("INSERT INTO postings VALUES ('deposit:sig', 'fees', 'usdc', 1)")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET units = 1",
        "DELETE FROM postings",
        "TRUNCATE postings",
        "UPDATE transfers SET at_s = 2",
        "DELETE FROM transfers",
        "UPDATE job_events SET code = 'x'",
        "DELETE FROM job_events",
    ],
)
def test_history_is_append_only(db: Database, statement: str) -> None:
    post(db, rules.deposit(USERS[0], USDC, 5, "sig"))
    with pytest.raises(psycopg.errors.CheckViolation, match="append-only"), db.raw() as connection:
        connection.execute(statement)


def test_an_account_outside_the_chart_is_refused(db: Database) -> None:
    stray = Transfer("t", Kind.DEPOSIT, USDC, None, "", (Line("bonus", 1), Line("chain", -1)))
    with pytest.raises(psycopg.errors.CheckViolation):
        post(db, stray)


class Histories(RuleBasedStateMachine):
    """Random deposits, openings, verdicts and withdrawals, with a model beside them."""

    db: Database

    @initialize()
    def start(self) -> None:
        with self.db.raw() as connection:
            for table in ("postings", "transfers"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            connection.execute("TRUNCATE postings, transfers, balances")
            for table in ("postings", "transfers"):
                connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        self.users = dict.fromkeys(USERS, 0)
        self.open: dict[str, tuple[str, int]] = {}
        self.fees = 0
        self.vault = 0
        self.number = 0

    def _next(self) -> str:
        self.number += 1
        return f"sig{self.number}"

    @rule(who=st.sampled_from(USERS), units=st.integers(1, 1000))
    def deposit(self, who: str, units: int) -> None:
        post(self.db, rules.deposit(who, USDC, units, self._next()))
        self.users[who] += units
        self.vault += units

    @rule(who=st.sampled_from(USERS), units=st.integers(1, 1500))
    def withdraw(self, who: str, units: int) -> None:
        transfer = rules.withdraw(who, USDC, units, self._next())
        if self._try(transfer, possible=units <= self.users[who]):
            self.users[who] -= units
            self.vault -= units

    @rule(who=st.sampled_from(USERS), units=st.integers(1, 1500))
    def open_job(self, who: str, units: int) -> None:
        job_id = new_job_id()
        if self._try(
            rules.open_job(who, job_id, USDC, units, self._next()), possible=units <= self.users[who]
        ):
            self.users[who] -= units
            self.open[job_id] = (who, units)

    @precondition(lambda self: self.open)
    @rule(node=st.sampled_from(USERS), fee_bps=st.integers(0, 2000), data=st.data())
    def settle(self, node: str, fee_bps: int, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.open)))
        buyer, units = self.open.pop(job_id)
        used = data.draw(st.integers(0, units))
        transfer = rules.settle(
            buyer=buyer,
            node=node,
            job_id=job_id,
            asset=USDC,
            deposit_units=units,
            used_units=used,
            fee_bps=fee_bps,
            signature="",
        )
        post(self.db, transfer)
        assert not post(self.db, transfer)
        fee = used * fee_bps // 10_000
        self.users[node] += used - fee
        self.users[buyer] += units - used
        self.fees += fee

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.open)))
        buyer, units = self.open.pop(job_id)
        post(self.db, rules.refund(buyer, job_id, USDC, units, ""))
        self.users[buyer] += units

    def _try(self, transfer: Transfer, *, possible: bool) -> bool:
        try:
            post(self.db, transfer)
        except Overdrawn:
            assert not possible
            return False
        assert possible
        return True

    @invariant()
    def agrees_with_the_model(self) -> None:
        sums = self.db.transact(ledger.sums)
        assert sum(sums.values()) == 0
        assert -sums.get(("chain", USDC), 0) == self.vault
        assert sums.get(("fees", USDC), 0) == self.fees
        for who, units in self.users.items():
            assert sums.get((rules.user(who), USDC), 0) == units >= 0
            assert self.db.transact(lambda tx, who=who: ledger.balance(tx, rules.user(who), USDC)) == units  # type: ignore[misc]
        held = {
            account: units for (account, _), units in sums.items() if account.startswith("escrow:") and units
        }
        assert held == {rules.escrow(job_id): units for job_id, (_, units) in self.open.items()}
        assert self.db.transact(lambda tx: tx.rows("ledger.stray_balances")) == []
        pending = self.db.transact(lambda tx: tx.rows("ledger.open_escrows"))
        assert {row["job_id"]: (row["buyer"], row["deposit_units"]) for row in pending} == self.open


def test_random_histories_keep_every_invariant(db: Database) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine: Any = type("Run", (Histories,), {"db": db})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
