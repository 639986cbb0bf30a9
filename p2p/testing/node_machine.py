"""What a node's agent answers about its machine: two GPUs that work, for tests of its window."""

from __future__ import annotations

from math import sin
from typing import Any

from p2p.core.clock import SYSTEM_CLOCK

GIB = 1 << 30
NOW_S = SYSTEM_CLOCK.now_s()

GPUS: list[dict[str, Any]] = [
    {
        "uuid": "GPU-aaaa",
        "name": "NVIDIA GeForce RTX 4090",
        "gpu_class": "rtx4090",
        "vram_bytes": 24 * GIB,
        "compute_capability": "8.9",
        "offered": True,
        "busy": True,
    },
    {
        "uuid": "GPU-bbbb",
        "name": "NVIDIA GeForce RTX 3060",
        "gpu_class": "rtx3060",
        "vram_bytes": 12 * GIB,
        "compute_capability": "8.6",
        "offered": False,
        "busy": False,
    },
]


def sample(at_s: float, wave: float) -> dict[str, Any]:
    """The machine at one moment; ``wave``: 0 to 1, how hard it works."""
    gpus = [
        {
            "uuid": gpu["uuid"],
            "utilisation_percent": 100 * wave / (1 + at),
            "temperature_c": 40 + 30 * wave - at,
            "memory_used_bytes": int(gpu["vram_bytes"] * wave / 2),
            "power_w": 60 + 300 * wave / (1 + at),
        }
        for at, gpu in enumerate(GPUS)
    ]
    memory = int((8 + 20 * wave) * GIB)
    return {
        "at_s": at_s,
        "cpu_percent": 1600 * (0.1 + wave / 2),
        "memory_used_bytes": memory,
        "gpus": gpus,
    }


def readings(params: dict[str, Any]) -> dict[str, Any]:
    """What ``readings`` answers: an hour live, or the time that was asked for."""
    span_s, step_s = float(params.get("span_s", 3600)), float(params.get("span_s", 3600)) / 300
    if params.get("after"):
        return {"step_s": 5.0, "cursor": 1, "points": []}
    points = [sample(NOW_S - span_s + at * step_s, 0.5 + 0.4 * sin(at / 20)) for at in range(300)]
    return {"step_s": step_s, "cursor": 1, "points": points}


HARDWARE: dict[str, Any] = {
    "gpus": GPUS,
    "cpu_count": 16,
    "memory_bytes": 64 * GIB,
    "disk_free_bytes": 420 * GIB,
    "driver_version": "560.35.03",
    "problems": [],
    "reading": sample(NOW_S, 0.8),
}
