"""How values that a script printed, and what its container used, are put on plots. No widgets in here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from gui_kit.words import tr
from p2p.local.protocol import error_from_json

Json = dict[str, Any]

_PARTS = re.compile(r"[/_.\- ]+")
_GB = 1_000_000_000
_PERCENT_OF_CORE = 100


class Point(NamedTuple):
    """One more point: on which plot, of which series, where. ``axis``: what is counted along the bottom."""

    plot: str
    axis: str
    series: str
    x: float
    y: float


class Reader(Protocol):
    """Reads the answers of a command that goes on from where the last one ended; ``cursor``: the fields that
    say where that was."""

    @property
    def cursor(self) -> tuple[str, ...]: ...

    def points(self, answer: Json) -> Iterator[Point]:
        """What an answer adds."""
        ...

    def nothing(self, answer: Json) -> str:
        """What is said while there is no point at all."""
        ...


class MetricReader:
    """Of ``metrics``. The first row decides what is counted along the bottom; a row that does not say it
    lies where the one before it does."""

    cursor = ("epoch", "offset", "line")

    def __init__(self) -> None:
        self._axis = ""
        self._x = 0.0

    def points(self, answer: Json) -> Iterator[Point]:
        """A point for each value in each line."""
        for row in answer["rows"]:
            self._axis = self._axis or axis_of(row)
            if row[self._axis] is not None:
                self._x = float(row[self._axis])
            for name, value in row["values"].items():
                yield Point(plot_of(name), self._axis, name, self._x, float(value))

    def nothing(self, answer: Json) -> str:
        """How a script gets its values plotted."""
        if answer["complete"]:
            return tr("The log has no values to plot.")
        return tr("No values yet. Lines such as “epoch 3 loss=0.25” or JSON are plotted as they come.")


class UsageReader:
    """Of ``usage``: what the container used, by the time since the first sample."""

    cursor = ("epoch", "after")

    def __init__(self) -> None:
        self._began_s: float | None = None

    def points(self, answer: Json) -> Iterator[Point]:
        """A point on each plot for each sample."""
        for sample in answer["samples"]:
            if self._began_s is None:
                self._began_s = sample["at_s"]
            x = sample["at_s"] - self._began_s
            for plot, series, value in _uses(sample):
                yield Point(plot, tr("seconds"), series, x, value)

    def nothing(self, answer: Json) -> str:
        """Why there is nothing to see."""
        if answer["problem"]:
            return "\n".join(error_from_json(answer["problem"]).lines())
        if answer["complete"]:
            return tr("Nothing was measured while the container ran.")
        return tr("Measured every few seconds, as soon as the container runs.")


def plot_of(name: str) -> str:
    """On which plot a value belongs: ``train_loss`` and ``val/loss`` are both a loss."""
    parts = [part for part in _PARTS.split(name) if part]
    return parts[-1].lower() if parts else name


def axis_of(row: Json) -> str:
    """Epochs or steps if the line says just one of them, else lines, which never go back."""
    has_epoch, has_step = row["epoch"] is not None, row["step"] is not None
    if has_epoch != has_step:
        return "epoch" if has_epoch else "step"
    return "line"


def _uses(sample: Json) -> Iterator[tuple[str, str, float]]:
    yield tr("CPU, cores"), tr("CPU"), sample["cpu_percent"] / _PERCENT_OF_CORE
    yield tr("Memory, GB"), tr("Memory"), sample["memory_bytes"] / _GB
    yield tr("Outputs on disk, GB"), tr("Outputs"), sample["disk_bytes"] / _GB
    if sample["gpu_percent"] is not None:
        yield tr("GPU, percent"), tr("GPU"), float(sample["gpu_percent"])
    if sample["gpu_memory_bytes"] is not None:
        yield tr("GPU memory, GB"), tr("GPU memory"), sample["gpu_memory_bytes"] / _GB
