"""The agent may be killed at any moment: its jobs go on, and nothing is lost, doubled or run twice."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.states import FailureCode
from p2p.node.runner import LogCursor, Runner, RunSpec
from p2p.node.runner.supervise import Verdict, write_verdict

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.docker

LINES = """
import sys, time
for i in range(4000):
    print("line", i, "x" * (i % 200), flush=True)
    if i % 10 == 0: print("err", i, file=sys.stderr, flush=True)
    if i % 20 == 0: time.sleep(0.01)
print("z" * 50000, flush=True)
sys.exit(7)
"""


def follower(folder: Path, spec: RunSpec) -> subprocess.Popen[str]:
    fields: dict[str, Any] = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    del fields["network"]
    command = [sys.executable, str(Path(__file__).with_name("follower.py")), str(folder), json.dumps(fields)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def wait_for_size(path: Path, size_bytes: int) -> None:
    with trio.fail_after(60):
        while not path.exists() or path.stat().st_size < size_bytes:
            await trio.sleep(0.02)


async def test_after_kill_9_the_same_container_goes_on_and_every_line_is_there_once(
    bench: Bench, tmp_path: Path
) -> None:
    spec = bench.spec(LINES, grace_s=0.0)
    log = tmp_path / "log"
    containers = []
    for size_bytes in (20_000, 120_000):
        process = follower(tmp_path, spec)
        await wait_for_size(log, size_bytes)
        process.kill()
        said, _ = process.communicate()
        containers.append(said.split()[1])
    last = follower(tmp_path, spec)
    said, _ = await trio.to_thread.run_sync(lambda: last.communicate(timeout=60))
    assert said.split()[2:] == ["exit", "7"]
    assert {*containers, said.split()[1]} == {containers[0]}
    lines = log.read_text().splitlines()
    assert [int(line.split()[1]) for line in lines if line.startswith("line")] == list(range(4000))
    assert [int(line.split()[1]) for line in lines if line.startswith("err")] == list(range(0, 4000, 10))
    # Docker stamps stdout and stderr apart, so only the order within each is promised.
    assert [line for line in lines if not line.startswith("err")][-1] == "z" * 50000
    assert len(lines) == 4000 + 400 + 1


async def test_an_exit_while_nobody_looked_is_reported(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec("print('one'); print('two'); raise SystemExit(42)")
    await bench.runner.prepare(spec)
    await bench.runner.start(spec)
    with trio.fail_after(30):
        while (state := await bench.runner.state(spec)) is None or not state.over:
            await trio.sleep(0.05)
    other = Runner(tmp_path / "runner", SYSTEM_CLOCK)
    await other.prepare(spec)
    assert await other.start(spec) == state.container
    async with other.follow_logs(spec, LogCursor()) as entries:
        assert [entry.data async for entry in entries] == [b"one\n", b"two\n"]
    report = await other.supervise(spec)
    assert (report.failure, report.exit_code) == (FailureCode.SCRIPT_ERROR, 42)
    assert report.finished_at_s == state.finished_at_s
    other.close()


async def test_a_deadline_that_passed_while_the_agent_was_down_is_enforced(
    bench: Bench, tmp_path: Path
) -> None:
    spec = bench.spec("import time\ntime.sleep(600)", timeout_s=1, grace_s=0.0)
    await bench.runner.prepare(spec)
    await bench.runner.start(spec)
    late = Runner(tmp_path / "runner", SYSTEM_CLOCK)
    with trio.fail_after(30):
        report = await late.supervise(spec)
    assert report.failure is FailureCode.TIMEOUT
    late.close()


async def test_a_verdict_written_just_before_a_crash_is_carried_out(bench: Bench) -> None:
    spec = bench.spec("import time\ntime.sleep(600)", grace_s=0.0)
    await bench.runner.prepare(spec)
    await bench.runner.start(spec)
    verdict = Verdict(FailureCode.STOPPED, "cancelled", SYSTEM_CLOCK.now_s())
    write_verdict(bench.runner.folders(spec).verdict, verdict)
    with trio.fail_after(30):
        report = await bench.runner.supervise(spec)
    assert (report.failure, "cancelled" in report.words) == (FailureCode.STOPPED, True)


async def test_a_container_that_was_created_but_never_started_is_made_anew(bench: Bench) -> None:
    spec = bench.spec("print('ran')")
    await bench.runner.prepare(spec)
    client = bench.runner._daemon.client()
    stale = bench.runner._create(client, spec, "none", [])
    assert await bench.runner.start(spec) != stale
    assert (await bench.runner.supervise(spec)).ok


async def test_cancelling_the_supervision_leaves_the_job_running(bench: Bench) -> None:
    spec = bench.spec("import time\nprint('ready'); time.sleep(600)")
    await bench.runner.prepare(spec)
    await bench.runner.start(spec)
    async with bench.runner.follow_logs(spec, LogCursor()) as entries:
        await anext(entries)
    with trio.move_on_after(0.3):
        await bench.runner.supervise(spec)
    state = await bench.runner.state(spec)
    assert state is not None
    assert state.running
    usage = await bench.runner.stats(spec)
    assert usage is not None
    assert usage.memory_bytes > 1 << 20
    assert usage.cpu_s > 0
    assert 2 <= usage.processes < 10


async def test_the_self_test_of_this_machine_passes(bench: Bench) -> None:
    rows = {row.name: row for row in await bench.runner.check()}
    assert rows["docker"].ok
    assert rows["job image"].ok
    assert all(row.ok for row in rows.values() if row.required), rows
    assert (await bench.runner.image_digest(bench.image)) == bench.image


async def test_without_docker_the_self_test_says_so_and_raises_nothing(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runner", SYSTEM_CLOCK, "unix:///nonexistent/docker.sock")
    rows = await runner.check()
    assert [row.ok for row in rows if row.name == "docker"] == [False]
    assert next(row for row in rows if row.name == "docker").fix
    runner.close()
