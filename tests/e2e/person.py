"""Somebody at a window: finds things by the words on them, clicks, types, reads. Nothing else is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QScrollArea,
    QTabBar,
    QTableView,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui_kit.labels import Money
from gui_kit.log_view import LogView
from gui_kit.plot_data import Series
from gui_kit.plot_view import PlotView

W = TypeVar("W", bound=QWidget)
WAIT_S = 60.0
_LOOK_MS = 50


class Person:
    """``pictures``: where :meth:`look` leaves what was on the screen, for whoever asks what went wrong."""

    def __init__(self, name: str, window: QWidget, qtbot: QtBot, pictures: Path) -> None:
        self._name, self._window, self._qtbot, self._pictures = name, window, qtbot, pictures

    # -- reading

    def reads(self) -> str:
        """Every word that is to be seen, of the dialog in front if there is one."""
        return "\n".join(self._words())

    def sees(self, *words: str) -> bool:
        """Whether all of this is to be read somewhere."""
        read = self.reads()
        return all(word in read for word in words)

    def waits_for(self, *words: str, seconds: float = WAIT_S) -> None:
        """Wait until all of this is to be read."""
        self.waits_until(lambda: self.sees(*words), f"{words}", seconds)

    def waits_until(self, condition: Callable[[], object], what: str = "", seconds: float = WAIT_S) -> None:
        """Wait for anything else."""
        try:
            self._qtbot.waitUntil(lambda: bool(condition()), timeout=round(seconds * 1000))
        except Exception as error:
            self.look("failed")
            read = self.reads()
            raise AssertionError(f"{self._name} waited in vain for {what}; it reads:\n{read}") from error

    def table(self, name: str) -> list[list[str]]:
        """The rows of a table, as they are shown."""
        view = self._find(QTableView, lambda found: found.accessibleName() == name, name)
        model = view.model()
        assert model is not None
        columns = range(model.columnCount())
        return [[str(model.index(at, n).data() or "") for n in columns] for at in range(model.rowCount())]

    def log(self) -> str:
        """The lines of the log that is open."""
        view = self._find(LogView, lambda _: True, "a log")
        return "\n".join(view.store.texts(view.store.first, view.store.end))

    def plots(self) -> list[Series]:
        """What is plotted."""
        return [series for plot in self._visible(PlotView) for series in plot.series.values()]

    def amount(self, what: str) -> str:
        """The amount that stands under a word."""
        return self._find(Money, lambda found: found.accessibleDescription() == what, what).text()

    def look(self, name: str) -> None:
        """Keep a picture of the window."""
        QApplication.processEvents()
        self._front().grab().save(str(self._pictures / f"{self._name}-{name}.png"))

    # -- doing

    def clicks(self, name: str, seconds: float = WAIT_S) -> None:
        """Click the button with this word on it, or this name, once it can be."""
        button = self._waited(lambda: self._button(name), name, seconds)
        self.waits_until(button.isEnabled, f"a click on {name}", seconds)
        self._click(button, button.rect().center() if not button.text() else QPoint(16, button.height() // 2))

    def types(self, name: str, text: str, *, then: Qt.Key = Qt.Key.Key_Tab) -> None:
        """Type into a field in the place of what stands there."""
        line = self._find(QLineEdit, lambda found: found.accessibleName() == name, name)
        self._click(line, line.rect().center())
        self._qtbot.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        self._qtbot.keyClicks(line, text)
        assert line.text() == text
        self._qtbot.keyClick(line, then)

    def opens_tab(self, word: str) -> None:
        """Click a tab."""
        bar, at = self._waited(lambda: next(self._tabs(word), None), word)
        self._qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(at).center())

    def opens_row(self, table: str, containing: str) -> None:
        """Double-click the first row that has this in it."""
        self.waits_until(
            lambda: any(containing in " ".join(row) for row in self.table(table)), f"{containing} in {table}"
        )
        at = next(n for n, row in enumerate(self.table(table)) if containing in " ".join(row))
        view = self._find(QTableView, lambda found: found.accessibleName() == table, table)
        model, port = view.model(), view.viewport()
        assert model is not None
        assert port is not None
        place = view.visualRect(model.index(at, 1)).center()
        self._qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=place)
        self._qtbot.mouseDClick(port, Qt.MouseButton.LeftButton, pos=place)

    def picks_file(self, button: str, path: Path) -> None:
        """Click a button that opens a file dialog, and type a path into it."""
        timer = QTimer()
        timer.timeout.connect(lambda: _answer_file_dialog(timer, path))
        timer.start(_LOOK_MS)
        self.clicks(button)  # comes back when the dialog is gone
        timer.stop()

    # -- inside

    def _front(self) -> QWidget:
        dialogs = [dialog for dialog in self._window.findChildren(QDialog) if dialog.isVisible()]
        return dialogs[-1] if dialogs else self._window

    def _visible(self, kind: type[W]) -> Iterator[W]:
        front = self._front()
        for widget in front.findChildren(kind):
            if widget.isVisible() and widget.window() is front:
                yield widget

    def _words(self) -> Iterator[str]:
        for widget in self._visible(QWidget):
            if isinstance(widget, QLabel | QLineEdit):
                yield widget.text().replace("\u200b", "")
            elif isinstance(widget, QAbstractButton):
                yield _word(widget)
            elif isinstance(widget, QTableView):
                yield from (" ".join(row) for row in self.table(widget.accessibleName()))

    def _button(self, name: str) -> QAbstractButton | None:
        """By what it is said to be, else by the word on it."""
        buttons = list(self._visible(QAbstractButton))
        named = [button for button in buttons if button.accessibleName() == name]
        return next(iter(named + [button for button in buttons if _word(button) == name]), None)

    def _tabs(self, word: str) -> Iterator[tuple[QTabBar, int]]:
        for bar in self._visible(QTabBar):
            yield from ((bar, at) for at in range(bar.count()) if bar.tabText(at) == word)

    def _find(self, kind: type[W], fits: Callable[[W], bool], what: str, seconds: float = WAIT_S) -> W:
        return self._waited(
            lambda: next((found for found in self._visible(kind) if fits(found)), None), what, seconds
        )

    def _waited(self, look: Callable[[], W | None], what: str, seconds: float = WAIT_S) -> W:
        found: list[W] = []

        def there() -> bool:
            seen = look()
            found[:] = [] if seen is None else [seen]
            return bool(found)

        self.waits_until(there, what, seconds)
        return found[0]

    def _click(self, widget: QWidget, at: QPoint) -> None:
        """Where one would with a mouse: scrolled to, and with nothing in front of it."""
        above = widget.parentWidget()
        while above is not None and not above.isWindow():
            if isinstance(above, QScrollArea):
                above.ensureWidgetVisible(widget)
            above = above.parentWidget()
        front = widget.window()
        assert front is not None

        def is_free() -> bool:
            found = front.childAt(widget.mapTo(front, at))
            return found is not None and (found is widget or widget.isAncestorOf(found))

        self.waits_until(is_free, f"nothing in front of {widget.accessibleName()}")
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at)  # type: ignore[call-overload,unused-ignore]


def _word(button: QAbstractButton) -> str:
    return button.text().replace("&&", "\0").replace("&", "").replace("\0", "&")


def _answer_file_dialog(timer: QTimer, path: Path) -> None:
    """Type, then press Open, until it is gone: a list of completions may have been in front of it."""
    dialog = QApplication.activeModalWidget()
    if isinstance(dialog, QMessageBox):
        dialog.accept()
    elif isinstance(dialog, QFileDialog):
        timer.stop()  # typing lets time pass
        line, buttons = dialog.findChild(QLineEdit, "fileNameEdit"), dialog.findChild(QDialogButtonBox)
        assert line is not None
        assert buttons is not None
        if line.text() != str(path):
            line.clear()
            QTest.keyClicks(line, str(path))  # type: ignore[call-overload,unused-ignore]
        timer.start()
        open_it = buttons.button(QDialogButtonBox.StandardButton.Open)
        QTest.mouseClick(open_it, Qt.MouseButton.LeftButton)  # type: ignore[call-overload,unused-ignore]
