"""What a month would bring at the present pace, and what came true of what was said before."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QVBoxLayout, QWidget

from gui_kit.boxes import Card
from gui_kit.frame import Frame
from gui_kit.labels import Label
from gui_kit.tokens import HALF_PX
from gui_kit.words import tr
from node_gui.outlook import outlook_lines

_EVERY_S = 60.0


class OutlookCard(QWidget):
    """Asks the agent for its ``projection``; empty while there is nothing to judge by."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self.lines = (Label("", wrap=True), Label("", "muted", wrap=True), Label("", "muted", wrap=True))
        self._card = Card(tr("Outlook"), *self.lines)
        self._card.body.setSpacing(HALF_PX)
        self._card.hide()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._card)
        self._feed = frame.link.poll(self, "projection", every_s=_EVERY_S)
        self._feed.item.connect(self._show)

    def reload(self) -> None:
        """Ask now."""
        self._feed.refresh()

    def _show(self, found: dict[str, Any]) -> None:
        texts = outlook_lines(found)
        for label, text in zip(self.lines, texts, strict=True):
            label.setText(text)
            label.setVisible(bool(text))
        self._card.setVisible(bool(texts[0]))
