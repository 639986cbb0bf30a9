"""How busy this machine is, and with what its owner is: processors, memory, battery, programs, keyboard.

Nothing here raises. What blocks longer than a moment says so.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_CONTAINER_MARK = "docker"


def cpu_seconds() -> tuple[float, float]:
    """Seconds that the processors were busy, and all their seconds, since some start; of all together."""
    times = psutil.cpu_times()
    spent = times._asdict()
    # Linux counts the time of guests in `user` and `nice` already, see proc_stat(5).
    total = sum(value for name, value in spent.items() if not name.startswith("guest"))
    return total - spent["idle"] - spent.get("iowait", 0.0), total


def memory_used_bytes() -> int:
    """Memory that programs would miss if it were taken away."""
    memory = psutil.virtual_memory()
    return int(memory.total - memory.available)


def own_cpu_seconds() -> float:
    """What this process and its children that have ended spent."""
    return sum(os.times()[:4])


def on_battery() -> bool | None:
    """Whether the machine runs on its battery; None: it has none, or the system does not say."""
    try:
        battery = psutil.sensors_battery()
    except (OSError, AttributeError, NotImplementedError):
        return None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged


def running_programs(names: Iterable[str]) -> frozenset[str]:
    """Which of ``names`` run now; looks at every process. Jobs in containers do not count, whatever they call
    themselves.
    """
    wanted = {program_name(name): name for name in names}
    if not wanted:
        return frozenset()
    found: set[str] = set()
    with suppress(OSError):
        for process in psutil.process_iter(["name"]):
            name = wanted.get(program_name(process.info["name"] or ""))
            if name is not None and name not in found and not _in_container(process.pid):
                found.add(name)
    return frozenset(found)


def program_name(name: str) -> str:
    """As it is compared: Windows' ``Game.EXE`` is ``game``; Linux keeps 15 bytes of a name."""
    return name.strip().lower().removesuffix(".exe")


def _in_container(pid: int) -> bool:
    try:
        return _CONTAINER_MARK in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def input_idle_s(now_s: float) -> float | None:
    """For how long nobody has touched keyboard or mouse; None where the system does not say.

    On Windows what the system counts; elsewhere the terminals on which somebody is logged in, as ``w`` does.
    """
    if sys.platform == "win32":
        return _windows_idle_s()
    newest: float | None = None
    with suppress(OSError, RuntimeError):
        for user in psutil.users():
            with suppress(OSError):
                touched_s = os.stat(Path("/dev") / (user.terminal or "none")).st_atime
                newest = touched_s if newest is None else max(newest, touched_s)
    return None if newest is None else max(0.0, now_s - newest)


def _windows_idle_s() -> float | None:
    class LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("ticks_ms", ctypes.c_uint))

    if sys.platform != "win32":
        return None
    found = LastInput(ctypes.sizeof(LastInput), 0)
    if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(found)):
        return None
    return float((ctypes.windll.kernel32.GetTickCount() - found.ticks_ms) & 0xFFFFFFFF) / 1000
