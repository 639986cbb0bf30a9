"""Jobs that fail or overreach: each is stopped, says why, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from p2p.core.limits import MIB
from p2p.core.states import FailureCode
from p2p.node.runner import LogCursor

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.docker


async def test_a_script_that_fails_keeps_its_exit_code_and_traceback(bench: Bench) -> None:
    report = await bench.run(bench.spec("print('before')\nraise SystemExit(7)"))
    assert (report.failure, report.exit_code) == (FailureCode.SCRIPT_ERROR, 7)
    assert "7" in report.words
    assert "before" in bench.text
    assert report.finished_at_s >= report.started_at_s > 0


async def test_memory_hog_is_out_of_memory(bench: Bench) -> None:
    script = "b = []\nwhile True: b.append(bytearray(16 << 20)); print(len(b))"
    report = await bench.run(bench.spec(script, memory_bytes=128 * MIB))
    assert report.failure is FailureCode.OUT_OF_MEMORY
    assert "128 MiB" in report.words


async def test_a_killed_child_is_not_taken_for_the_script_running_out_of_memory(bench: Bench) -> None:
    script = """
import os, sys
pid = os.fork()
if not pid:
    open("/proc/self/oom_score_adj", "w").write("1000")
    b = []
    while True: b.append(bytearray(16 << 20))
os.waitpid(pid, 0)
print("child ended"); sys.exit(3)
"""
    report = await bench.run(bench.spec(script, memory_bytes=128 * MIB))
    assert (report.failure, report.exit_code) == (FailureCode.SCRIPT_ERROR, 3)


async def test_timeout_lets_the_script_save_before_it_ends(bench: Bench, tmp_path: Path) -> None:
    script = """
import signal, sys, time
def save(*_): open("saved", "w").write("x"); print("saved"); sys.exit(0)
signal.signal(signal.SIGTERM, save); print("ready"); time.sleep(600)
"""
    spec = bench.spec(script, timeout_s=2, grace_s=20.0)
    report = await bench.run(spec)
    assert report.failure is FailureCode.TIMEOUT
    assert "2 s" in report.words
    assert "saved" in bench.text
    collected = await bench.runner.collect(spec, tmp_path / "got")
    assert [file.path for file in collected.files] == ["saved"]


async def test_a_script_that_ignores_sigterm_is_killed_after_its_grace(bench: Bench) -> None:
    script = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(600)"
    )
    report = await bench.run(bench.spec(script, timeout_s=1, grace_s=1.0))
    assert report.failure is FailureCode.TIMEOUT
    assert report.exit_code == 137


async def test_too_much_output_stops_hard_and_says_so_even_if_the_script_shrugs(bench: Bench) -> None:
    script = """
try:
    with open("big", "wb") as f:
        for _ in range(4096): f.write(bytes(1 << 20))
except OSError as e: print("stopped", e.errno)
"""
    spec = bench.spec(script)
    report = await bench.run(spec)
    assert (report.failure, report.exit_code) == (FailureCode.OUTPUT_FULL, 0)
    assert "8 MiB" in report.words
    assert bench.runner.folders(spec).disk.stat().st_size < 64 * MIB
    assert "stopped 28" in bench.text


async def test_a_flood_of_files_is_too_much_output(bench: Bench) -> None:
    report = await bench.run(bench.spec("for i in range(10**6): open(f'f{i}', 'w').close()"))
    assert report.failure is FailureCode.OUTPUT_FULL


async def test_a_full_disk_that_stays_full_ends_the_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.node.runner.supervise.OUTPUT_FULL_GRACE_S", 0.5)
    script = """
import time
f = open("big", "wb", buffering=0)
try:
    while True: f.write(bytes(1 << 20))
except OSError: time.sleep(600)
"""
    report = await bench.run(bench.spec(script, grace_s=0.0))
    assert report.failure is FailureCode.OUTPUT_FULL


async def test_without_mounts_a_watcher_stops_the_job_that_writes_too_much(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.node.runner.volume.can_mount", lambda: False)
    script = """
import time
with open("big", "wb") as f:
    for _ in range(40): f.write(bytes(1 << 20))
print("written"); time.sleep(600)
"""
    spec = bench.spec(script, grace_s=0.0)
    words = await bench.runner.prepare(spec)
    assert "overshoot" in words
    report = await bench.run(spec)
    assert report.failure is FailureCode.OUTPUT_FULL
    assert not bench.runner.folders(spec).disk.exists()


@pytest.mark.parametrize("where", ["/tmp", "/dev/shm"])
async def test_temporary_folders_are_bounded_too(bench: Bench, where: str) -> None:
    script = f"""
n = 0
try:
    f = open("{where}/big", "wb", buffering=0)
    while n < 2048 and f.write(bytes(1 << 20)) == 1 << 20: n += 1
except OSError as e: print("errno", e.errno)
print("wrote", n)
"""
    report = await bench.run(bench.spec(script, memory_bytes=1024 * MIB))
    assert report.ok, bench.text
    assert int(bench.text.split()[-1]) <= 512


async def test_a_fork_bomb_is_contained_while_the_agent_goes_on(bench: Bench) -> None:
    script = """
import os, time
print("start")
while True:
    try: os.fork()
    except OSError: time.sleep(0.05)
"""
    spec = bench.spec(script, timeout_s=3, grace_s=0.0)
    answers = []

    async def ask() -> None:
        while True:
            with trio.fail_after(5):
                answers.append(await bench.runner.stats(spec))
            await trio.sleep(0.2)

    await bench.runner.prepare(spec)
    await bench.runner.start(spec)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        report = await bench.runner.supervise(spec)
        nursery.cancel_scope.cancel()
    assert report.failure in (FailureCode.TIMEOUT, FailureCode.OUT_OF_MEMORY)
    assert len(answers) > 1
    assert max(usage.processes for usage in answers if usage) <= 1024


async def test_a_log_flood_is_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.node.runner.logs.LOG_RATE_WINDOW_S", 1.0)
    spec = bench.spec("while True: print('x' * 1000)", memory_bytes=128 * MIB)
    report = await bench.run(spec)
    assert report.failure is FailureCode.LOG_FLOOD


async def test_a_flood_of_short_lines_is_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.node.runner.logs.LOG_RATE_WINDOW_S", 1.0)
    report = await bench.run(bench.spec("while True: print()"))
    assert report.failure is FailureCode.LOG_FLOOD


async def test_a_very_long_line_arrives_whole(bench: Bench) -> None:
    report = await bench.run(bench.spec("print('a' * (3 << 20)); print('after')"))
    assert report.ok
    assert len(bench.text.splitlines()[0]) == 3 << 20
    assert bench.text.endswith("after\n")


async def test_stopping_on_request_says_why_and_only_once(bench: Bench) -> None:
    spec = bench.spec("import time\nprint('ready'); time.sleep(600)")
    await bench.runner.prepare(spec)
    await bench.runner.start(spec)
    async with bench.runner.follow_logs(spec, LogCursor()) as entries:
        assert (await anext(entries)).data == b"ready\n"
    await bench.runner.stop(spec, FailureCode.STOPPED, "The buyer cancelled it.\x1b[31m", 1.0)
    await bench.runner.stop(spec, FailureCode.TIMEOUT, "too late", 1.0)
    report = await bench.runner.supervise(spec)
    assert report.failure is FailureCode.STOPPED
    assert report.words.endswith("The buyer cancelled it.")


async def test_cpu_share_is_held(bench: Bench) -> None:
    script = """
import os, time
if os.fork() == 0: os.fork()
start = time.time()
while time.time() - start < 2: pass
"""
    spec = bench.spec(script, cpus=0.5, grace_s=0.0)
    report = await bench.run(spec)
    assert 0 < report.usage.cpu_s <= 0.5 * (report.finished_at_s - report.started_at_s) + 0.3


async def test_nothing_is_left_of_killed_jobs(bench: Bench, host_has: Callable[[str], bool]) -> None:
    spec = bench.spec("import time\ntime.sleep(600)")
    other = bench.spec("import time\ntime.sleep(600)")
    for each in (spec, other):
        await bench.runner.prepare(each)
        await bench.runner.start(each)
    removed = await bench.runner.sweep(keep={(other.job_id, other.epoch)})
    assert len(removed) == 2
    assert not host_has(spec.job_id)
    state = await bench.runner.state(other)
    assert state is not None
    assert state.running
    await bench.runner.sweep(keep=set())
    assert not host_has(bench.runner.node)
