"""A job from assignment to cleanup, on real Docker, over the real network."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Any

import pytest
import trio

from p2p.core.errors import CyxWizError
from p2p.core.jobspec import JobConfig
from p2p.core.messages.jobs import ResultStatement
from p2p.core.messages.nodes import StopOrder
from p2p.core.signing import Domain, signing_input
from p2p.core.states import FailureCode, JobState
from p2p.net.identity import verify_peer_signature
from p2p.node.agent import NodeAgent
from p2p.node.views import job_json
from p2p.store.node import Phase
from p2p.wire.codec import decode

pytestmark = pytest.mark.docker

DEADLINE_S = 30.0

Start = Callable[[], AbstractAsyncContextManager[NodeAgent]]

SCRIPT = b"""
import os, sys
text = open("data/in.txt").read()
for number in range(50):
    print("line", number)
print("warned", file=sys.stderr)
os.makedirs("model")
open("model/out.txt", "w").write(text.upper())
os.symlink("/etc/passwd", "link")
"""


async def cleaned(agent: NodeAgent, job_id: str) -> None:
    with trio.fail_after(60):
        while agent.jobs.supervisors():
            await agent.jobs.supervisors()[0].finished.wait()
    record = await agent.tables.latest(job_id)
    assert record is not None
    assert record.phase is Phase.CLEANED


async def test_a_job_runs_and_its_log_and_results_arrive(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        data = b"hello " * 1_000_000
        job = engine.job({"train.py": SCRIPT, "data/in.txt": data})
        reply = await coordinator.assign(job)
        assert reply.accepted, reply.reason
        assert (await coordinator.assign(job)).accepted  # asked twice, taken once
        log = await engine.log(coordinator.node, agent.peer.addresses, job)
        report = await coordinator.until_state(JobState.DELIVERING)
        states = [report.state for report in coordinator.reports]
        assert states == [JobState.STAGING, JobState.RUNNING, JobState.DELIVERING]
        assert sorted(log.splitlines()) == sorted([b"line %d" % n for n in range(50)] + [b"warned"])

        statement = decode(ResultStatement, report.statement.payload)
        signed = signing_input(Domain.RESULT, report.statement.payload)
        assert verify_peer_signature(coordinator.node, signed, report.statement.signature)
        assert statement.log_sha256 == sha256(log).digest()
        assert statement.input_root == job.spec.input_root
        assert statement.image_digest == agent.survey.image
        assert statement.run_seconds > 0

        assert await engine.log(coordinator.node, agent.peer.addresses, job, offset=10) == log[10:]
        outputs = await engine.outputs(coordinator.node, agent.peer.addresses, job)
        assert outputs == {"model/out.txt": data.upper()}
        await engine.received(coordinator.node, agent.peer.addresses, job)
        coordinator.leases.clear()  # over
        await cleaned(agent, job.job_id)
        assert await engine.log(coordinator.node, agent.peer.addresses, job) == log
        with pytest.raises(CyxWizError) as caught:
            await engine.outputs(coordinator.node, agent.peer.addresses, job)
        assert caught.value.code == "not_released"
        assert not list(agent.runner._folder.iterdir())


async def test_a_failing_script_is_explained_and_its_outputs_stay(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    script = b"open('half', 'w').write('x'); print('before'); raise ValueError('no such layer \\x1b[2J')"
    async with start_agent() as agent:
        job = engine.job({"train.py": script, "data/a": b"1"})
        assert (await coordinator.assign(job)).accepted
        report = await coordinator.until_state(JobState.FAILED)
        assert report.failure is FailureCode.SCRIPT_ERROR
        assert "Exit code 1" in report.detail
        assert "no such layer" in report.detail
        assert "\x1b" not in report.detail
        log = await engine.log(coordinator.node, agent.peer.addresses, job)
        assert b"before\n" in log
        with pytest.raises(CyxWizError):
            await engine.outputs(coordinator.node, agent.peer.addresses, job)
        await cleaned(agent, job.job_id)


async def test_an_order_to_stop_ends_a_running_job(coordinator: Any, engine: Any, start_agent: Start) -> None:
    script = b"import time\nprint('up', flush=True)\ntime.sleep(600)"
    async with start_agent() as agent:
        job = engine.job({"train.py": script}, config=JobConfig(timeout_s=900))
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.RUNNING)
        used = await engine.usage(coordinator.node, agent.peer.addresses, job)
        assert (used.cpus, used.memory_bytes, used.ended) == (1.0, 1 << 30, False)
        assert used.samples[0].memory_bytes > 1 << 20
        assert used.samples[0].processes >= 1
        refused = await coordinator.assign(engine.job({"train.py": script}))
        assert not refused.accepted
        assert "free" in refused.reason
        await coordinator.order_stop(StopOrder(job.job_id, job.epoch, "cancelled"))
        await cleaned(agent, job.job_id)
        assert JobState.FAILED not in [report.state for report in coordinator.reports]
        assert not list(agent.runner._folder.iterdir())


async def test_a_job_that_was_topped_up_outlives_its_first_limit(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    """The container goes on, also under an agent that was started again meanwhile."""
    script = b"import time\nprint('up', flush=True)\ntime.sleep(16)\nopen('late', 'w').write('x')"
    async with start_agent() as agent:
        job = engine.job({"train.py": script}, config=JobConfig(timeout_s=10))
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.RUNNING)
        coordinator.limits[(job.job_id, job.epoch)] = 60
        with trio.fail_after(DEADLINE_S):
            while agent.jobs.supervisors()[0].limit_s != 60:
                await trio.sleep(0.05)
        assert job_json(agent.jobs.supervisors()[0].record, 0.0)["timeout_s"] == 60
    coordinator.limits.clear()  # the journal remembers
    async with start_agent() as agent:
        report = await coordinator.until_state(JobState.DELIVERING)
        statement = decode(ResultStatement, report.statement.payload)
        assert statement.run_seconds > 15
        outputs = await engine.outputs(coordinator.node, agent.peer.addresses, job)
        assert outputs == {"late": b"x"}
