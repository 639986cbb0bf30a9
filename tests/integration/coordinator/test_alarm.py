"""``status`` is loud about money that does not move by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli import group
from coordinator.store import jobs, outbox
from coordinator.store.database import Database, Tx
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError, ExitCode
from p2p.core.limits import ACTION_LATE_S
from p2p.local.home import HOME_VARIABLE
from p2p.testing.queue import queue


def _refund(tx: Tx, job_id: str, age_s: float, error: str, *, given_up: bool) -> None:
    job = jobs.lock(tx, job_id)
    assert job is not None
    now_s = SYSTEM_CLOCK.now_s() - age_s
    action = outbox.add(tx, job, outbox.REFUND, now_s)
    query = "outbox.give_up" if given_up else "outbox.postpone"
    until = {} if given_up else {"until_s": now_s}
    tx.execute(query, action_id=action.action_id, error=error, now_s=now_s, **until)


@pytest.mark.parametrize(
    ("age_s", "error", "given_up", "is_loud"),
    [
        (0.0, "the chain's verdict is settled", True, True),
        (ACTION_LATE_S + 60, "no SOL for fees\x1b[2J", False, True),
        (0.0, "blockhash not found", False, False),
        (ACTION_LATE_S + 60, "", False, False),
    ],
    ids=["given-up", "late", "young", "only-waits"],
)
def test_status_tells_of_money_that_stands(
    db: Database,
    dsn: str,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: Any,
    age_s: float,
    error: str,
    given_up: bool,
    is_loud: bool,
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    (job_id,) = queue(db)
    db.transact(lambda tx: _refund(tx, job_id, age_s, error, given_up=given_up))

    def status(*arguments: str) -> tuple[int, str]:
        code = 0
        try:
            group.main(["status", "--dsn", dsn, *arguments], standalone_mode=False)
        except CyxWizError as problem:
            code = problem.exit_code
        return code, capsys.readouterr().out

    code, out = status()
    assert code == (ExitCode.FAILED if is_loud else ExitCode.OK)
    assert (f"ATTENTION       refund of job {job_id}" in out) is is_loud
    assert "\x1b[2J" not in out
    code, out = status("--json")
    assert code == (ExitCode.FAILED if is_loud else ExitCode.OK)
    found = [(row["job_id"], row["kind"], row["error"]) for row in json.loads(out)["troubled"]]
    assert found == ([(job_id, "refund", error)] if is_loud else [])
