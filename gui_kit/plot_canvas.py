"""The plot itself: colours of the theme, no menus of its own, everything by keyboard too."""

from __future__ import annotations

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent

from gui_kit.theme import theme
from gui_kit.tokens import SMALL_PX

_ZOOM = 0.8
_PAN = 0.1
_AXIS_WIDTH_PX = 56
"""Fixed, so that the plot doesn't jump while numbers grow."""
_HEIGHT_MIN_PX = 160
_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


class PlotCanvas(pg.PlotWidget):  # type: ignore[misc]
    """Keys: + and - zoom, the arrows move, 0 shows all, Ctrl with an arrow goes from point to point.

    ``pointed`` comes with the x under the pointer, ``stepped`` with how many points to go on.
    """

    pointed = pyqtSignal(float)
    stepped = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plot")
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(_HEIGHT_MIN_PX)
        self.getAxis("left").setWidth(_AXIS_WIDTH_PX)
        self._legend = self.addLegend(offset=(-8, 8))
        self._pointer = pg.InfiniteLine(angle=90, movable=False)
        self._pointer.setVisible(False)
        self.addItem(self._pointer, ignoreBounds=True)
        self.scene().sigMouseMoved.connect(self._on_move)

    def dress(self) -> None:
        """Take the colours of the theme."""
        look = theme()
        self.setBackground(look.colour("surface"))
        self.showGrid(x=False, y=True, alpha=0.2)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(look.colour("border"))
            axis.setTextPen(look.colour("muted"))
        self._legend.setLabelTextColor(look.colour("text"))
        for _, label in self._legend.items:
            label.setText(label.text)  # what is written already keeps its colour otherwise
        self._legend.setLabelTextSize(f"{SMALL_PX}px")
        self._legend.setBrush(look.colour("raised"))
        self._pointer.setPen(look.colour("muted"))

    def show_all(self) -> None:
        """Back to where everything is to be seen, and stays so as more comes."""
        self.enableAutoRange()

    def show_pointer(self, x: float) -> None:
        """The line through the values that are said."""
        self._pointer.setVisible(True)
        self._pointer.setValue(x)

    def pointer_x(self) -> float:
        """Where it is."""
        return float(self._pointer.value())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        key, box = event.key(), self.getViewBox()
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key in _STEPS and control and _STEPS[Qt.Key(key)][0]:
            self.stepped.emit(_STEPS[Qt.Key(key)][0])
        elif key in _STEPS:
            (left, right), (low, high) = box.viewRange()
            x, y = _STEPS[Qt.Key(key)]
            box.translateBy(x=x * _PAN * (right - left), y=y * _PAN * (high - low))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            box.scaleBy((_ZOOM, _ZOOM))
        elif key == Qt.Key.Key_Minus:
            box.scaleBy((1 / _ZOOM, 1 / _ZOOM))
        elif key == Qt.Key.Key_0:
            self.show_all()
        else:
            super().keyPressEvent(event)

    def _on_move(self, point: QPointF) -> None:
        box = self.getViewBox()
        if self.sceneBoundingRect().contains(point):
            self.pointed.emit(float(box.mapSceneToView(point).x()))
