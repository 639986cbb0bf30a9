"""The ledger in PostgreSQL: what it must make impossible, and random histories that try."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Cause, Escrow, Kind, Line, Payees, Transfer
from coordinator.store import ledger
from coordinator.store.database import Database, Overdrawn, UniqueBroken
from p2p.core.ids import JobId, Wallet, new_job_id
from p2p.core.money import Asset

USERS = [letter * 40 for letter in "ABC"]
USDC = Asset.USDC


FEE_OWNER = "F" * 40
NUMBERS = itertools.count(1)


def cause(signature: str = "") -> Cause:
    return Cause(signature or f"sig{next(NUMBERS)}", 1, 1)


def post(db: Database, *transfers: Transfer) -> int:
    return db.transact(lambda tx: ledger.post(tx, transfers))


def pot(owner: str, job_id: str) -> Escrow:
    return Escrow(Wallet(owner), JobId(job_id), USDC)


def test_a_transfer_is_posted_once(db: Database) -> None:
    transfer = rules.deposit(USERS[0], USDC, 5, cause())
    assert post(db, transfer, transfer) == 1
    assert post(db, transfer) == 0
    assert db.transact(lambda tx: ledger.balance(tx, rules.user(USERS[0]), USDC)) == 5


def test_nobody_is_overdrawn(db: Database) -> None:
    post(db, rules.deposit(USERS[0], USDC, 5, cause()))
    with pytest.raises(Overdrawn):
        post(db, rules.withdraw(USERS[0], USDC, 6, cause()))
    with pytest.raises(Overdrawn):
        post(db, rules.withdraw(USERS[0], Asset.SOL, 1, cause()))
    assert db.transact(ledger.sums) == {("chain", USDC): -5, (rules.user(USERS[0]), USDC): 5}


def test_a_job_has_one_opening_and_one_verdict(db: Database) -> None:
    mine, theirs = (pot(owner, "0" * 32) for owner in USERS[:2])
    for who in USERS[:2]:
        post(db, rules.deposit(who, USDC, 50, cause()))
    post(db, rules.open_job(mine, 20, cause()), rules.open_job(theirs, 30, cause()))
    post(db, rules.refund(mine, 20, cause()))
    second = rules.settle(mine, 20, 1, Payees(USERS[1], FEE_OWNER, 0), cause())
    with pytest.raises(UniqueBroken) as caught:
        post(db, second)
    assert caught.value.constraint == "one_verdict_per_job"
    with pytest.raises(UniqueBroken) as caught:
        post(db, rules.open_job(mine, 5, cause()))
    assert caught.value.constraint == "one_opening_per_job"
    assert db.transact(lambda tx: ledger.balance(tx, theirs.account, USDC)) == 30


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
            connection.execute(
                "INSERT INTO transfers (transfer_id, kind, asset, signature, at_s, seq, hash) "
                "VALUES ('t', 'deposit', 'usdc', '', 0, 1, sha256(''))"
            )
            for account, units, asset in lines:
                connection.execute("INSERT INTO postings VALUES ('t', %s, %s, %s)", (account, asset, units))

    with pytest.raises(psycopg.errors.CheckViolation, match="does not balance"):
        write()
    assert db.transact(ledger.sums) == {}


def test_a_line_added_later_is_not_committed(db: Database) -> None:
    post(db, rules.deposit(USERS[0], USDC, 5, cause("sig")))
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
    post(db, rules.deposit(USERS[0], USDC, 5, cause()))
    with pytest.raises(psycopg.errors.CheckViolation, match="append-only"), db.raw() as connection:
        connection.execute(statement)


def test_an_account_outside_the_chart_is_refused(db: Database) -> None:
    lines = (Line("bonus", 1), Line("chain", -1))
    stray = Transfer("t", Kind.DEPOSIT, USDC, None, None, "", None, 0, lines)
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
            connection.execute("UPDATE ledger_head SET seq = 0, hash = %s", (bytes(32),))
            for table in ("postings", "transfers"):
                connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        self.users = dict.fromkeys(USERS, 0)
        self.open: dict[str, tuple[str, int]] = {}
        self.fees = 0
        self.vault = 0

    @rule(who=st.sampled_from(USERS), units=st.integers(1, 1000))
    def deposit(self, who: str, units: int) -> None:
        post(self.db, rules.deposit(who, USDC, units, cause()))
        self.users[who] += units
        self.vault += units

    @rule(who=st.sampled_from(USERS), units=st.integers(1, 1500))
    def withdraw(self, who: str, units: int) -> None:
        transfer = rules.withdraw(who, USDC, units, cause())
        if self._try(transfer, possible=units <= self.users[who]):
            self.users[who] -= units
            self.vault -= units

    @rule(who=st.sampled_from(USERS), units=st.integers(1, 1500))
    def open_job(self, who: str, units: int) -> None:
        job_id = new_job_id()
        if self._try(rules.open_job(pot(who, job_id), units, cause()), possible=units <= self.users[who]):
            self.users[who] -= units
            self.open[job_id] = (who, units)

    @precondition(lambda self: self.open)
    @rule(node=st.sampled_from(USERS), fee_bps=st.integers(0, 2000), data=st.data())
    def settle(self, node: str, fee_bps: int, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.open)))
        buyer, units = self.open.pop(job_id)
        used = data.draw(st.integers(0, units))
        transfer = rules.settle(pot(buyer, job_id), units, used, Payees(node, FEE_OWNER, fee_bps), cause())
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
        post(self.db, rules.refund(pot(buyer, job_id), units, cause()))
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
        assert sums.get((rules.user(FEE_OWNER), USDC), 0) == self.fees
        for who, units in self.users.items():
            assert sums.get((rules.user(who), USDC), 0) == units >= 0
            assert self.db.transact(lambda tx, who=who: ledger.balance(tx, rules.user(who), USDC)) == units  # type: ignore[misc]
        held = {
            account: units for (account, _), units in sums.items() if account.startswith("escrow:") and units
        }
        assert held == {rules.escrow(who, job_id): units for job_id, (who, units) in self.open.items()}
        assert self.db.transact(lambda tx: tx.rows("ledger.stray_balances")) == []
        assert self.db.transact(lambda tx: ledger.verify(tx, 0)) == (0, None)


def test_random_histories_keep_every_invariant(db: Database) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine: Any = type("Run", (Histories,), {"db": db})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
