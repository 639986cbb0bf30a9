"""Plots of numbers that come while one looks: several series, values under the pointer, export."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QFileDialog, QWidget

from gui_kit.boxes import column, row
from gui_kit.buttons import IconButton
from gui_kit.labels import Elided, Label
from gui_kit.plot_canvas import PlotCanvas
from gui_kit.plot_data import Floats, Series
from gui_kit.theme import theme
from gui_kit.tokens import Token
from gui_kit.words import clean, one_line, tr
from p2p.core.limits import PLOT_SERIES_MAX

_DRAW_MS = 50
"""Points that come meanwhile are drawn together."""
_LINES: tuple[tuple[Token, Qt.PenStyle], ...] = tuple(
    (token, style)
    for style in (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
    for token in ("accent", "success", "warning", "danger", "muted")
)
"""Colours and, for whoever can't tell them apart, strokes."""
_WIDTH_PX = 2
_SMOOTHINGS = (0.0, 0.6, 0.9, 0.99)


class PlotView(QWidget):
    """``x_name``: what is counted along the bottom. Keys: + and - zoom, the arrows move, 0 shows all, Ctrl
    with an arrow moves the pointer from point to point."""

    saved = pyqtSignal(str)
    save_failed = pyqtSignal(str)

    def __init__(self, name: str, x_name: str) -> None:
        super().__init__()
        self.series: dict[str, Series] = {}
        self._x_name = x_name
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._changed: set[str] = set()
        self.canvas = PlotCanvas()
        self.canvas.setAccessibleName(clean(name))
        self.canvas.pointed.connect(self.point_at)
        self.canvas.stepped.connect(self.step_pointer)
        self.values = Elided("", "muted")
        self.log_scale = IconButton("math-log", tr("Logarithmic scale"), checkable=True)
        self.smoothing = QComboBox()
        self.smoothing.setAccessibleName(tr("Smoothing"))
        for weight in _SMOOTHINGS:
            self.smoothing.addItem(
                tr("Smooth {weight}", weight=weight) if weight else tr("Not smoothed"), weight
            )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DRAW_MS)
        self._timer.timeout.connect(self._draw)
        self._build(name)
        theme().changed.connect(self._dress)
        self._dress()

    # -- points

    def add(self, name: str, x: float, y: float) -> None:
        """One more point of a series. Series beyond the limit are not taken."""
        series = self._find(name)
        if series is not None:
            series.add(x, y)
            self._draw_soon(name)

    def set_series(self, name: str, xs: Floats, ys: Floats) -> None:
        """All points of a series at once."""
        series = self._find(name)
        if series is not None:
            series.set(xs, ys)
            self._draw_soon(name)

    def clear(self) -> None:
        """Show nothing."""
        for curve in self._curves.values():
            self.canvas.removeItem(curve)
        self.series.clear()
        self._curves.clear()
        self._changed.clear()
        self.values.setText("")

    # -- files

    def save_png(self, path: Path) -> None:
        """The plot as it is seen."""
        self._tell(path, self.canvas.grab().save(str(path), "PNG"))

    def save_csv(self, path: Path) -> None:
        """All points as they came, not smoothed: one line for each, with the series' name."""
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("series", self._x_name, "value"))
                for name, series in self.series.items():
                    writer.writerows((_cell(name), x, y) for x, y in zip(series.xs, series.ys, strict=True))
        except OSError:
            self._tell(path, False)
        else:
            self._tell(path, True)

    def _tell(self, path: Path, done: bool) -> None:
        if done:
            self.saved.emit(str(path))
        else:
            self.save_failed.emit(tr("{path} cannot be written.", path=path))

    def _ask_where(self) -> None:
        kinds = f"{tr('Picture')} (*.png);;{tr('Table')} (*.csv)"
        name, kind = QFileDialog.getSaveFileName(self, tr("Save the plot"), "plot.png", kinds)
        if name and (name.endswith(".csv") or "csv" in kind):
            self.save_csv(Path(name))
        elif name:
            self.save_png(Path(name))

    # -- what is under the pointer

    def point_at(self, x: float) -> None:
        """Say the values that are nearest to ``x``."""
        parts = []
        for name, series in self.series.items():
            at = series.at(x)
            if at is not None:
                parts.append(f"{name} {series.ys[at]:.6g}")
                x_shown = series.xs[at]
        self.values.setText(f"{self._x_name} {x_shown:.6g} · " + " · ".join(parts) if parts else "")
        self.canvas.show_pointer(x)

    def step_pointer(self, steps: int) -> None:
        """Move the pointer to a neighbouring point of the longest series."""
        longest = max(self.series.values(), key=len, default=None)
        if longest is not None and len(longest):
            at = longest.at(self.canvas.pointer_x()) or 0
            self.point_at(float(longest.xs[min(max(0, at + steps), len(longest) - 1)]))

    # -- inside

    def _find(self, name: str) -> Series | None:
        if name not in self.series:
            if len(self.series) >= PLOT_SERIES_MAX:
                return None
            self.series[name] = Series(name)
            curve = self.canvas.plot(name=_escaped(name), connect="finite")
            curve.setDownsampling(auto=True, method="peak")
            curve.setClipToView(True)
            self._curves[name] = curve
            self._dress_curves()
        return self.series[name]

    def _draw_soon(self, name: str) -> None:
        self._changed.add(name)
        if not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        weight = float(self.smoothing.currentData())
        for name in self._changed:
            series = self.series[name]
            ys = series.smoothed(weight)
            if self.log_scale.isChecked():
                ys = np.where(ys > 0, ys, np.nan)  # what has no logarithm is left out
            self._curves[name].setData(series.xs, np.where(np.isfinite(ys), ys, np.nan))
        self._changed.clear()

    def _draw_all(self) -> None:
        self._changed.update(self.series)
        self._draw()

    def _set_log(self, on: bool) -> None:
        self._changed.update(self.series)
        self.canvas.setLogMode(x=False, y=on)
        self._draw()

    def _dress(self) -> None:
        self.canvas.dress()
        self._dress_curves()

    def _dress_curves(self) -> None:
        for (token, style), curve in zip(_LINES * 4, self._curves.values(), strict=False):
            curve.setPen(pg.mkPen(theme().colour(token), width=_WIDTH_PX, style=style))

    def _build(self, name: str) -> None:
        fit = IconButton("fit-to-screen-outline", tr("Show all"))
        save = IconButton("content-save-outline", tr("Save the plot"))
        fit.clicked.connect(self.canvas.show_all)
        save.clicked.connect(self._ask_where)
        self.log_scale.toggled.connect(self._set_log)
        self.smoothing.currentIndexChanged.connect(self._draw_all)
        self.setFocusProxy(self.canvas)
        bar = row(Label(name, "title"), self.values, self.smoothing, self.log_scale, fit, save)
        bar.setStretch(1, 1)
        self.setLayout(column(bar, self.canvas))


def _cell(text: str) -> str:
    """A name that a spreadsheet takes for a name, not for a formula."""
    cleaned = one_line(text)
    return "'" + cleaned if cleaned.startswith(("=", "+", "-", "@")) else cleaned


def _escaped(text: str) -> str:
    """A name in the legend, which reads HTML."""
    cleaned = one_line(text)[:80]
    return cleaned.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
