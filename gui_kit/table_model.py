"""Rows with stable keys for a table: an update touches only the rows that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt

from gui_kit.icons import icon
from gui_kit.states import Look
from gui_kit.theme import theme
from gui_kit.words import one_line, tooltip


class Row(Protocol):
    """A frozen dataclass; ``key`` says which thing it is about, and never changes."""

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """``text``: what is shown; ``sort``: what is sorted by, if not the text. ``numeric``: aligned right.
    ``look``: icon and colour of the cell. ``stretch``: takes the room that is left over."""

    title: str
    text: Callable[[R], str]
    sort: Callable[[R], Any] | None = None
    numeric: bool = False
    look: Callable[[R], Look | None] | None = None
    width_px: int = 0
    stretch: bool = False


class RowModel(QAbstractTableModel, Generic[R]):
    """The rows in the order in which they were first seen; the table sorts and filters on top of it."""

    def __init__(self, columns: Sequence[Column[R]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._rows: list[R] = []

    def set_rows(self, rows: Sequence[R]) -> None:
        """Show these rows and no others."""
        wanted = {row.key: row for row in rows}
        self._remove(wanted)
        for at, old in enumerate(self._rows):
            new = wanted.pop(old.key)
            if new != old:
                self._rows[at] = new
                self.dataChanged.emit(self.index(at, 0), self.index(at, len(self.columns) - 1))
        if wanted:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(wanted) - 1)
            self._rows.extend(wanted.values())
            self.endInsertRows()

    def row(self, at: int) -> R:
        """The row at a place of this model."""
        return self._rows[at]

    def find(self, key: str) -> int | None:
        """The place of a key."""
        return next((at for at, row in enumerate(self._rows) if row.key == key), None)

    def sort_key(self, at: int, column: int) -> Any:
        """What a cell is sorted by."""
        found, row = self.columns[column], self._rows[at]
        return found.text(row).casefold() if found.sort is None else found.sort(row)

    def matches(self, at: int, words: Sequence[str]) -> bool:
        """Whether every word is somewhere in the row."""
        row = self._rows[at]
        text = " ".join(column.text(row) for column in self.columns).casefold()
        return all(word in text for word in words)

    def _remove(self, wanted: dict[str, R]) -> None:
        """From the end on, runs of neighbours at once."""
        end = len(self._rows)
        while end > 0:
            if self._rows[end - 1].key in wanted:
                end -= 1
                continue
            start = end - 1
            while start > 0 and self._rows[start - 1].key not in wanted:
                start -= 1
            self.beginRemoveRows(QModelIndex(), start, end - 1)
            del self._rows[start:end]
            self.endRemoveRows()
            end = start

    # -- what Qt asks

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if orientation is Qt.Orientation.Vertical or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        return self._alignment(column) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        column, row = self.columns[index.column()], self._rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return one_line(column.text(row))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(column.text(row))
        look = column.look(row) if column.look is not None else None
        if look is None:
            return None
        if role == Qt.ItemDataRole.DecorationRole:
            return icon(look.icon, look.token)
        return theme().colour(look.token) if role == Qt.ItemDataRole.ForegroundRole else None

    def _alignment(self, column: Column[R]) -> Qt.AlignmentFlag:
        side = Qt.AlignmentFlag.AlignRight if column.numeric else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter


class SortFilter(QSortFilterProxyModel, Generic[R]):
    """The rows that match, in the order that the person chose."""

    def __init__(self, rows: RowModel[R], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = rows
        self._words: tuple[str, ...] = ()
        self._accepts: Callable[[R], bool] | None = None
        self.setSourceModel(rows)
        self.setDynamicSortFilter(True)

    def set_search(self, text: str) -> None:
        """Only rows that have every word of ``text``."""
        self._words = tuple(text.casefold().split())
        self.invalidateFilter()

    def set_filter(self, accepts: Callable[[R], bool] | None) -> None:
        """Only rows of which ``accepts`` is true."""
        self._accepts = accepts
        self.invalidateFilter()

    def row(self, index: QModelIndex) -> R:
        """The row at a place of this model."""
        return self._model.row(self.mapToSource(index).row())

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        keys = (self._model.sort_key(index.row(), index.column()) for index in (left, right))
        return bool(next(keys) < next(keys))

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        if self._accepts is not None and not self._accepts(self._model.row(source_row)):
            return False
        return not self._words or self._model.matches(source_row, self._words)
