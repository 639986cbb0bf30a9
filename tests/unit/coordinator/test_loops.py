from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from coordinator.service.loops import every, surviving
from coordinator.service.signals import Signal
from p2p.core.errors import Bug, EnvironmentFailure

PROBLEMS = [
    (EnvironmentFailure("down", "It is down."), logging.WARNING),
    (Bug("a rule"), logging.ERROR),
    (KeyError(), logging.ERROR),
]


@pytest.mark.parametrize(("problem", "level"), PROBLEMS)
async def test_a_loop_outlives_what_goes_wrong_in_a_round(
    caplog: Any, problem: Exception, level: int
) -> None:
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        raise problem

    with trio.move_on_after(5) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(every, 0.001, work, "sweep")
            while rounds < 3:
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
    assert not scope.cancelled_caught
    assert {(record.levelno, record.getMessage().split(":")[0]) for record in caplog.records} == {
        (level, "sweep")
    }


async def test_news_do_not_wait_for_the_next_round() -> None:
    news, seen = Signal(), trio.Event()

    async def work() -> None:
        seen.set()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(every, 3600.0, work, "ledger", news)
            news.set()
            await seen.wait()
            nursery.cancel_scope.cancel()


def test_the_end_of_the_process_is_no_mistake() -> None:
    with pytest.raises(KeyboardInterrupt), surviving("sweep"):
        raise KeyboardInterrupt
