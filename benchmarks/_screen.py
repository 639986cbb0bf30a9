"""A screen in memory, and what a program that shows a window on it costs."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 30
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class WindowCost:
    """``visible_s``: from starting the process to its window being on the screen."""

    visible_s: float
    idle_cpu_percent: float
    pss_bytes: int


@contextmanager
def screen() -> Iterator[str]:
    """An X server of our own; its DISPLAY."""
    if shutil.which("Xvfb") is None or shutil.which("xdotool") is None:
        raise SystemExit("Xvfb and xdotool are needed: scripts/setup screen")
    reads, writes = os.pipe()
    words = [
        "Xvfb",
        "-displayfd",
        str(writes),
        "-screen",
        "0",
        "1920x1200x24",
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    server = subprocess.Popen(words, pass_fds=(writes,), stderr=subprocess.DEVNULL)
    os.close(writes)
    try:
        with os.fdopen(reads) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise SystemExit("Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def cost_of_window(
    command: Sequence[str], title: str, environment: Mapping[str, str], idle_s: float, rounds: int
) -> WindowCost:
    """Start the program ``rounds`` times for the median of its start; look at the last one for ``idle_s``."""
    starts = []
    for left in reversed(range(rounds)):
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for_window(title, environment, process)
            starts.append(time.monotonic() - began)
            if left == 0:
                time.sleep(2)  # what it still does after it is to be seen
                cpu = _cpu_percent(process.pid, idle_s)
                pss = _pss_bytes(process.pid)
        finally:
            process.terminate()
            process.wait()
    return WindowCost(statistics.median(starts), cpu, pss)


def _wait_for_window(title: str, environment: Mapping[str, str], process: subprocess.Popen[bytes]) -> None:
    words = ["xdotool", "search", "--onlyvisible", "--name", title]
    until = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until:
        if subprocess.run(words, env=dict(environment), capture_output=True, check=False).stdout:
            return
        time.sleep(0.01)
    raise SystemExit(f"{title}: no window came")


def _cpu_percent(pid: int, seconds: float) -> float:
    before = _cpu_s(pid)
    time.sleep(seconds)
    return 100 * (_cpu_s(pid) - before) / seconds


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _pss_bytes(pid: int) -> int:
    """Its own memory and its share of what it has in common with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class Lateness:
    """How late a timer of 10 ms comes: how long a click would have to wait."""

    PERIOD_S = 0.010

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self.late_s: list[float] = []

    def tick(self) -> None:
        now = self._clock()
        self.late_s.append(max(0.0, now - self._last - self.PERIOD_S))
        self._last = now

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.late_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]
