"""A cell of a table that shows how far something is, as a bar beside its number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from PyQt6.QtCore import QModelIndex, QRectF, Qt
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from gui_kit.table import Table
from gui_kit.table_model import Row
from gui_kit.theme import theme
from gui_kit.tokens import GRID_PX

R = TypeVar("R", bound=Row)

_HEIGHT_PX = 6
_WORD = "100 %"


class BarCells(QStyledItemDelegate, Generic[R]):
    """Draws a column's cells as a bar; ``fraction``: 0 to 1, or None where there is nothing to show. The
    cell's text is what a screen reader says."""

    def __init__(self, table: Table[R], column: int, fraction: Callable[[R], float | None]) -> None:
        super().__init__(table)
        self._table = table
        self._fraction = fraction
        table.setItemDelegateForColumn(column, self)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        super().paint(painter, option, index)
        share = self._fraction(self._table.shown.row(index))
        if painter is None or share is None:
            return
        word_px = option.fontMetrics.horizontalAdvance(_WORD) + GRID_PX
        cell = QRectF(option.rect).adjusted(GRID_PX + 3, 0, -GRID_PX - 3 - word_px, 0)
        if cell.width() <= _HEIGHT_PX:
            return
        bar = QRectF(cell.left(), cell.center().y() - _HEIGHT_PX / 2, cell.width(), _HEIGHT_PX)
        done = QRectF(bar.left(), bar.top(), max(_HEIGHT_PX, bar.width() * share), bar.height())
        radius = _HEIGHT_PX / 2
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour("raised"))
        painter.drawRoundedRect(bar, radius, radius)
        painter.setBrush(theme().colour("accent"))
        painter.drawRoundedRect(done, radius, radius)
        painter.restore()
