"""The self-test: what was found, what is needed, why, how to mend it. On its page and in the first run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QFrame, QWidget

from gui_kit.boxes import Card, KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.frame import Frame
from gui_kit.labels import IconLabel, Label, StateLabel
from gui_kit.look import set_look
from gui_kit.states import CHECKS, look
from gui_kit.tokens import GRID_PX, MARGIN_PX
from gui_kit.words import clean, tr
from node_gui.checks import Check, in_order, verdict
from p2p.core.errors import CyxWizError


class ChecksPanel(QWidget):
    """``mended``: the agent has tried to mend something; look again."""

    mended = pyqtSignal()

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame
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

    # -- inside

    def _card(self, check: Check) -> Card:
        card = Card()
        card.setAccessibleName(clean(check.title))
        card.body.addLayout(row(Label(check.title, "title"), None, StateLabel(look(CHECKS, check.state))))
        card.body.addWidget(
            KeyValues((tr("Found"), check.found), (tr("Needed"), check.needed), (tr("Why"), check.why))
        )
        if check.fix or check.action:
            card.body.addWidget(_Fix(self._frame, check, self.mended.emit))
        return card


class _Fix(QFrame):
    """How to mend one thing: words, commands to copy, and what the agent can do by itself."""

    def __init__(self, frame: Frame, check: Check, done: Any) -> None:
        super().__init__()
        set_look(self, look="fix")
        self._frame, self._check, self._done = frame, check, done
        words = Label(check.fix, wrap=True, selectable=True)
        head = row(IconLabel("wrench-outline", "muted"), words)
        head.setStretch(1, 1)
        self._said = Label("", "small", wrap=True)
        self._said.hide()
        self._button = Button(check.action, "primary")
        name = tr("{action} ({name})", action=check.action, name=check.title)
        self._button.setAccessibleName(clean(name))
        self._button.setVisible(bool(check.action))
        self._button.clicked.connect(self._fix)
        commands = [CopyLabel(command, tr("the command")) for command in check.commands]
        box = column(head, *commands, self._said, row(self._button, None))
        box.setContentsMargins(MARGIN_PX, GRID_PX, MARGIN_PX, GRID_PX)
        self.setLayout(box)

    def _fix(self) -> None:
        params: dict[str, Any] = {"id": self._check.key}
        if self._check.wants_file:
            name, _ = QFileDialog.getOpenFileName(self, self._check.action)
            if not name:
                return
            params["file"] = name
        self._button.set_busy(True)
        feed = self._frame.link.follow(self, "fix", every=True, **params)
        feed.item.connect(self._take)
        feed.failed.connect(self._fail)
        feed.restarted.connect(feed.stop)  # mending is not begun a second time by itself
        feed.ended.connect(self._done)

    def _take(self, item: dict[str, Any]) -> None:
        if "line" in item:
            self._said.setText(item["line"])
            self._said.show()

    def _fail(self, error: CyxWizError) -> None:
        self._button.set_busy(False)
        self._said.setText("\n".join(error.lines()))
        self._said.show()
