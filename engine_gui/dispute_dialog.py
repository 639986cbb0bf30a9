"""Disputing a claim: what it does in numbers, and the reason that the arbiter reads."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QPlainTextEdit, QWidget

from engine_gui.money_model import dispute_pairs, dispute_words
from gui_kit.dialogs import Confirm
from gui_kit.fields import Field
from gui_kit.words import clean, tr
from p2p.core.limits import DISPUTE_TEXT_MAX_CHARS

_HEIGHT_PX = 112


class DisputeDialog(Confirm):
    """The yes is possible once there is a reason. ``terms``: the agent's ``dispute_terms``."""

    def __init__(self, parent: QWidget, name: str, terms: dict[str, Any]) -> None:
        super().__init__(
            parent,
            tr("Dispute the claim for {name}?", name=clean(name)),
            dispute_words(terms),
            dispute_pairs(terms),
            yes=tr("Dispute the claim"),
            danger=True,
        )
        self.editor = QPlainTextEdit()
        self.editor.setFixedHeight(_HEIGHT_PX)
        self.editor.setTabChangesFocus(True)
        self._help = tr("At most {count} characters.", count=f"{DISPUTE_TEXT_MAX_CHARS:,}")
        self._field = Field(tr("Your reason, for the arbiter and the node"), self.editor, self._help)
        self.body.addWidget(self._field)
        self.editor.textChanged.connect(self._check)
        self.yes.setEnabled(False)
        self.editor.setFocus()

    def reason(self) -> str:
        """As typed, without blanks around it."""
        return self.editor.toPlainText().strip()

    def _check(self) -> None:
        over = len(self.reason()) - DISPUTE_TEXT_MAX_CHARS
        self._field.set_problem(tr("{count} characters too many.", count=f"{over:,}") if over > 0 else "")
        self.yes.setEnabled(bool(self.reason()) and over <= 0)
