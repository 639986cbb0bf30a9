"""What a running container uses, from its control group's files: 0.4 ms, where `docker stats` takes 2 s."""

from __future__ import annotations

from pathlib import Path

from p2p.node.runner.spec import Usage

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def read_usage(pid: int, *, root: Path = ROOT, proc: Path = PROC) -> Usage | None:
    """The usage of the container whose first process is ``pid``; None if it has ended or cannot be seen."""
    try:
        groups = _groups((proc / str(pid) / "cgroup").read_text())
        if (root / "cgroup.controllers").exists():
            return _version_2(root / groups[""].lstrip("/"))
        return _version_1(root, groups)
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _groups(text: str) -> dict[str, str]:
    """Controller to path, from lines like ``4:cpu,cpuacct:/docker/abc``; version 2 has the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path
    return found


def _version_2(folder: Path) -> Usage:
    cpu, memory = _pairs(folder / "cpu.stat"), _pairs(folder / "memory.stat")
    used = _number(folder / "memory.current") - memory.get("inactive_file", 0)
    peak_file = folder / "memory.peak"  # since Linux 5.19
    peak = _number(peak_file) if peak_file.exists() else used
    return Usage(cpu["usage_usec"] / 1e6, max(0, used), peak, _number(folder / "pids.current"))


def _version_1(root: Path, groups: dict[str, str]) -> Usage:
    def folder(controller: str) -> Path:
        return root / controller / groups[controller].lstrip("/")

    memory = folder("memory")
    inactive = _pairs(memory / "memory.stat").get("total_inactive_file", 0)
    return Usage(
        cpu_s=_number(folder("cpuacct") / "cpuacct.usage") / 1e9,
        memory_bytes=max(0, _number(memory / "memory.usage_in_bytes") - inactive),
        memory_peak_bytes=_number(memory / "memory.max_usage_in_bytes"),
        processes=_number(folder("pids") / "pids.current"),
    )


def _pairs(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def _number(path: Path) -> int:
    return int(path.read_text())
