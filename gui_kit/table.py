"""A table of rows: sorted by a click on a header, searched, filtered; selection survives every update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from PyQt6.QtCore import QModelIndex, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QLineEdit, QTableView

from gui_kit.fields import search_field
from gui_kit.labels import copy_text
from gui_kit.table_model import Column, Row, RowModel, SortFilter
from gui_kit.tokens import ICON_PX, ROW_HEIGHT_PX
from gui_kit.words import tr

R = TypeVar("R", bound=Row)


class Table(QTableView, Generic[R]):
    """``opened`` comes with a row that was double-clicked, or on which Enter was pressed; ``chosen`` with
    the row that is selected, or None."""

    opened = pyqtSignal(object)
    chosen = pyqtSignal(object)

    def __init__(
        self, name: str, columns: Sequence[Column[R]], *, sort_by: int = 0, descending: bool = False
    ) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.rows: RowModel[R] = RowModel(columns, self)
        self.shown: SortFilter[R] = SortFilter(self.rows, self)
        self.setModel(self.shown)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(ICON_PX, ICON_PX))
        self.setSortingEnabled(True)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._set_up_headers(columns)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.sortByColumn(sort_by, order)
        self.doubleClicked.connect(self._open)
        selection = self.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(lambda *_: self.chosen.emit(self.current()))

    def set_rows(self, rows: Sequence[R]) -> None:
        """Show these rows; only what changed is drawn anew, what is selected stays selected."""
        self.rows.set_rows(rows)

    def current(self) -> R | None:
        """The selected row."""
        index = self.currentIndex()
        return self.shown.row(index) if index.isValid() else None

    def select(self, key: str) -> None:
        """Select the row with this key, if it is there."""
        at = self.rows.find(key)
        if at is not None:
            self.setCurrentIndex(self.shown.mapFromSource(self.rows.index(at, 0)))

    def set_filter(self, accepts: Callable[[R], bool] | None) -> None:
        """Show only rows of which ``accepts`` is true; None: all."""
        self.shown.set_filter(accepts)

    def search_field(self, placeholder: str) -> QLineEdit:
        """A field above the table in which one types what is looked for."""
        field = search_field(placeholder)
        field.textChanged.connect(self.shown.set_search)
        return field

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open(self.currentIndex())
        elif event is not None and event.matches(QKeySequence.StandardKey.Copy):
            self._copy()
        else:
            super().keyPressEvent(event)

    def _copy(self) -> None:
        index = self.currentIndex()
        if index.isValid():
            columns = range(self.shown.columnCount())
            copy_text("\t".join(str(index.siblingAtColumn(at).data() or "") for at in columns))

    def _open(self, index: QModelIndex) -> None:
        if index.isValid():
            self.opened.emit(self.shown.row(index))

    def _set_up_headers(self, columns: Sequence[Column[R]]) -> None:
        across, down = self.horizontalHeader(), self.verticalHeader()
        if down is not None:
            down.setVisible(False)
            down.setDefaultSectionSize(ROW_HEIGHT_PX)
        if across is None:
            return
        across.setHighlightSections(False)
        across.setSortIndicatorClearable(False)
        across.setMinimumSectionSize(ROW_HEIGHT_PX)
        for at, column in enumerate(columns):
            mode = QHeaderView.ResizeMode.Stretch if column.stretch else QHeaderView.ResizeMode.Interactive
            across.setSectionResizeMode(at, mode)
            if column.width_px:
                self.setColumnWidth(at, column.width_px)
        across.setAccessibleName(tr("Columns; a click sorts"))
