"""How the machine did, as series to plot, and as it is now in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gui_kit.words import bytes_text, tr

Json = Mapping[str, Any]
Series = dict[str, tuple[list[float], list[float]]]
"""By name, where on the x axis and how high."""
_MINUTE_S, _HOUR_S = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time up to now; ``unit_s``: in what its axis counts."""

    key: str
    word: str
    seconds: float
    unit_s: float
    unit: str


def spans() -> tuple[Span, ...]:
    """Those that one can choose from; the first is live."""
    return (
        Span("hour", tr("Last hour"), _HOUR_S, _MINUTE_S, tr("minutes")),
        Span("day", tr("24 hours"), 24 * _HOUR_S, _HOUR_S, tr("hours")),
        Span("week", tr("7 days"), 7 * 24 * _HOUR_S, 24 * _HOUR_S, tr("days")),
    )


@dataclass(frozen=True, slots=True)
class GpuCard:
    """A GPU now. ``state``: offered, busy or not offered, in words."""

    uuid: str
    name: str
    state: str
    offered: bool
    facts: tuple[tuple[str, str], ...]


def gpu_cards(hardware: Json) -> list[GpuCard]:
    """From the answer to ``hardware``."""
    by_uuid = {gpu["uuid"]: gpu for gpu in (hardware["reading"] or {}).get("gpus", ())}
    return [
        _gpu_card(number, gpu, by_uuid.get(gpu["uuid"], {})) for number, gpu in enumerate(hardware["gpus"])
    ]


def _gpu_card(number: int, gpu: Json, now: Json) -> GpuCard:
    used = now.get("memory_used_bytes")
    memory = tr(
        "{used} of {all}", used="?" if used is None else bytes_text(used), all=bytes_text(gpu["vram_bytes"])
    )
    state = tr("Not offered") if not gpu["offered"] else tr("Works on a job") if gpu["busy"] else tr("Free")
    facts = (
        (tr("Class"), gpu["gpu_class"]),
        (tr("Use"), _value(now.get("utilisation_percent"), "%")),
        (tr("Memory"), memory),
        (tr("Temperature"), _value(now.get("temperature_c"), "°C")),
        (tr("Power"), _value(now.get("power_w"), "W")),
    )
    return GpuCard(
        gpu["uuid"], tr("GPU {number}: {name}", number=number, name=gpu["name"]), state, gpu["offered"], facts
    )


def machine_facts(hardware: Json) -> list[tuple[str, str]]:
    """Processors, memory and disk now."""
    reading = hardware["reading"]
    count, memory = hardware["cpu_count"], hardware["memory_bytes"]
    cpu = "–" if reading is None else f"{reading['cpu_percent'] / max(1, count):.0f} %"
    used = "?" if reading is None else bytes_text(reading["memory_used_bytes"])
    return [
        (tr("Processors"), tr("{count}, {use} in use", count=count, use=cpu)),
        (tr("Memory"), tr("{used} of {all}", used=used, all=bytes_text(memory))),
        (tr("Disk"), tr("{free} free", free=bytes_text(hardware["disk_free_bytes"]))),
        (tr("Driver"), hardware["driver_version"] or "–"),
    ]


def use_series(
    points: Sequence[Json], now_s: float, unit_s: float, cpu_count: int, memory_bytes: int
) -> Series:
    """CPU and memory in percent."""
    xs = [(point["at_s"] - now_s) / unit_s for point in points]
    return {
        tr("CPU"): (xs, [point["cpu_percent"] / max(1, cpu_count) for point in points]),
        tr("Memory"): (xs, [100 * point["memory_used_bytes"] / max(1, memory_bytes) for point in points]),
    }


def gpu_series(
    points: Sequence[Json], now_s: float, unit_s: float, gpus: Sequence[Json], field: str
) -> Series:
    """One series for each GPU; memory in percent of its own."""
    found: Series = {}
    for number, gpu in enumerate(gpus):
        xs: list[float] = []
        ys: list[float] = []
        for point in points:
            value = next((each[field] for each in point["gpus"] if each["uuid"] == gpu["uuid"]), None)
            if value is not None:
                xs.append((point["at_s"] - now_s) / unit_s)
                ys.append(100 * value / max(1, gpu["vram_bytes"]) if field == "memory_used_bytes" else value)
        found[tr("GPU {number}", number=number)] = (xs, ys)
    return found


def offered_after(hardware: Json, uuid: str, offered: bool) -> list[str]:
    """The setting ``gpus`` once this GPU is offered or not; empty for all of them."""
    wanted = [gpu["uuid"] for gpu in hardware["gpus"] if (offered if gpu["uuid"] == uuid else gpu["offered"])]
    return [] if len(wanted) == len(hardware["gpus"]) else wanted


def _value(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.0f} {unit}"
