"""The self-test: what was found, what is needed, why, how to mend it. On its page and in the first run."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFrame, QWidget

from gui_kit.boxes import Card, KeyValues, column, row
from gui_kit.buttons import Button, IconButton
from gui_kit.labels import IconLabel, Label, StateLabel, copy_text
from gui_kit.look import set_look
from gui_kit.states import CHECKS, look
from gui_kit.tokens import GRID_PX, MARGIN_PX
from gui_kit.words import tr
from node_gui.checks import Check, in_order, verdict


class ChecksPanel(QWidget):
    """``fix_asked`` comes with the key of what the agent shall mend."""

    fix_asked = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.verdict = StateLabel()
        self._rows = column()
        self._shown: tuple[Check, ...] = ()
        self.setLayout(column(self.verdict, self._rows, spacing_px=MARGIN_PX))

    def set_checks(self, checks: Sequence[Check]) -> None:
        """Show these."""
        state, sentence = verdict(checks)
        found = look(CHECKS, state)
        self.verdict.set_look(type(found)(sentence, found.icon, found.token))
        if tuple(checks) == self._shown:
            return
        self._shown = tuple(checks)
        while (item := self._rows.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for check in in_order(checks):
            self._rows.addWidget(self._card(check))

    def _card(self, check: Check) -> Card:
        card = Card()
        card.setAccessibleName(check.title)
        card.body.addLayout(row(Label(check.title, "title"), None, StateLabel(look(CHECKS, check.state))))
        card.body.addWidget(
            KeyValues((tr("Found"), check.found), (tr("Needed"), check.needed), (tr("Why"), check.why))
        )
        if check.fix or check.fixable:
            card.body.addWidget(self._fix(check))
        return card

    def _fix(self, check: Check) -> QFrame:
        box = QFrame()
        line = row(IconLabel("wrench-outline", "muted"))
        line.setContentsMargins(MARGIN_PX, GRID_PX, GRID_PX, GRID_PX)
        if check.fix:
            words = Label(check.fix, wrap=True, selectable=True)
            words.setAccessibleName(tr("How to mend {name}: {fix}", name=check.title, fix=words.text()))
            copy = IconButton("content-copy", tr("Copy how to mend {name}", name=check.title))
            copy.clicked.connect(lambda: copy.setToolTip(copy_text(check.fix)))
            line.addWidget(words, 1)
            line.addWidget(copy)
        if check.fixable:
            button = Button(tr("Fix"), "primary")
            button.setAccessibleName(tr("Fix {name}", name=check.title))
            button.clicked.connect(lambda: self.fix_asked.emit(check.key))
            line.addWidget(button)
        box.setLayout(line)
        set_look(box, look="fix")
        return box
