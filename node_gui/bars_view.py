"""Bars of amounts by day or month: what is paid filled, what is not paid yet outlined above it."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui_kit.theme import text_font, theme
from gui_kit.tokens import GRID_PX, HALF_PX, SMALL_PX
from node_gui.earned import Bar
from p2p.core.money import Asset, format_amount

_HEIGHT_PX = 180
_BAR_MAX_PX = 40
_GAP = 0.3
"""Of a bar's place, left empty."""


class BarsView(QWidget):
    """Left and right go from bar to bar; ``pointed`` comes with the words of the one that is meant."""

    pointed = pyqtSignal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._bars: list[Bar] = []
        self._asset = Asset.USDC
        self._at = -1
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def set_bars(self, bars: Sequence[Bar], asset: Asset) -> None:
        """Show these; the last one is meant at first."""
        if (list(bars), asset) == (self._bars, self._asset):
            return
        follows = self._at in (-1, len(self._bars) - 1)
        self._bars, self._asset = list(bars), asset
        self._point(len(bars) - 1 if follows else min(self._at, len(bars) - 1))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, _HEIGHT_PX)

    # -- input

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        last = len(self._bars) - 1
        key = Qt.Key(event.key()) if event is not None else Qt.Key.Key_unknown
        goes = {Qt.Key.Key_Left: self._at - 1, Qt.Key.Key_Right: self._at + 1}
        goes |= {Qt.Key.Key_Home: 0, Qt.Key.Key_End: last}
        if key in goes:
            self._point(min(max(0, goes[key]), last))
        else:
            super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._bars:
            at = int((event.position().x() - self._left()) / self._step())
            if 0 <= at < len(self._bars):
                self._point(at)

    def _point(self, at: int) -> None:
        self._at = at
        words = self._bars[at].words if 0 <= at < len(self._bars) else ""
        self.setAccessibleDescription(words)
        self.pointed.emit(words)
        self.update()

    # -- painting

    def _most(self) -> int:
        return max((bar.paid_units + bar.unpaid_units for bar in self._bars), default=0)

    def _most_text(self) -> str:
        return format_amount(self._most(), self._asset)

    def _left(self) -> float:
        return float(GRID_PX)

    def _step(self) -> float:
        return (self.width() - 2 * GRID_PX) / max(1, len(self._bars))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(text_font(SMALL_PX))
        line = painter.fontMetrics().height()
        top, bottom = float(line + GRID_PX), float(self.height() - line - GRID_PX)
        painter.setPen(look.colour("border"))
        painter.drawLine(QPointF(self._left(), bottom), QPointF(self.width() - GRID_PX, bottom))
        if self._most():
            painter.setPen(QPen(look.colour("raised"), 1))
            painter.drawLine(QPointF(self._left(), top), QPointF(self.width() - GRID_PX, top))
            painter.setPen(look.colour("muted"))
            painter.drawText(QPointF(self._left(), float(line - HALF_PX)), self._most_text())
        for at, bar in enumerate(self._bars):
            self._paint_bar(painter, at, bar, top, bottom)
        self._paint_labels(painter, bottom + line)
        if self.hasFocus():
            painter.setPen(QPen(look.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), HALF_PX, HALF_PX)

    def _paint_bar(self, painter: QPainter, at: int, bar: Bar, top: float, bottom: float) -> None:
        look, step = theme(), self._step()
        width = min(_BAR_MAX_PX, step * (1 - _GAP))
        x = self._left() + at * step + (step - width) / 2
        scale = (bottom - top) / max(1, self._most())
        paid, unpaid = bar.paid_units * scale, bar.unpaid_units * scale
        if at == self._at:
            painter.fillRect(QRectF(self._left() + at * step, top, step, bottom - top), look.colour("raised"))
        painter.fillRect(QRectF(x, bottom - paid, width, paid), look.colour("accent"))
        if unpaid >= 1:
            painter.setPen(QPen(look.colour("accent"), 1, Qt.PenStyle.DashLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(x + 0.5, bottom - paid - unpaid + 0.5, width - 1, unpaid - 1))

    def _paint_labels(self, painter: QPainter, baseline: float) -> None:
        """As many as have room."""
        painter.setPen(theme().colour("muted"))
        widest = max((painter.fontMetrics().horizontalAdvance(bar.label) for bar in self._bars), default=1)
        every = max(1, -(-(widest + GRID_PX) // max(1, int(self._step()))))
        for at in range(len(self._bars) - 1, -1, -every):
            label = self._bars[at].label
            width = painter.fontMetrics().horizontalAdvance(label)
            x = self._left() + at * self._step() + (self._step() - width) / 2
            painter.drawText(QPointF(x, baseline), label)
