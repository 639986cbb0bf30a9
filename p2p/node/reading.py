"""How busy the machine is now, for heartbeats and for its owner."""

from __future__ import annotations

from pathlib import Path

from p2p.core.messages.nodes import GpuInfo, ResourceReading
from p2p.node.hardware import gpu_readings

_STAT = Path("/proc/stat")
_MEMORY = Path("/proc/meminfo")
_CLOCK_STEP_S = 1.0
_BOOT_S = 600.0  # between a machine's death and its next start; later ends have other reasons


class MachineMeter:
    """Reads load; CPU use is that since the last reading. Blocks: call it in a thread."""

    def __init__(self) -> None:
        self._busy = 0
        self._total = 0

    def read(self, gpus: tuple[GpuInfo, ...], cpu_count: int) -> ResourceReading:
        """The load now, GPUs in the order of ``gpus``; zero where the system does not say."""
        readings = {reading.uuid: reading for reading in (gpu_readings() if gpus else ())}
        found = [readings.get(gpu.uuid) for gpu in gpus]
        return ResourceReading(
            cpu_percent=self._cpu_percent(cpu_count),
            memory_used_bytes=_memory_used_bytes(),
            gpu_percent=tuple(float(gpu.utilisation_percent or 0) if gpu else 0.0 for gpu in found),
            gpu_memory_used_bytes=tuple((gpu.memory_used_bytes or 0) if gpu else 0 for gpu in found),
        )

    def _cpu_percent(self, cpu_count: int) -> float:
        try:
            numbers = [int(part) for part in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return 0.0
        idle = sum(numbers[3:5])  # idle and iowait, see proc_stat(5)
        total = sum(numbers)
        busy_now, total_now = total - idle - self._busy, total - self._total
        self._busy, self._total = total - idle, total
        return 100.0 * cpu_count * busy_now / total_now if total_now > 0 else 0.0


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


def _memory_used_bytes() -> int:
    try:
        lines = (line.split(":", 1) for line in _MEMORY.read_text().splitlines() if ":" in line)
        kib = {name: int(value.split()[0]) for name, value in lines}
        return (kib["MemTotal"] - kib["MemAvailable"]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return 0
