"""A table, or one sentence in its place while there is nothing to list."""

from __future__ import annotations

from typing import Generic, TypeVar

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QWidget

from gui_kit.boxes import column
from gui_kit.labels import Label
from gui_kit.table import Table
from gui_kit.table_model import Row

R = TypeVar("R", bound=Row)


class Listing(QWidget, Generic[R]):
    """Begins with ``sentence``."""

    def __init__(self, table: Table[R], sentence: str) -> None:
        super().__init__()
        self.table = table
        self._note = Label("", "muted", wrap=True)
        self._note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setLayout(column(self._note, table))
        self.say(sentence)

    def say(self, sentence: str) -> None:
        """Why there is no row; an empty text: there is one."""
        self._note.setText(sentence)
        self._note.setVisible(bool(sentence))
        self.table.setVisible(not sentence)

    def warn(self, sentence: str) -> None:
        """Why nothing newer has come; what is listed stays."""
        self.say(sentence)
        self.table.setVisible(self.table.rows.rowCount() > 0)
