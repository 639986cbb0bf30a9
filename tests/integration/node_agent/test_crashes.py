"""``kill -9`` of the agent's process at every stage of a job: it goes on, each log line exactly once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.core.errors import CyxWizError
from p2p.core.messages.jobs import ResultStatement
from p2p.core.messages.transfer import LogItem, LogRequest
from p2p.core.paths import Home
from p2p.core.states import FailureCode, JobState
from p2p.local.client import LocalClient
from p2p.local.home import HOME_VARIABLE
from p2p.wire.codec import decode, encode

pytestmark = [pytest.mark.docker, pytest.mark.process]

DEADLINE_S = 60.0
LINES = 1500
SCRIPT = f"""
import sys, time
for number in range({LINES}):
    print("out", number, file=(sys.stdout, sys.stderr)[number % 2], flush=True)
    time.sleep(0.002)
open("done.txt", "w").write("done")
""".encode()


class AgentProcess:
    """``cyxwiz-node run`` on a home; killed the hard way."""

    def __init__(self, home: Home, coordinator: Any) -> None:
        self._home, self._coordinator = home, coordinator
        self._process: trio.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is registered."""
        self._coordinator.registered.clear()
        environment = {**os.environ, HOME_VARIABLE: str(self._home.root)}
        command = [sys.executable, "-m", "p2p.node.cli", "run"]
        with self._home.node.log.open("ab") as log:
            self._process = await trio.lowlevel.open_process(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        with trio.fail_after(DEADLINE_S):
            await self._coordinator.until(lambda: bool(self._coordinator.registered))

    @property
    def addresses(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self._coordinator.registered[-1].advert.addresses
        return found

    async def end(self, number: int) -> int:
        """Send a signal and wait for the end; its return code."""
        assert self._process is not None
        self._process.send_signal(number)
        with trio.fail_after(DEADLINE_S):
            return await self._process.wait()

    async def kill(self) -> None:
        assert await self.end(signal.SIGKILL) == -signal.SIGKILL

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None


@pytest.fixture
async def agent(home: Home, coordinator: Any) -> AsyncIterator[AgentProcess]:
    process = AgentProcess(home, coordinator)
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            if process.runs:
                await process.kill()
            command = [sys.executable, "-m", "p2p.node.cli", "clean"]
            environment = {**os.environ, HOME_VARIABLE: str(home.root)}
            await trio.run_process(command, env=environment, capture_stdout=True)


async def receive_until(
    engine: Any, agent: AgentProcess, node: str, job: Any, received: bytearray, lines: int
) -> None:
    """Follow the log from what was received so far until so many lines are here."""
    request = encode(LogRequest(job.job_id, job.epoch, len(received)))
    with trio.fail_after(DEADLINE_S):
        async with engine.peer.stream(node, "logs.follow", request, addrs=agent.addresses) as items:
            async for raw in items:
                item = decode(LogItem, raw)
                assert item.offset == len(received)
                received.extend(item.data)
                if received.count(b"\n") >= lines:
                    return


async def test_a_running_job_outlives_its_agent_and_no_line_is_lost_or_doubled(
    coordinator: Any, engine: Any, agent: AgentProcess
) -> None:
    await agent.start()
    job = engine.job({"train.py": SCRIPT})
    assert (await coordinator.assign(job)).accepted
    await coordinator.until_state(JobState.RUNNING)
    received = bytearray()
    for lines in (LINES // 10, LINES // 2):
        await receive_until(engine, agent, coordinator.node, job, received, lines)
        await agent.kill()
        await agent.start()
    report = await coordinator.until_state(JobState.DELIVERING)
    received += await engine.log(coordinator.node, agent.addresses, job, offset=len(received))
    assert sorted(received.splitlines()) == sorted(b"out %d" % number for number in range(LINES))
    statement = decode(ResultStatement, report.statement.payload)
    assert statement.log_sha256 == sha256(received).digest()
    assert [state.state for state in coordinator.reports].count(JobState.RUNNING) == 1

    await agent.kill()  # the statement is signed: a new start delivers the same one
    await agent.start()
    outputs = await engine.outputs(coordinator.node, agent.addresses, job)
    assert outputs == {"done.txt": b"done"}
    await engine.received(coordinator.node, agent.addresses, job)


async def test_an_exit_while_the_agent_was_away_is_reported(
    coordinator: Any, engine: Any, agent: AgentProcess
) -> None:
    await agent.start()
    script = b"import time\nprint('up', flush=True)\ntime.sleep(2)\nprint('last words')\nraise SystemExit(7)"
    job = engine.job({"train.py": script})
    assert (await coordinator.assign(job)).accepted
    received = bytearray()
    await receive_until(engine, agent, coordinator.node, job, received, 1)
    await agent.kill()
    await until_no_container_runs(job.job_id)
    await agent.start()
    report = await coordinator.until_state(JobState.FAILED)
    assert report.failure is FailureCode.SCRIPT_ERROR
    assert "Exit code 7" in report.detail
    assert "last words" in report.detail
    assert 2 <= report.run_seconds < 30
    received += await engine.log(coordinator.node, agent.addresses, job, offset=len(received))
    assert bytes(received) == b"up\nlast words\n"


async def test_a_kill_while_inputs_come_resumes_with_the_rest(
    coordinator: Any, engine: Any, agent: AgentProcess, home: Home
) -> None:
    await agent.start()
    data = os.urandom(20 << 20)
    job = engine.job({"train.py": b"print('ok')", "data/big": data})
    gate, passed = trio.Event(), engine.source.read_chunk

    def read_chunk(grant: str, chunk_hash: bytes, into: memoryview) -> int:
        if len(engine.source.served) == 3:
            trio.from_thread.run(gate.wait)
        size: int = passed(grant, chunk_hash, into)
        return size

    engine.source.read_chunk = read_chunk
    assert (await coordinator.assign(job)).accepted
    with trio.fail_after(DEADLINE_S):
        while len(engine.source.served) < 3 or len(list(chunk_files(home))) < 2:
            await trio.sleep(0.02)
    await agent.kill()
    kept = {path.name for path in chunk_files(home)}
    gate.set()
    engine.source.served.clear()
    await agent.start()
    await coordinator.until_state(JobState.DELIVERING)
    assert kept
    assert not kept & {
        served.hex() for served in engine.source.served[1:]
    }  # the first may be the old session's
    assert await engine.log(coordinator.node, agent.addresses, job) == b"ok\n"


async def test_sigterm_says_goodbye_and_leaves_the_job_running(
    coordinator: Any, engine: Any, agent: AgentProcess, home: Home
) -> None:
    await agent.start()
    script = b"import time\nprint('up', flush=True)\ntime.sleep(3)\nprint('end')"
    job = engine.job({"train.py": script})
    assert (await coordinator.assign(job)).accepted
    received = bytearray()
    await receive_until(engine, agent, coordinator.node, job, received, 1)
    assert await agent.end(signal.SIGTERM) == 0
    assert coordinator.left
    with pytest.raises(CyxWizError) as caught:
        await LocalClient(home.node.socket).call("status")
    assert caught.value.code == "agent_not_running"
    await agent.start()
    await coordinator.until_state(JobState.DELIVERING)
    assert await engine.log(coordinator.node, agent.addresses, job) == b"up\nend\n"


def chunk_files(home: Home) -> list[Path]:
    return [path for path in (home.node.folder / "chunks").glob("??/*") if not path.name.endswith(".partial")]


async def until_no_container_runs(job_id: str) -> None:
    command = ["docker", "ps", "-q", "--filter", f"label=cyxwiz.job={job_id}"]
    with trio.fail_after(DEADLINE_S):
        while (await trio.run_process(command, capture_stdout=True)).stdout.strip():
            await trio.sleep(0.1)
