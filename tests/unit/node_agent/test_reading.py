"""The machine's load, and whether a restart ended a job."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.messages.nodes import GpuInfo
from p2p.local.machine import input_idle_s, on_battery, program_name, running_programs
from p2p.node.hardware import GpuReading
from p2p.node.reading import MachineMeter, Sample, reading_of, restarted_since
from p2p.node.surroundings import OwnUse, Quiet, used_by_others

BOOTED_S = 10_000


@pytest.fixture
def stat(tmp_path: Path) -> Path:
    path = tmp_path / "stat"
    path.write_text(f"cpu  1 2 3 4 5 6 7 8 9 10\nintr 5\nbtime {BOOTED_S}\nprocesses 1\n")
    return path


@pytest.mark.parametrize(
    ("started_s", "finished_s", "restarted"),
    [
        (9_000, 10_001, True),  # Docker noted the end when it came up again
        (9_000, 9_990, True),  # stopped by the shutdown
        (9_000, 9_100, False),  # ended by itself long before
        (10_500, 10_600, False),  # began after the restart
        (9_999.5, 10_001, False),  # a correction of the clock, not a restart
        (None, 10_001, False),
    ],
)
def test_whether_a_restart_ended_the_job(
    stat: Path, started_s: float | None, finished_s: float, restarted: bool
) -> None:
    assert restarted_since(started_s, finished_s, stat) is restarted


def test_a_system_that_does_not_say_was_not_restarted(tmp_path: Path) -> None:
    assert not restarted_since(1.0, 2.0, tmp_path / "none")
    (tmp_path / "stat").write_text("btime never\n")
    assert not restarted_since(1.0, 2.0, tmp_path / "stat")


def test_a_reading_has_a_place_for_each_gpu_on_offer() -> None:
    meter = MachineMeter()
    gone = GpuInfo("GPU-of-another-machine", "x", "x", 1)
    first, second = meter.read(1.0, 4), meter.read(2.0, 4)
    assert reading_of(first, (gone,)).gpu_percent == (0.0,)
    assert reading_of(first, (gone,)).gpu_memory_used_bytes == (0,)
    assert reading_of(second, ()).gpu_percent == ()
    for sample in (first, second):
        assert 0 <= sample.cpu_percent <= 400
        assert sample.memory_used_bytes > 0


def sample(cpu_percent: float, *gpus: tuple[str, int]) -> Sample:
    return Sample(0.0, cpu_percent, 1, tuple(GpuReading(uuid, use, None, None, None) for uuid, use in gpus))


def test_what_others_use_is_without_our_own_jobs() -> None:
    assert used_by_others(sample(400.0), 4, 300.0, frozenset()) == 25.0
    assert used_by_others(sample(100.0), 4, 300.0, frozenset()) == 0.0
    busy = sample(0.0, ("a", 90), ("b", 30))
    assert used_by_others(busy, 4, 0.0, frozenset({"a"})) == 30.0
    assert used_by_others(busy, 4, 0.0, frozenset()) == 90.0


def test_own_use_is_unknown_while_a_job_comes_or_goes() -> None:
    own, agent, job = OwnUse(), ("", 0), ("j", 1)
    assert own.percent(10.0, {agent: 1.0}) is None
    assert own.percent(20.0, {agent: 2.0}) == 10.0
    assert own.percent(30.0, {agent: 2.0, job: 5.0}) is None
    assert own.percent(40.0, {agent: 3.0, job: 14.0}) == 100.0
    assert own.percent(50.0, {agent: 3.0}) is None


def test_a_machine_is_quiet_since_the_first_look_that_saw_nobody() -> None:
    quiet = Quiet()
    assert quiet.lasts_s(5.0) == 0.0
    quiet.note(10.0, 5.0, 20)
    quiet.note(20.0, 19.9, 20)
    assert quiet.lasts_s(25.0) == 15.0
    quiet.note(30.0, 20.0, 20)
    assert quiet.lasts_s(35.0) == 0.0


def test_programs_are_found_by_name() -> None:
    own = psutil.Process().name()
    assert running_programs((own.upper(), "no-such-program")) == {own.upper()}
    assert running_programs(()) == frozenset()
    assert program_name("Game.EXE ") == "game"
    assert on_battery() in (None, True, False)
    assert (input_idle_s(SYSTEM_CLOCK.now_s()) or 0.0) >= 0.0
