"""How the machine did over time, as plots: processors and memory, and each GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PyQt6.QtWidgets import QWidget

from gui_kit.boxes import column
from gui_kit.plot_view import PlotView
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import tr
from node_gui.machine import Series, Span, gpu_series, use_series


class MachinePlots(QWidget):
    """Made when they are first looked at: what draws them takes a while to load."""

    def __init__(self) -> None:
        super().__init__()
        self.use = PlotView(tr("CPU and memory in %"), tr("time"))
        self.gpu: dict[str, PlotView] = {}
        self._box = column(self.use, spacing_px=MARGIN_PX)
        self.setLayout(self._box)

    def draw(
        self, points: Sequence[Mapping[str, Any]], now_s: float, span: Span, hardware: Mapping[str, Any]
    ) -> None:
        """Show these points."""
        if hardware["gpus"] and not self.gpu:
            for field, name in _gpu_plots():
                self.gpu[field] = PlotView(name, tr("time"))
                self._box.addWidget(self.gpu[field])
        cpus, memory = hardware["cpu_count"], hardware["memory_bytes"]
        _set(self.use, use_series(points, now_s, span.unit_s, cpus, memory))
        for field, plot in self.gpu.items():
            _set(plot, gpu_series(points, now_s, span.unit_s, hardware["gpus"], field))


def _gpu_plots() -> tuple[tuple[str, str], ...]:
    return (
        ("utilisation_percent", tr("GPU use in %")),
        ("memory_used_bytes", tr("GPU memory in %")),
        ("temperature_c", tr("GPU temperature in °C")),
        ("power_w", tr("GPU power in W")),
    )


def _set(plot: PlotView, series: Series) -> None:
    for name, (xs, ys) in series.items():
        plot.set_series(name, np.array(xs, dtype=np.float64), np.array(ys, dtype=np.float64))
