"""The chain of hashes: whoever changes a row behind the ledger's back, as a superuser who can, is found."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from coordinator.cli import group
from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Cause, Escrow, Payees
from coordinator.store import ledger
from coordinator.store.database import Database
from coordinator.store.migrate import migrate
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset
from p2p.testing.queue import in_threads

BUYER, NODE, OWNER = (Wallet(letter * 40) for letter in "BNF")
POT = Escrow(BUYER, JobId("0" * 32), Asset.USDC)
USDC = Asset.USDC


def cause(signature: str) -> Cause:
    return Cause(signature, 7, 1000)


def fill(db: Database) -> None:
    """Five transfers, in two transactions of the database."""
    first = [rules.deposit(BUYER, USDC, 100, cause("s1")), rules.open_job(POT, 60, cause("s2"))]
    rest = [
        rules.top_up(POT, 20, cause("s3")),
        rules.settle(POT, 80, 50, Payees(NODE, OWNER, 1000), cause("s4")),
        rules.withdraw(NODE, USDC, 45, cause("s5")),
    ]
    for transfers in (first, rest):
        db.transact(lambda tx, transfers=transfers: ledger.post(tx, transfers))  # type: ignore[misc]


def as_superuser(db: Database, *statements: str) -> None:
    """No trigger and no foreign key in the way."""
    with db.raw() as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


def broken(db: Database) -> tuple[int, str] | None:
    _, found = db.transact(lambda tx: ledger.verify(tx, 0))
    return (found.seq, found.what) if found else None


CHANGED = "is not as it was posted"
SWAP = """
    UPDATE transfers SET seq = CASE seq WHEN 2 THEN -2 WHEN 3 THEN -3 END WHERE seq IN (2, 3);
    UPDATE transfers SET seq = CASE seq WHEN -2 THEN 3 WHEN -3 THEN 2 END WHERE seq < 0
"""
INSERT = """
    UPDATE transfers SET seq = -seq WHERE seq > 3;
    UPDATE transfers SET seq = 1 - seq WHERE seq < 0;
    INSERT INTO transfers (transfer_id, kind, asset, signature, at_s, seq, hash)
        SELECT 'deposit:x', 'deposit', 'usdc', 'x', 1000, 4, hash FROM transfers WHERE seq = 3;
    INSERT INTO postings VALUES
        ('deposit:x', 'chain', 'usdc', -5), ('deposit:x', 'user:' || repeat('B', 40), 'usdc', 5)
"""


STEAL = "UPDATE postings SET account = 'user:' || repeat('X', 40) WHERE account = 'user:' || repeat('F', 40)"
CUT = "DELETE FROM postings WHERE transfer_id = '{0}'; DELETE FROM transfers WHERE transfer_id = '{0}'"
SHORT = "is the last, but there were 5"
CHANGES = [
    ("UPDATE postings SET units = units * 2 WHERE transfer_id = 'settle:s4'", (4, CHANGED)),
    ("UPDATE postings SET units = units + 1 WHERE transfer_id = 'top_up:s3' AND units > 0", (3, CHANGED)),
    (STEAL, (4, CHANGED)),
    ("UPDATE transfers SET signature = 'x' WHERE seq = 2", (2, CHANGED)),
    ("UPDATE transfers SET at_s = at_s + 1 WHERE seq = 1", (1, CHANGED)),
    ("UPDATE transfers SET slot = NULL WHERE seq = 5", (5, CHANGED)),
    ("UPDATE transfers SET hash = sha256('x') WHERE seq = 3", (3, CHANGED)),
    (CUT.format("top_up:s3"), (3, "is missing")),
    ("DELETE FROM postings WHERE transfer_id = 'settle:s4'", (4, CHANGED)),
    (CUT.format("withdraw:s5"), (4, SHORT)),
    ("DELETE FROM postings; DELETE FROM transfers", (0, SHORT)),
    (SWAP, (2, CHANGED)),
    (INSERT, (4, CHANGED)),
]


@pytest.mark.parametrize(("statement", "found"), CHANGES)
def test_a_change_behind_our_back_is_found(db: Database, statement: str, found: tuple[int, str]) -> None:
    fill(db)
    assert broken(db) is None
    as_superuser(db, *statement.split(";"))
    assert broken(db) == found


def test_it_is_verified_in_parts(db: Database) -> None:
    fill(db)
    after, seen = 0, []
    while True:
        after, found = db.transact(lambda tx, after=after: ledger.verify(tx, after, 2))  # type: ignore[misc]
        assert found is None
        seen.append(after)
        if not after:
            break
    assert seen == [2, 4, 0]
    as_superuser(db, "UPDATE transfers SET signature = 'x' WHERE seq = 4")
    assert db.transact(lambda tx: ledger.verify(tx, 0, 2)) == (2, None)
    assert db.transact(lambda tx: ledger.verify(tx, 2, 2))[1] is not None


def test_many_post_at_once_and_the_chain_is_one(db: Database) -> None:
    """Several coordinators, on one database: each transfer has its number, and each once."""

    def work(worker: int) -> int:
        posted = 0
        for number in range(15):
            transfers = [
                rules.deposit(BUYER, USDC, 1, cause(f"{name}-{number}")) for name in (f"w{worker}", "all")
            ]
            posted += db.transact(lambda tx, transfers=transfers: ledger.post(tx, transfers))  # type: ignore[misc]
        return posted

    results = in_threads(4, work)
    assert sum(results) == 4 * 15 + 15
    assert broken(db) is None
    assert db.transact(ledger.head).seq == 75
    assert db.transact(lambda tx: ledger.balance(tx, rules.user(BUYER), USDC)) == 75


def test_a_transaction_that_fails_leaves_no_link(db: Database) -> None:
    fill(db)
    before = db.transact(ledger.head)

    def half(tx: Any) -> None:
        ledger.post(tx, [rules.deposit(BUYER, USDC, 1, cause("s6"))])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        db.transact(half)
    assert db.transact(ledger.head) == before
    assert broken(db) is None


def test_an_export_is_all_that_an_outsider_needs(db: Database, dsn: str, capsys: Any) -> None:
    """As docs/ledger.md says, without a line of ours."""
    fill(db)
    group.main(["ledger", "export", "--dsn", dsn], standalone_mode=False)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5]
    last = "00" * 32
    names = [
        "transfer_id",
        "kind",
        "asset",
        "owner",
        "job_id",
        "signature",
        "slot",
        "at_s",
        "reverses",
        "version",
    ]
    for row in rows:
        fields = [last, row["seq"], *(row[name] for name in names)]
        fields += [f"{account} {units}" for account, units in row["lines"]]
        text = "\n".join("" if field is None else str(field) for field in fields)
        last = sha256(text.encode()).hexdigest()
        assert row["hash"] == last
        assert sum(units for _, units in row["lines"]) == 0
    assert last == bytes(db.transact(ledger.head).hash).hex()


OLD = """
    INSERT INTO transfers VALUES ('deposit:s1', 'deposit', 'usdc', NULL, 's1', 1000.75),
        ('deposit:s1:2', 'deposit', 'usdc', NULL, 's1:2', 1000.75),
        ('open:{a}', 'open', 'usdc', '{a}', 's2', 1001), ('open:{b}', 'open', 'usdc', '{b}', '', 1002),
        ('settle:{a}', 'settle', 'usdc', '{a}', 's3', 1003),
        ('withdraw:s4', 'withdraw', 'usdc', NULL, 's4', 1004);
    INSERT INTO postings VALUES
        ('deposit:s1', 'chain', 'usdc', -100), ('deposit:s1', 'user:{buyer}', 'usdc', 100),
        ('deposit:s1:2', 'chain', 'usdc', -7), ('deposit:s1:2', 'user:{buyer}', 'usdc', 7),
        ('open:{a}', 'user:{buyer}', 'usdc', -60), ('open:{a}', 'escrow:{a}', 'usdc', 60),
        ('open:{b}', 'user:{buyer}', 'usdc', -20), ('open:{b}', 'escrow:{b}', 'usdc', 20),
        ('settle:{a}', 'escrow:{a}', 'usdc', -60), ('settle:{a}', 'user:{node}', 'usdc', 45),
        ('settle:{a}', 'fees', 'usdc', 5), ('settle:{a}', 'user:{buyer}', 'usdc', 10),
        ('withdraw:s4', 'fees', 'usdc', -2), ('withdraw:s4', 'chain', 'usdc', 2)
"""


def test_what_stood_before_the_chain_of_hashes_is_linked(empty_dsn: str) -> None:
    """Data of an older ledger: kept to the unit, under the names of now, and verified like any other."""
    with psycopg.connect(empty_dsn) as connection:
        migrate(connection, up_to=7)
    a, b = "a" * 32, "b" * 32
    with Database(empty_dsn) as db:
        with db.raw() as connection:
            connection.execute(OLD.format(a=a, b=b, buyer=BUYER, node=NODE).encode())
        with db.raw() as connection:
            migrate(connection)
        assert broken(db) is None
        assert db.transact(ledger.head).seq == 6
        sums = db.transact(ledger.sums)
        assert sums == {
            ("chain", USDC): -105,
            ("fees", USDC): 3,
            (rules.user(BUYER), USDC): 37,
            (rules.user(NODE), USDC): 45,
            (rules.escrow(BUYER, a), USDC): 0,
            (rules.escrow(BUYER, b), USDC): 20,
        }
        assert db.transact(lambda tx: tx.rows("ledger.stray_balances")) == []
        with db.raw() as connection:
            rows = connection.execute("SELECT transfer_id, at_s FROM transfers ORDER BY seq").fetchall()
        assert rows == [
            ("deposit:s1", 1000),
            ("deposit:s1:2", 1000),
            ("open:s2", 1001),
            (f"open:{b}", 1002),
            ("settle:s3", 1003),
            ("withdraw:s4", 1004),
        ]
        with pytest.raises(psycopg.errors.CheckViolation, match="append-only"), db.raw() as connection:
            connection.execute("UPDATE transfers SET at_s = 2")
        # An older opening that does not name its transaction gives way to the chain's own.
        opening = rules.open_job(Escrow(BUYER, JobId(b), USDC), 20, cause("s9"), version=1)
        transfers = [rules.reversal(old_opening(db, b), 1), opening]
        db.transact(lambda tx: ledger.post(tx, transfers))
        assert db.transact(ledger.sums) == sums
        assert broken(db) is None


def old_opening(db: Database, job_id: str) -> rules.Transfer:
    rows = db.transact(lambda tx: tx.rows("ledger.standing", owners=[BUYER], job_ids=[job_id]))
    return ledger.transfer_of(rows[0])
