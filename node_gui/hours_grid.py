"""The week as a grid of hours: painted by mouse or keyboard."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QBrush, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui_kit.theme import text_font, theme
from gui_kit.tokens import GRID_PX, HALF_PX, SMALL_PX
from gui_kit.words import tr
from node_gui.week import DAY_HOURS, Cell, Fill, Week, cell_words, day_word
from p2p.core.hours import DAYS

_ROW_PX = 28
_HEAD_PX = 20
_DAY_PX = 48
_LABEL_EVERY = 3
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class HoursGrid(QWidget):
    """Arrows go from hour to hour, Space switches one, Shift with an arrow paints on, Home and End go to the
    day's ends. ``edited`` comes with each change that the person made."""

    edited = pyqtSignal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.week = Week()
        self._at: Cell = (0, 9)
        self._painting: bool | None = None
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(tr("Click or drag. Keys: arrows, Space, Shift with an arrow."))
        theme().changed.connect(self.update)
        self._describe()

    def set_week(self, week: Week) -> None:
        """Show a week."""
        self.week = week
        self._describe()

    def sizeHint(self) -> QSize:
        return QSize(_DAY_PX + DAY_HOURS * _HEAD_PX, _HEAD_PX + len(DAYS) * _ROW_PX + HALF_PX)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    # -- input

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        key = Qt.Key.Key_unknown if event is None else Qt.Key(event.key())
        if key == Qt.Key.Key_Space:
            self._paint_cell(self._at, self.week.fill(self._at) is not Fill.WHOLE)
        elif key in _STEPS and event is not None:
            before, (days, hours) = self._at, _STEPS[key]
            self._go((before[0] + days, before[1] + hours))
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._paint_cell(self._at, self.week.fill(before) is Fill.WHOLE)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._go((self._at[0], 0 if key == Qt.Key.Key_Home else DAY_HOURS - 1))
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        cell = None if event is None else self._cell_at(event.position())
        if cell is not None:
            self._painting = self.week.fill(cell) is not Fill.WHOLE
            self._go(cell)
            self._paint_cell(cell, self._painting)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        cell = None if event is None else self._cell_at(event.position())
        if cell is not None and self._painting is not None and cell != self._at:
            self._go(cell)
            self._paint_cell(cell, self._painting)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._painting = None

    def _go(self, cell: Cell) -> None:
        day, hour = cell
        self._at = (min(max(0, day), len(DAYS) - 1), min(max(0, hour), DAY_HOURS - 1))
        self._describe()

    def _paint_cell(self, cell: Cell, on: bool) -> None:
        week = self.week.with_cells([cell], on)
        if week != self.week:
            self.set_week(week)
            self.edited.emit()

    def _describe(self) -> None:
        self.setAccessibleDescription(cell_words(self._at, self.week.fill(self._at)))
        self.update()

    # -- painting

    def _cell_rect(self, cell: Cell) -> QRectF:
        width = (self.width() - _DAY_PX) / DAY_HOURS
        return QRectF(_DAY_PX + cell[1] * width, _HEAD_PX + cell[0] * _ROW_PX, width, _ROW_PX)

    def _cell_at(self, point: QPointF) -> Cell | None:
        day = int((point.y() - _HEAD_PX) // _ROW_PX)
        hour = int((point.x() - _DAY_PX) / (self.width() - _DAY_PX) * DAY_HOURS)
        inside = point.x() >= _DAY_PX and 0 <= day < len(DAYS) and 0 <= hour < DAY_HOURS
        return (day, hour) if inside else None

    def paintEvent(self, event: QPaintEvent | None) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(text_font(SMALL_PX))
        painter.setPen(look.colour("muted"))
        for hour in range(0, DAY_HOURS, _LABEL_EVERY):
            rect = self._cell_rect((0, hour)).translated(0, -_HEAD_PX)
            rect.setSize(QRectF(0, 0, rect.width() * _LABEL_EVERY, _HEAD_PX).size())
            painter.drawText(
                rect, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, f"{hour:02}:00"
            )
        for day in range(len(DAYS)):
            rect = QRectF(0, self._cell_rect((day, 0)).top(), _DAY_PX - GRID_PX, _ROW_PX)
            painter.setPen(look.colour("text"))
            painter.drawText(rect, _LEFT, day_word(day))
            for hour in range(DAY_HOURS):
                self._draw_cell(painter, (day, hour))

    def _draw_cell(self, painter: QPainter, cell: Cell) -> None:
        look, rect = theme(), self._cell_rect(cell).adjusted(1, 1, -1, -1)
        fill = self.week.fill(cell)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("accent" if fill is Fill.WHOLE else "raised"))
        painter.drawRoundedRect(rect, 3, 3)
        if fill is Fill.PART:
            painter.setBrush(QBrush(look.colour("accent"), Qt.BrushStyle.BDiagPattern))
            painter.drawRoundedRect(rect, 3, 3)
        if cell == self._at and self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(look.colour("text"), 2))
            painter.drawRoundedRect(rect, 3, 3)
