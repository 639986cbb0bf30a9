"""The ledger's watch: what it cannot explain is an alarm, and what it can is none."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import trio

from coordinator.cli import group
from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Cause, Kind, user
from coordinator.service.audit import audit
from coordinator.store import ledger
from coordinator.store.database import Database
from p2p.chain.errors import chain_unexpected
from p2p.chain.keys import Signer
from p2p.core.errors import CyxWizError, EnvironmentFailure, ExitCode
from p2p.core.limits import LEDGER_LATE_S, LEDGER_STALLED_S
from p2p.core.money import Asset
from p2p.local.home import HOME_VARIABLE

USDC = Asset.USDC


@pytest.fixture(autouse=True)
def _quick(monkeypatch: Any) -> None:
    """A difference is looked at several times; here nobody has to wait in between."""
    for module in ("reconciler", "audit"):
        monkeypatch.setattr(f"coordinator.service.{module}.LEDGER_LOOK_AGAIN_S", 0.0)


def as_superuser(db: Database, statement: str, *values: Any) -> None:
    with db.raw() as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(statement.encode(), values)


def lose(db: Database, wallet: str, units: int) -> None:
    """Units go from somebody's account in the ledger to somebody whom the chain does not know."""
    steal(db, wallet, "X" * 40, units)


def steal(db: Database, wallet: str, to: str, units: int) -> None:
    lines = sorted(
        (rules.Line(user(to), units), rules.Line(user(wallet), -units)), key=lambda line: line.account
    )
    transfer = rules.Transfer(
        f"deposit:{wallet}{units}", Kind.DEPOSIT, USDC, None, None, "", 1, 1, tuple(lines)
    )
    db.transact(lambda tx: ledger.post(tx, [transfer]))


def alarms(world: Any) -> dict[str, tuple[int, int]]:
    rows = world.query("ledger.alarms", limit=50)
    return {row["subject"]: (row["ledger_units"], row["chain_units"]) for row in rows}


async def test_all_is_well(still_world: Any, caplog: Any) -> None:
    await still_world.buyer()
    assert await still_world.coordinator.reconciler.run_once() == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_unit_that_cannot_be_explained_is_an_alarm_until_it_can(
    still_world: Any, caplog: Any
) -> None:
    world = still_world
    buyer = await world.buyer()
    watch, mine = world.coordinator.reconciler, user(buyer.signer.address)
    await watch.run_once()
    lose(world.db, buyer.signer.address, 1)
    assert await watch.run_once() == 2
    stranger = user("X" * 40)
    assert alarms(world) == {mine: (4_999_999, 5_000_000), stranger: (1, 0)}
    (first,) = (row for row in world.query("ledger.alarms", limit=9) if row["subject"] == mine)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert any(buyer.signer.address in text for text in errors)
    world.clock.ahead_s += 60
    await watch.run_once()
    (again,) = (row for row in world.query("ledger.alarms", limit=9) if row["subject"] == mine)
    assert again["since_s"] == first["since_s"]
    steal(world.db, "X" * 40, buyer.signer.address, 1)
    assert await watch.run_once() == 0
    assert alarms(world) == {}


async def test_what_the_stream_left_out_is_found_in_the_accounts_own_history(still_world: Any) -> None:
    """A node that once did not list a transaction: nobody raises an alarm about it."""
    world = still_world
    buyer = await world.buyer()
    await world.chain.deposit(buyer.signer, Asset.SOL, 777)
    mention = (await world.chain.ask("getSignaturesForAddress", world.localnet.config.program_id, {}))[0]
    world.db.transact(lambda tx: tx.execute("ledger.read_on", signature=mention["signature"], slot=10**9))
    assert await world.coordinator.reconciler.run_once() == 0
    assert (await audit(world.db, world.chain)).differences == []
    rows = world.query("ledger.of_account", account=user(buyer.signer.address), limit=9)
    assert {(row["kind"], row["units"]) for row in rows} == {("deposit", 777), ("deposit", 5_000_000)}


async def test_a_posting_whose_transaction_was_dropped_is_reversed(still_world: Any) -> None:
    """As an older version may have left it, which posted what was merely confirmed."""
    world = still_world
    buyer = await world.buyer()
    await world.coordinator.follower.follow()
    never = Signer.generate().sign(b"never sent")
    import base58

    dropped = rules.deposit(buyer.signer.address, USDC, 333, Cause(base58.b58encode(never).decode(), None, 1))
    world.db.transact(lambda tx: ledger.post(tx, [dropped]))
    assert await world.coordinator.reconciler.run_once() == 0
    rows = world.query("ledger.of_account", account=user(buyer.signer.address), limit=9)
    assert [(row["kind"], row["units"]) for row in rows] == [
        ("reversal", -333),
        ("deposit", 333),
        ("deposit", 5_000_000),
    ]
    assert (await audit(world.db, world.chain)).differences == []


async def test_a_broken_chain_of_hashes_is_an_alarm(still_world: Any) -> None:
    world = still_world
    buyer = await world.buyer()
    await world.coordinator.follower.follow()
    head = world.db.transact(ledger.head)
    as_superuser(world.db, "UPDATE transfers SET at_s = at_s + 1 WHERE seq = %s", head.seq)
    assert await world.coordinator.reconciler.run_once() == 1
    ((subject, _),) = alarms(world).items()
    assert subject == "chain of hashes"
    (problem,) = (await audit(world.db, world.chain)).problems
    assert problem.account == user(buyer.signer.address)
    assert problem.signature
    as_superuser(world.db, "UPDATE transfers SET at_s = at_s - 1 WHERE seq = %s", head.seq)
    assert await world.coordinator.reconciler.run_once() == 0


async def test_a_final_transaction_that_makes_no_sense_is_an_alarm_after_a_while(still_world: Any) -> None:
    """A withdrawal of what never came, because the deposit was taken out of the ledger's reach."""
    world = still_world
    await world.buyer()
    watch = world.coordinator.reconciler
    await watch.run_once()
    put_off = {"signature": "S" * 64, "slot": 1, "reason": "because", "now_s": world.clock.now_s()}
    world.db.transact(lambda tx: tx.execute("ledger.put_off", **put_off))

    async def nothing(_: object) -> list[Any]:
        return []

    watch.follower.history.landings, real = nothing, watch.follower.history.landings
    assert await watch.run_once() == 0
    world.clock.ahead_s += LEDGER_LATE_S
    assert await watch.run_once() == 1
    assert list(alarms(world)) == [f"transaction {'S' * 64}"]
    world.db.transact(lambda tx: tx.execute("ledger.posted_at_last", signatures=["S" * 64]))
    watch.follower.history.landings = real
    assert await watch.run_once() == 0


async def test_a_round_asks_little_however_many_people_there_are(still_world: Any, monkeypatch: Any) -> None:
    """Several accounts to a question, and a part of all in each round; a fault is found in its turn."""
    world = still_world
    monkeypatch.setattr("coordinator.service.reconciler.LEDGER_ACCOUNTS_PER_ROUND_MAX", 3)
    buyers = sorted([await world.buyer() for _ in range(6)], key=lambda buyer: buyer.signer.address)
    watch = world.coordinator.reconciler
    await world.coordinator.follower.follow()
    lose(world.db, buyers[-1].signer.address, 5)
    asked: list[str] = []
    call = world.chain._rpc.call

    async def counting(method: str, *params: object) -> Any:
        asked.append(method)
        return await call(method, *params)

    monkeypatch.setattr(world.chain._rpc, "call", counting)
    for _ in range(200):
        asked.clear()
        if await watch.run_once():
            break
        assert asked.count("getAccountInfo") == 0
        assert asked.count("getMultipleAccounts") == 1
        assert asked.count("getTransaction") == 0
    assert user(buyers[-1].signer.address) in alarms(world)


async def test_status_and_check_tell_of_it(
    still_world: Any, dsn: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    world = still_world
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    world.localnet.config.save(tmp_path / "config.toml")
    buyer = await world.buyer()
    view = await buyer.submit(gpu_type="cpu")

    async def run(*arguments: str) -> tuple[int, str]:
        def work() -> int:
            try:
                group.main([*arguments, "--dsn", dsn], standalone_mode=False)
            except CyxWizError as problem:
                return problem.exit_code
            return int(ExitCode.OK)

        code = await trio.to_thread.run_sync(work)
        return code, capsys.readouterr().out

    code, out = await run("ledger", "check")
    assert code == ExitCode.OK
    assert "agree to the last unit" in out
    assert f"open of job {view.job_id}, final, not posted yet" in out
    head = world.db.transact(ledger.head)
    assert (await run("ledger", "check"))[0] == ExitCode.OK
    assert world.db.transact(ledger.head) == head  # it changes nothing
    await world.coordinator.reconciler.run_once()
    assert (await run("status"))[0] == ExitCode.OK
    lose(world.db, buyer.signer.address, 1)
    await world.coordinator.reconciler.run_once()

    code, out = await run("status")
    assert code == ExitCode.FAILED
    assert f"ALARM           balance of {buyer.signer.address}" in out
    code, out = await run("status", "--json")
    assert code == ExitCode.FAILED
    found = {row["subject"]: row for row in json.loads(out)["alarms"]}
    assert found[user(buyer.signer.address)]["chain_units"] == 4_960_000
    assert found[user(buyer.signer.address)]["since_s"] > 0

    code, out = await run("ledger", "check")
    assert code == ExitCode.FAILED
    assert "DIFFERS  balance of" in out
    assert "1 more" in out
    code, out = await run("ledger", "check", "--json")
    assert code == ExitCode.FAILED
    found = json.loads(out)
    assert {problem["account"] for problem in found["problems"]} == {
        user(buyer.signer.address),
        user("X" * 40),
    }


async def test_a_job_or_a_person_that_the_ledger_does_not_know_is_found(still_world: Any) -> None:
    """The totals tell that something is missing; the program's accounts tell who."""
    world = still_world
    buyer = await world.buyer()
    view = await buyer.submit(gpu_type="cpu")
    rows = await world.chain.ask("getSignaturesForAddress", world.localnet.config.program_id, {})
    world.db.transact(lambda tx: tx.execute("ledger.read_on", signature=rows[0]["signature"], slot=10**9))
    found = await audit(world.db, world.chain)
    assert [(problem.account, problem.job_id) for problem in found.problems] == [
        (rules.escrow(buyer.signer.address, view.job_id), view.job_id),
        (user(buyer.signer.address), None),
        ("chain", None),
    ]
    assert found.problems[0].signature == rows[0]["signature"]


async def test_a_history_that_cannot_be_read_is_an_alarm_after_a_while(
    still_world: Any, monkeypatch: Any
) -> None:
    """Nobody else would notice, for nothing is compared meanwhile."""
    world = still_world
    await world.buyer()
    watch = world.coordinator.reconciler
    await watch.run_once()

    async def unreadable(*_: object, **__: object) -> list[Any]:
        raise chain_unexpected("a history in an unknown tongue")

    with monkeypatch.context() as patch:
        patch.setattr("coordinator.service.follower.mentions_of", unreadable)
        for ahead_s, standing in ((0.0, []), (LEDGER_STALLED_S, ["history of the program"])):
            world.clock.ahead_s += ahead_s
            with pytest.raises(EnvironmentFailure):
                await watch.run_once()
            assert list(alarms(world)) == standing
        (row,) = world.query("ledger.alarms", limit=9)
        assert "in an unknown tongue" in row["detail"]
        as_superuser(world.db, "UPDATE transfers SET at_s = at_s + 1")
        with pytest.raises(EnvironmentFailure):
            await watch.run_once()
        assert set(alarms(world)) == {"history of the program", "chain of hashes"}  # neither hides the other
        as_superuser(world.db, "UPDATE transfers SET at_s = at_s - 1")
    assert await watch.run_once() == 0
