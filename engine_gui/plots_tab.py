"""What a job prints or uses, as plots that grow while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from engine_gui.plot_model import Point, Reader
from gui_kit.boxes import Scroll, column
from gui_kit.call import Call
from gui_kit.labels import Label
from gui_kit.plot_view import PlotView
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError

Json = dict[str, Any]

_AGAIN_MS = 1000
_PLOTS_MAX = 24
_PLOT_HEIGHT_PX = 248


class PlotsTab(QWidget):
    """``ask`` asks the agent for what came since a place; ``make_reader``: who puts it on plots, anew for
    each attempt. ``tell`` says in the window's corner what came of saving."""

    def __init__(
        self,
        ask: Callable[[Json], Call],
        make_reader: Callable[[], Reader],
        tell: Callable[[str, bool], object],
    ) -> None:
        super().__init__()
        self._ask_agent, self._make_reader, self._tell = ask, make_reader, tell
        self._reader = make_reader()
        self.plots: dict[str, PlotView] = {}
        self._where: Json = {}
        self._complete = self._pending = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_AGAIN_MS)
        self._timer.timeout.connect(self._ask)
        self.note = Label(tr("Asking the agent"), "muted", wrap=True)
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(MARGIN_PX)
        content, empty = QWidget(), QWidget()
        content.setLayout(self._column)
        empty.setLayout(column(self.note, None))
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(Scroll(content))

    def show_job(self, job: Json) -> None:
        """Something about the job is new: look for more, unless that is done anyway."""
        if not self._timer.isActive():
            self._ask()

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._ask()

    # -- inside

    def _ask(self) -> None:
        if self.isVisible() and not self._pending and not self._complete:
            self._pending = True
            self._ask_agent(dict(self._where)).then(self._take, self._on_failure)

    def _take(self, answer: Json) -> None:
        self._pending = False
        if self._where and answer["epoch"] != self._where["epoch"]:
            self._begin_anew()
        self._where = {name: answer[name] for name in self._reader.cursor}
        for point in self._reader.points(answer):
            self._add(point)
        self._complete = answer["complete"] and not answer["more"]
        if not self.plots:
            self.note.setText(self._reader.nothing(answer))
        if answer["more"]:
            self._ask()
        elif not self._complete:
            self._timer.start()

    def _add(self, point: Point) -> None:
        plot = self.plots.get(point.plot)
        if plot is None and len(self.plots) < _PLOTS_MAX:
            plot = self.plots[point.plot] = self._make_plot(point)
        if plot is not None:
            plot.add(point.series, point.x, point.y)

    def _make_plot(self, point: Point) -> PlotView:
        plot = PlotView(point.plot, point.axis)
        plot.setMinimumHeight(_PLOT_HEIGHT_PX)
        plot.saved.connect(lambda path: self._tell(tr("Saved: {path}", path=path), True))
        plot.save_failed.connect(lambda text: self._tell(text, False))
        self._column.addWidget(plot)
        self._stack.setCurrentIndex(1)
        return plot

    def _begin_anew(self) -> None:
        """Another attempt at another node: it begins from nothing."""
        self._reader = self._make_reader()
        for plot in self.plots.values():
            self._column.removeWidget(plot)
            plot.deleteLater()
        self.plots.clear()
        self._stack.setCurrentIndex(0)

    def _on_failure(self, error: CyxWizError) -> None:
        self._pending = False
        self.note.setText("\n".join(error.lines()))
        self._timer.start()
