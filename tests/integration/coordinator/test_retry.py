"""``settle retry``: an operator has the chain's actions looked at again, and nothing is signed twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli import group
from coordinator.service.effects import Boundary, no_effect
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from p2p.core.errors import CyxWizError
from p2p.core.limits import SETTLER_TAKE_S
from p2p.core.states import JobState
from p2p.local.home import HOME_VARIABLE
from p2p.testing.claiming import agrees, work


@pytest.fixture
def retry(dsn: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> Any:
    """``retry("--json", …)``: what it printed."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))

    def run(*arguments: str) -> str:
        group.main(["settle", "retry", "--dsn", dsn, *arguments], standalone_mode=False)
        return str(capsys.readouterr().out)

    return run


async def cancelled(world: Any) -> tuple[str, Any]:
    buyer = await world.buyer()
    view = await buyer.submit(gpu_type="cpu")
    await buyer.cancel(view.job_id)
    return view.job_id, world.actions(view.job_id)[0]


def give_up(world: Any, action: Any) -> None:
    world.db.transact(
        lambda tx: tx.execute(
            "outbox.give_up", action_id=action.action_id, error="\x1b[2Jno fees", now_s=world.clock.now_s()
        )
    )


async def test_what_was_given_up_is_done_after_all(still_world: Any, retry: Any) -> None:
    job_id, action = await cancelled(still_world)
    assert "Nothing was given up" in retry()
    give_up(still_world, action)
    assert still_world.query("outbox.due", now_s=still_world.clock.now_s(), limit=9) == []
    said = retry()
    assert f"refund of job {job_id[:8]}, given up: " in said
    assert "tried again now" in said
    assert "\x1b" not in said
    await work(still_world, job_id)
    assert still_world.job(job_id).status is JobState.REFUNDED
    await agrees(still_world, job_id)
    assert json.loads(retry("--json")) == []


@pytest.mark.parametrize("landed", [False, True])
async def test_stored_bytes_are_followed_and_not_signed_anew(
    still_world: Any, retry: Any, monkeypatch: Any, landed: bool
) -> None:
    world = still_world
    job_id, action = await cancelled(world)
    real = world.chain.broadcast

    async def unseen(raw: bytes) -> str:
        return str(await real(raw)) if landed else "lost"

    async def stop(reached: Boundary) -> None:
        if reached.step == "sent":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.chain, "broadcast", unseen)
        world.coordinator.context.effect = stop
        with pytest.raises(KeyboardInterrupt):
            await world.coordinator.settler.work_on(action.action_id)
    (sent,) = world.actions(job_id)
    give_up(world, sent)
    (said,) = json.loads(retry("--json", job_id[:6]))
    assert (said["was"], said["now"], said["signature"]) == ("failed", "followed", sent.signature)
    assert world.actions(job_id)[0].state == "sent"

    world.coordinator.context.effect = no_effect
    await work(world, job_id)
    assert world.actions(job_id)[0].signature == sent.signature
    assert world.job(job_id).status is JobState.REFUNDED
    await agrees(world, job_id)


async def test_what_waits_is_tried_at_once(still_world: Any, retry: Any) -> None:
    world = still_world
    job_id, action = await cancelled(world)
    until_s = world.clock.now_s() + SETTLER_TAKE_S
    postponed = {"action_id": action.action_id, "until_s": until_s, "now_s": world.clock.now_s()}
    world.db.transact(lambda tx: tx.execute("outbox.postpone", error="", **postponed))
    assert json.loads(retry("--json")) == []  # it waits, but nothing is wrong
    (said,) = json.loads(retry("--json", job_id))
    assert (said["was"], said["now"]) == ("prepared", "tried")
    world.db.transact(lambda tx: tx.execute("outbox.postpone", error="down", **postponed))
    (said,) = json.loads(retry("--json"))
    assert said["error"] == "down"
    await work(world, job_id)
    assert world.job(job_id).status is JobState.REFUNDED


async def test_what_something_else_replaced_is_left(still_world: Any, retry: Any) -> None:
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit(gpu_type="cpu")
    assert await world.coordinator.dispatcher.dispatch() == 1
    (assign,) = world.actions(view.job_id)
    give_up(world, assign)

    def refund(tx: Tx) -> None:
        job = jobs.lock(tx, view.job_id)
        assert job is not None
        outbox.refund(tx, job, world.clock.now_s())

    world.db.transact(refund)
    said = [(row["kind"], row["now"]) for row in json.loads(retry("--json", view.job_id))]
    assert said == [("assign", "left"), ("refund", "tried")]
    assert world.actions(view.job_id)[0].state == "failed"


def test_only_jobs_that_there_are(retry: Any) -> None:
    for job in ("zz", "abcd"):
        with pytest.raises(CyxWizError):
            retry(job)
