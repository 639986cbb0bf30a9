"""Something that went wrong, in three parts, in a place of its own on a page."""

from __future__ import annotations

import re
from collections.abc import Callable

from PyQt6.QtWidgets import QWidget

from gui_kit.boxes import Card, row
from gui_kit.buttons import Button
from gui_kit.labels import IconLabel, Label
from gui_kit.tokens import Token
from gui_kit.words import tr
from p2p.core.errors import CyxWizError
from p2p.core.text import clean_name

_WHAT_MAX_CHARS = 160
_LINE_MAX_CHARS = 240


class ProblemCard(Card):
    """Hidden while nothing is wrong. ``word_chars``: so much of a word has room on a line; a label breaks
    lines only between words."""

    def __init__(self, word_chars: int) -> None:
        super().__init__()
        self._word = re.compile(rf"[^\s/\-]{{{word_chars}}}(?=\S)")
        self.setAccessibleName(tr("Problem"))
        self._icon = IconLabel("alert-circle-outline", "danger")
        self.what = Label("", "title", wrap=True)
        self.rest = Label("", wrap=True, selectable=True)
        head = QWidget()
        line = row(self._icon, self.what)
        line.setStretch(1, 1)
        head.setLayout(line)
        self.body.addWidget(head)
        self.body.addWidget(self.rest)
        self.mend = Button("")
        self.mend.clicked.connect(self._mend)
        self._do: Callable[[], object] | None = None
        self.mend.hide()
        self.body.addLayout(row(self.mend, None))
        self.hide()

    def show_error(self, error: CyxWizError, word: str = "", do: Callable[[], object] | None = None) -> None:
        """What happened, what it means, what to do; ``word`` and ``do``: a button that does it."""
        what, *rest = error.lines() or (tr("Something went wrong."),)
        self.show_lines(what, rest)
        self.offer(word, do)

    def offer(self, word: str, do: Callable[[], object] | None) -> None:
        """A button that mends it; without a word none."""
        self._do = do
        self.mend.setText(word)
        self.mend.setAccessibleName(word)
        self.mend.setVisible(bool(word))

    def show_lines(
        self, what: str, rest: list[str], icon_name: str = "alert-circle-outline", token: Token = "danger"
    ) -> None:
        """A heading and what follows from it; a button stays until :meth:`offer` says otherwise, and keeps
        the focus."""
        self._icon.set_icon(icon_name, token)
        self.what.setText(self._breakable(what, _WHAT_MAX_CHARS))
        self.rest.setText("\n".join(self._breakable(line, _LINE_MAX_CHARS) for line in rest))
        self.rest.setVisible(bool(rest))
        self.show()

    def clear(self) -> None:
        """Nothing is wrong any more."""
        self.hide()

    def _mend(self) -> None:
        if self._do is not None:
            self._do()

    def _breakable(self, text: str, max_chars: int) -> str:
        return self._word.sub(r"\g<0>\n", clean_name(text, max_chars))
