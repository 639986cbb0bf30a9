"""A job that was paid because its buyer stayed silent: the results wait for them all the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

from p2p.core.messages.nodes import PAID_UNFETCHED, StopOrder
from p2p.core.states import JobState
from p2p.node.agent import NodeAgent
from p2p.store.node import Phase

pytestmark = pytest.mark.docker

Start = Callable[[], AbstractAsyncContextManager[NodeAgent]]


async def test_outputs_are_kept_until_the_buyer_has_them(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        job = engine.job({"train.py": b"open('a', 'w').write('1')"})
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.DELIVERING)
        coordinator.stop.append(StopOrder(job.job_id, job.epoch, PAID_UNFETCHED))
        coordinator.leases.clear()
        beats = coordinator.beats
        await coordinator.until(lambda: coordinator.beats > beats + 1 and not coordinator.held)
        addrs = agent.peer.addresses
        assert await engine.outputs(coordinator.node, addrs, job)
    async with start_agent() as agent:  # and through a restart of the node
        await coordinator.until(lambda: not coordinator.held and len(coordinator.registered) > 1)
        addrs = agent.peer.addresses
        await engine.outputs(coordinator.node, addrs, job)
        await engine.received(coordinator.node, addrs, job)
        with trio.fail_after(60):
            while agent.jobs.supervisors():
                await agent.jobs.supervisors()[0].finished.wait()
        record = await agent.tables.latest(job.job_id)
        assert record is not None
        assert record.phase is Phase.CLEANED
