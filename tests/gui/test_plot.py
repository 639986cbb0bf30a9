"""Plots: what is drawn, said and exported; numbers that are none; the keyboard; many points."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QImage
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.plot_data import Series
from gui_kit.plot_view import PlotView
from gui_kit.theme import Mode
from p2p.core.limits import PLOT_POINTS_MAX, PLOT_SERIES_MAX


@pytest.fixture
def plot(qtbot: QtBot) -> PlotView:
    made = PlotView("Metrics", "step")
    qtbot.addWidget(made)
    made.resize(800, 400)
    made.show()
    qtbot.waitActive(made)
    return made


def drawn(plot: PlotView, name: str) -> list[float]:
    plot._draw_all()
    return [float(value) for value in plot._curves[name].yData]


def test_smoothing_starts_unbiased_and_leaves_out_what_is_no_number() -> None:
    series = Series("loss")
    for x, y in enumerate([1.0, math.nan, 1.0, math.inf, 1.0]):
        series.add(x, y)
    assert series.smoothed(0.9) == pytest.approx([1.0] * 5)
    assert len(series.smoothed(0)) == 5


def test_a_series_without_end_is_thinned_in_its_older_half() -> None:
    series = Series("loss")
    xs = np.arange(float(PLOT_POINTS_MAX))
    series.set(xs, xs)
    series.add(PLOT_POINTS_MAX, 0.0)
    assert len(series) == PLOT_POINTS_MAX * 3 // 4 + 1
    assert np.all(np.diff(series.xs) > 0)
    assert series.xs[-1] == PLOT_POINTS_MAX


def test_points_are_drawn_as_they_come(plot: PlotView, qtbot: QtBot) -> None:
    for step in range(10):
        plot.add("loss", step, 1 / (step + 1))
    qtbot.waitUntil(lambda: plot._curves["loss"].yData is not None and len(plot._curves["loss"].yData) == 10)


def test_what_has_no_logarithm_is_left_out(plot: PlotView) -> None:
    for step, value in enumerate([1.0, 0.0, -1.0, math.inf, 0.1]):
        plot.add("loss", step, value)
    assert [math.isnan(value) for value in drawn(plot, "loss")] == [False, False, False, True, False]
    plot.log_scale.click()
    assert [math.isnan(value) for value in drawn(plot, "loss")] == [False, True, True, True, False]


def test_the_values_under_the_pointer_are_said(plot: PlotView, qtbot: QtBot) -> None:
    for step in range(5):
        plot.add("loss", step, step / 10)
        plot.add("acc", step, 1 - step / 10)
    plot.point_at(2.2)
    assert plot.values.text() == "step 2 · loss 0.2 · acc 0.8"
    qtbot.keyClick(plot.canvas, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert plot.values.text() == "step 3 · loss 0.3 · acc 0.7"


def test_keys_move_zoom_and_come_back(plot: PlotView, qtbot: QtBot) -> None:
    plot.set_series("loss", np.arange(100.0), np.arange(100.0))
    plot._draw()
    box = plot.canvas.getViewBox()
    qtbot.waitUntil(lambda: box.viewRange()[0][1] > 99)
    left, right = box.viewRange()[0]
    qtbot.keyClick(plot.canvas, Qt.Key.Key_Plus)
    zoomed = box.viewRange()[0]
    assert zoomed[1] - zoomed[0] < right - left
    qtbot.keyClick(plot.canvas, Qt.Key.Key_Right)
    assert box.viewRange()[0][0] > zoomed[0]
    qtbot.keyClick(plot.canvas, Qt.Key.Key_0)
    qtbot.waitUntil(lambda: box.viewRange()[0] == pytest.approx([left, right]))


def test_export_has_every_point_and_no_formula(plot: PlotView, qtbot: QtBot, tmp_path: Path) -> None:
    plot.add("=1+1", 0, 0.5)
    plot.add("<b>acc</b>", 1, 0.25)
    with qtbot.waitSignal(plot.saved):
        plot.save_csv(tmp_path / "plot.csv")
    assert (tmp_path / "plot.csv").read_text().splitlines() == [
        "series,step,value",
        "'=1+1,0.0,0.5",
        "<b>acc</b>,1.0,0.25",
    ]
    with qtbot.waitSignal(plot.saved):
        plot.save_png(tmp_path / "plot.png")
    assert QImage(str(tmp_path / "plot.png")).width() == plot.canvas.width()
    with qtbot.waitSignal(plot.save_failed):
        plot.save_csv(tmp_path / "no" / "plot.csv")


def test_it_passes_the_audit_in_both_palettes(plot: PlotView, mode: Mode) -> None:
    plot.set_series("loss", np.arange(100_000.0), np.arange(100_000.0))
    assert audit.problems(plot) == []


def test_a_script_cannot_print_a_window_full_of_series(plot: PlotView) -> None:
    for number in range(PLOT_SERIES_MAX + 10):
        plot.add(f"m{number}", 0, 0)
    assert len(plot.series) == PLOT_SERIES_MAX
    plot.clear()
    assert plot.series == {}
