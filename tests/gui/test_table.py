"""Tables: only what changed is touched, selection and order survive, thousands of rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest
from PyQt6.QtCore import QModelIndex, Qt
from PyQt6.QtTest import QAbstractItemModelTester
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui_kit.table import Table
from gui_kit.table_bar import BarCells
from gui_kit.table_model import Column
from gui_kit.theme import theme


@dataclass(frozen=True, slots=True)
class Item:
    key: str
    name: str
    units: int


@pytest.fixture
def table(qtbot: QtBot) -> Table[Item]:
    made: Table[Item] = Table(
        "Items",
        (
            Column("Name", lambda item: item.name),
            Column("Units", lambda item: str(item.units), lambda item: item.units, numeric=True),
        ),
        sort_by=1,
    )
    qtbot.addWidget(made)
    QAbstractItemModelTester(made.rows, QAbstractItemModelTester.FailureReportingMode.Fatal, made)
    QAbstractItemModelTester(made.shown, QAbstractItemModelTester.FailureReportingMode.Fatal, made)
    return made


def items(*units: int) -> list[Item]:
    return [Item(f"k{unit}", f"item {unit}", unit) for unit in units]


def shown(table: Table[Item]) -> list[str]:
    return [table.shown.row(table.shown.index(at, 0)).key for at in range(table.shown.rowCount())]


def test_sorted_by_number_not_by_its_digits(table: Table[Item]) -> None:
    table.set_rows(items(10, 9, 100))
    assert shown(table) == ["k9", "k10", "k100"]
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert shown(table) == ["k100", "k10", "k9"]


def test_an_update_touches_only_the_rows_that_changed(table: Table[Item]) -> None:
    rows = items(1, 2, 3)
    table.set_rows(rows)
    changed: list[int] = []
    table.rows.dataChanged.connect(lambda first, last: changed.append(first.row()))
    table.set_rows([rows[0], replace(rows[1], name="another"), rows[2]])
    assert changed == [1]
    table.set_rows([rows[0], replace(rows[1], name="another"), rows[2]])
    assert changed == [1]


def test_the_selection_survives_updates_that_move_it(table: Table[Item]) -> None:
    rows = items(1, 2, 3)
    table.set_rows(rows)
    table.select("k2")
    table.set_rows([replace(rows[1], units=50), *items(7, 8), rows[0]])
    current = table.current()
    assert current is not None
    assert (current.key, current.units) == ("k2", 50)
    assert shown(table) == ["k1", "k7", "k8", "k2"]
    table.set_rows(items(7))
    assert [table.rows.row(at).key for at in range(table.rows.rowCount())] == ["k7"]


def test_search_and_filter_keep_what_has_every_word(table: Table[Item]) -> None:
    table.set_rows(items(1, 12, 2))
    field = table.search_field("Search")
    field.setText("ITEM 1")
    assert shown(table) == ["k1", "k12"]
    table.set_filter(lambda item: item.units > 5)
    assert shown(table) == ["k12"]
    field.clear()
    table.set_filter(None)
    assert shown(table) == ["k1", "k2", "k12"]


def test_enter_opens_and_copy_copies_the_row(table: Table[Item], qtbot: QtBot) -> None:
    table.set_rows(items(4))
    table.select("k4")
    with qtbot.waitSignal(table.opened) as opened:
        qtbot.keyClick(table, Qt.Key.Key_Return)
    assert opened.args == items(4)
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == "item 4\t4"


def test_a_strangers_name_cannot_harm(table: Table[Item]) -> None:
    table.set_rows([Item("k", "<b>bold</b>\x1b[31m\u202eevil\nline", 1)])
    assert table.shown.index(0, 0).data() == "<b>bold</b>evil line"


def test_thousands_of_rows(qtbot: QtBot) -> None:
    """Measured without the model testers, which look at every row after every change."""
    table: Table[Item] = Table("Many", (Column("Name", lambda item: item.name),))
    qtbot.addWidget(table)
    rows = [Item(f"k{n}", f"item {n * 7919 % 5000}", n) for n in range(5000)]
    table.set_rows(rows)
    touched: list[QModelIndex] = []
    table.rows.dataChanged.connect(lambda first, last: touched.append(first))
    began_s = time.monotonic()
    table.set_rows([replace(row, units=-1) if row.units % 100 == 0 else row for row in rows])
    print(f"50 of 5,000 rows updated in {time.monotonic() - began_s:.3f} s")
    assert len(touched) == 50


def test_a_bar_is_drawn_only_where_there_is_something_to_show(table: Table[Item], qtbot: QtBot) -> None:
    BarCells(table, 0, lambda item: item.units / 10 if item.units else None)
    table.set_rows(items(0, 5))
    table.resize(400, 200)
    table.show()
    qtbot.waitExposed(table)
    picture = table.grab().toImage()
    accent = theme().colour("accent").name()

    def painted(at: int) -> int:
        cell = table.visualRect(table.shown.index(at, 0)).translated(0, table.horizontalHeader().height())
        across = range(cell.left(), cell.right())
        return sum(picture.pixelColor(x, cell.center().y()).name() == accent for x in across)

    empty, half = sorted(painted(at) for at in (0, 1))
    assert empty == 0
    assert half > 5
