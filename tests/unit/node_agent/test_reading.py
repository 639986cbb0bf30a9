"""The machine's load, and whether a restart ended a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2p.core.messages.nodes import GpuInfo
from p2p.node.reading import MachineMeter, restarted_since

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
    first, second = meter.read((gone,), 4), meter.read((), 4)
    assert first.gpu_percent == (0.0,)
    assert first.gpu_memory_used_bytes == (0,)
    assert second.gpu_percent == ()
    for reading in (first, second):
        assert 0 <= reading.cpu_percent <= 400
        assert reading.memory_used_bytes > 0
