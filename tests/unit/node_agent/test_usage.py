"""Samples of a process's own control group, kept in a file that a crash cannot spoil."""

from __future__ import annotations

from pathlib import Path

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import USAGE_SAMPLES_MAX
from p2p.core.messages.usage import UsageSample
from p2p.node.runner import Usage
from p2p.node.runner.cgroup import read_usage
from p2p.node.usage import keep_usage
from p2p.store.samples import SampleFile

PLAIN = UsageSample(5.0, 99.5, 2**40, 7, 3)
WITH_GPU = UsageSample(6.0, 0.0, 1, 0, 1, 55.0, 2**33)


def test_what_is_added_is_read_from_anywhere(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "deep" / "usage")
    assert (file.count(), file.read(0, 10)) == (0, ())
    file.add([PLAIN, WITH_GPU])
    file.add([PLAIN])
    assert file.read(0, 10) == (PLAIN, WITH_GPU, PLAIN)
    assert file.read(1, 1) == (WITH_GPU,)
    assert file.read(9, 1) == ()


def test_a_torn_record_is_written_over(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "usage")
    file.add([PLAIN, WITH_GPU])
    with (tmp_path / "usage").open("r+b") as raw:
        raw.truncate(100)
    assert file.read(0, 10) == (PLAIN,)
    file.add([WITH_GPU])
    assert file.read(0, 10) == (PLAIN, WITH_GPU)


def test_the_file_is_bounded(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "usage")
    file.add([PLAIN] * (USAGE_SAMPLES_MAX - 1))
    file.add([WITH_GPU] * 3)
    file.add([WITH_GPU])
    assert file.count() == USAGE_SAMPLES_MAX


def control_group(folder: Path, cpu_s: float) -> None:
    """As the kernel shows that of process 1."""
    (folder / "proc" / "1").mkdir(parents=True, exist_ok=True)
    (folder / "group").mkdir(exist_ok=True)
    texts = {
        "cgroup.controllers": "cpu memory pids",
        "proc/1/cgroup": "0::/group\n",
        "group/cpu.stat": f"usage_usec {cpu_s * 1e6:.0f}\n",
        "group/memory.stat": "inactive_file 0\n",
        "group/memory.current": "4096\n",
        "group/pids.current": "3\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


async def test_a_container_is_sampled_until_it_ends_and_gaps_do_no_harm(tmp_path: Path) -> None:
    file, clock, looks = SampleFile(tmp_path / "usage"), MovableClock(), 0

    async def read() -> tuple[Usage, int] | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise EnvironmentFailure("docker_unreachable", "Docker restarts.")
        clock.value_s += 10
        control_group(tmp_path, cpu_s=looks * 5)
        found = read_usage(1, root=tmp_path, proc=tmp_path / "proc")
        assert found is not None
        return (found, 11) if looks < 5 else None

    with trio.fail_after(30):
        await keep_usage(read, "", file, clock, 0.001)
    assert file.read(0, 10) == (
        UsageSample(120.0, 100.0, 4096, 11, 3),
        UsageSample(130.0, 50.0, 4096, 11, 3),
    )


class MovableClock:
    value_s = 100.0

    def now_s(self) -> float:
        return self.value_s

    def monotonic_s(self) -> float:
        return self.value_s
