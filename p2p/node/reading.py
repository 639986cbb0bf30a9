"""How busy the machine is now, for heartbeats and for its owner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from p2p.core.messages.nodes import GpuInfo, ResourceReading
from p2p.local.machine import cpu_seconds, memory_used_bytes
from p2p.node.hardware import GpuReading, gpu_readings

_STAT = Path("/proc/stat")
_CLOCK_STEP_S = 1.0
_BOOT_S = 600.0  # between a machine's death and its next start; later ends have other reasons


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of the machine: CPU 0 to 100 for each processor, summed; every GPU that answers."""

    at_s: float
    cpu_percent: float
    memory_used_bytes: int
    gpus: tuple[GpuReading, ...] = ()


class MachineMeter:
    """Reads load; CPU use is that since the last reading. Blocks: call it in a thread."""

    def __init__(self) -> None:
        self._before = (0.0, 0.0)

    def read(self, now_s: float, cpu_count: int) -> Sample:
        """The load now."""
        busy_s, total_s = cpu_seconds()
        busy_now_s, total_now_s = busy_s - self._before[0], total_s - self._before[1]
        self._before = (busy_s, total_s)
        share = min(1.0, max(0.0, busy_now_s / total_now_s)) if total_now_s > 0 else 0.0
        return Sample(now_s, 100.0 * cpu_count * share, memory_used_bytes(), gpu_readings())


def reading_of(sample: Sample, gpus: tuple[GpuInfo, ...]) -> ResourceReading:
    """The sample as a heartbeat says it: GPUs in the order of ``gpus``, zero where nothing is known."""
    readings = {reading.uuid: reading for reading in sample.gpus}
    found = [readings.get(gpu.uuid) for gpu in gpus]
    return ResourceReading(
        cpu_percent=sample.cpu_percent,
        memory_used_bytes=sample.memory_used_bytes,
        gpu_percent=tuple(float(gpu.utilisation_percent or 0) if gpu else 0.0 for gpu in found),
        gpu_memory_used_bytes=tuple((gpu.memory_used_bytes or 0) if gpu else 0 for gpu in found),
    )


def restarted_since(started_at_s: float | None, finished_at_s: float, stat: Path = _STAT) -> bool:
    """Whether the machine started anew between ``started_at_s`` and ``finished_at_s``, or since.

    A container that a restart ended has no honest time of its end: Docker notes when it came up again.
    """
    try:
        lines = stat.read_text().splitlines()
        booted_at_s = next(float(line.split()[1]) for line in lines if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration):
        return False
    # `btime` moves with corrections of the clock; a real restart takes longer than that.
    return started_at_s is not None and started_at_s + _CLOCK_STEP_S < booted_at_s <= finished_at_s + _BOOT_S
