"""The words of a new wallet: shown once, then asked for, so that they are really on paper."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QGridLayout, QStackedLayout, QWidget

from gui_kit.boxes import column, row
from gui_kit.buttons import Button
from gui_kit.fields import TextField
from gui_kit.labels import Label
from gui_kit.tokens import GRID_PX, MARGIN_PX, SECTION_PX
from gui_kit.words import tr

WORDS_ASKED = 3
_COLUMNS = 4
_WIDTH_PX = 620


class PhraseDialog(QDialog):
    """``confirmed`` is called once the person has typed the words that were asked for. The words are gone
    with the dialog."""

    def __init__(self, parent: QWidget, words: Sequence[str], confirmed: Callable[[], object]) -> None:
        super().__init__(parent)
        self._words = tuple(words)
        self.places = sorted(secrets.SystemRandom().sample(range(1, len(words) + 1), WORDS_ASKED))
        self.setWindowTitle(tr("The words of your new wallet"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(_WIDTH_PX)
        self.written = Button(tr("I have written them down"), "primary")
        self.back = Button(tr("Show the words again"))
        self.confirm = Button(tr("Confirm"), "primary")
        self.fields = [TextField(tr("Word {place}", place=place), secret=True) for place in self.places]
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._show_words())
        self._stack.addWidget(self._ask_words())
        self.written.clicked.connect(self._ask)
        self.back.clicked.connect(lambda: self._stack.setCurrentIndex(0))
        self.confirm.clicked.connect(self._check)
        self.accepted.connect(confirmed)
        self.finished.connect(self._forget)
        self.written.setDefault(True)

    def _show_words(self) -> QWidget:
        grid = QGridLayout()
        grid.setHorizontalSpacing(SECTION_PX)
        grid.setVerticalSpacing(GRID_PX)
        lines = -(-len(self._words) // _COLUMNS)
        for at, word in enumerate(self._words):
            grid.addWidget(Label(f"{at + 1}.  {word}"), at % lines, at // lines)
        why = tr("On paper, in their order. They are not shown again, and they are stored nowhere.")
        risk = tr("Whoever has them has the wallet. Whoever loses them and this computer has nothing.")
        return _page(
            Label(tr("Write these words down"), "title"), Label(why, wrap=True), grid, Label(risk, wrap=True),
            row(None, self.written),
        )  # fmt: skip

    def _ask_words(self) -> QWidget:
        why = tr("Type these words from your paper, to be sure that they are right.")
        return _page(
            Label(tr("Are they on paper?"), "title"), Label(why, wrap=True), column(*self.fields), None,
            row(self.back, None, self.confirm),
        )  # fmt: skip

    def _ask(self) -> None:
        self._stack.setCurrentIndex(1)
        self.confirm.setDefault(True)
        self.fields[0].setFocus()

    def _check(self) -> None:
        wrong = [
            field
            for field, place in zip(self.fields, self.places, strict=True)
            if field.text().lower() != self._words[place - 1]
        ]
        for field in self.fields:
            field.set_problem(tr("That is another word.") if field in wrong else "")
        if wrong:
            wrong[0].setFocus()
        else:
            self.accept()

    def _forget(self) -> None:
        self._words = ()
        for label in self.findChildren(Label):
            label.clear()
        for field in self.fields:
            field.line.clear()


def _page(*items: object) -> QWidget:
    made = QWidget()
    made.setLayout(column(*items, spacing_px=MARGIN_PX, margin_px=SECTION_PX))  # type: ignore[arg-type]
    return made
