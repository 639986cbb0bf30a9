"""A field for a file or folder: typed, picked, or dropped on it."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QMimeData, pyqtSignal
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import QFileDialog, QLineEdit

from gui_kit.buttons import IconButton
from gui_kit.fields import Field
from gui_kit.words import tr


def dropped_items(data: QMimeData | None) -> list[str]:
    """Paths and web addresses in what is dragged."""
    if data is None:
        return []
    if data.hasUrls():
        return [url.toLocalFile() or url.toString() for url in data.urls()]
    return [line.strip() for line in data.text().splitlines() if line.strip()] if data.hasText() else []


class _Line(QLineEdit):
    """Takes a dropped file by its path instead of by its ``file:`` address."""

    dropped = pyqtSignal(str)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and dropped_items(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        items = dropped_items(event.mimeData()) if event is not None else []
        if event is not None and items:
            event.acceptProposedAction()
            self.dropped.emit(items[0])


class PathField(Field):
    """``files``: the filter of the file picker, empty for none; ``folders``: a folder may be picked."""

    def __init__(self, name: str, help_text: str = "", *, files: str = "", folders: bool = False) -> None:
        self.line = _Line()
        self._name, self._files = name, files
        buttons = []
        if files:
            word = tr("Pick a file: {name}", name=name)
            buttons.append(_picker("file-outline", word, self._pick_file))
        if folders:
            word = tr("Pick a folder: {name}", name=name)
            buttons.append(_picker("folder-open-outline", word, self._pick_folder))
        super().__init__(name, self.line, help_text, beside=buttons)
        self.line.dropped.connect(self.line.setText)

    def text(self) -> str:
        """What stands there, without blanks around it."""
        return self.line.text().strip()

    def set_text(self, text: str) -> None:
        """Fill in."""
        self.line.setText(text)

    def _pick_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self._name, self.text(), self._files)
        if path:
            self.set_text(path)

    def _pick_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self._name, self.text())
        if path:
            self.set_text(path)


def _picker(icon_name: str, name: str, pick: Callable[[], None]) -> IconButton:
    button = IconButton(icon_name, name)
    button.clicked.connect(pick)
    return button
