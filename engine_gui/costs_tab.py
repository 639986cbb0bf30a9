"""What a job costs: the bill, the claim, and every transaction of its escrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QSizePolicy, QWidget

from engine_gui.money_model import Pairs, can_dispute, cost_pairs, review_pairs
from engine_gui.timeline_model import TransactionRow, transaction_rows
from gui_kit.boxes import Card, KeyValues, Scroll, column, row
from gui_kit.buttons import Button
from gui_kit.labels import Label, copy_text
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.tokens import MARGIN_PX, ROW_HEIGHT_PX, SECTION_PX
from gui_kit.words import time_text, tr

Json = dict[str, Any]

_ROWS_MIN = 4


class PairsCard(Card):
    """Names and values that change; hidden while there are none."""

    def __init__(self, title: str, *below: QWidget) -> None:
        super().__init__(title)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)  # its text may wrap
        self._pairs: Pairs = ()
        self._shown = QWidget()
        self.body.addWidget(self._shown)
        for widget in below:
            self.body.addLayout(row(widget, None))

    def show_pairs(self, pairs: Pairs) -> None:
        """Show these."""
        self.setVisible(bool(pairs))
        if pairs != self._pairs:
            self._pairs = pairs
            fresh = _side_by_side(pairs)
            self.body.replaceWidget(self._shown, fresh)
            self._shown.hide()
            self._shown.deleteLater()
            self._shown = fresh


def _side_by_side(pairs: Pairs) -> QWidget:
    """Long lists in two columns, so that there is room below."""
    half = -(-len(pairs) // 2) if len(pairs) > _ROWS_MIN else len(pairs)
    both = QWidget()
    line = row(
        column(KeyValues(*pairs[:half]), None), column(KeyValues(*pairs[half:]), None), spacing_px=SECTION_PX
    )
    for at in range(line.count()):
        line.setStretch(at, 1)
    both.setLayout(line)
    return both


class CostsTab(QWidget):
    """``dispute`` asks the person for a dispute; ``tell`` says something in the window's corner."""

    def __init__(self, dispute: Callable[[], object], tell: Callable[[str, bool], object]) -> None:
        super().__init__()
        self._tell = tell
        self.dispute = Button(tr("Dispute the claim"), icon_name="scale-balance")
        self.dispute.clicked.connect(dispute)
        self._cost, self._claim = PairsCard(tr("Cost")), PairsCard(tr("Claim"), self.dispute)
        self.table: Table[TransactionRow] = Table(
            tr("Transactions"),
            (
                Column(tr("What"), lambda r: r.action, lambda r: r.number, width_px=176),
                Column(tr("Status"), lambda r: r.status, width_px=112),
                Column(tr("Time"), lambda r: time_text(r.at_s) if r.at_s else "", lambda r: r.at_s or 0.0,
                       width_px=168),
                Column(tr("Signature"), lambda r: r.signature, stretch=True),
            ),
        )  # fmt: skip
        self.table.setMinimumHeight(_ROWS_MIN * ROW_HEIGHT_PX)
        self.copy = Button(tr("Copy the signature"), "flat", "content-copy")
        self.open = Button(tr("Open in the explorer"), "flat", "open-in-new")
        self.copy.clicked.connect(self._copy)
        self.open.clicked.connect(self._open)
        self.table.chosen.connect(self._show_possible)
        self.table.opened.connect(self._open)
        self._where = Label(tr("No explorer sees this network"), "muted")
        title = row(Label(tr("Transactions"), "title"), None, self._where, self.copy, self.open)
        content = QWidget()
        content.setLayout(column(self._cost, self._claim, title, self.table, spacing_px=MARGIN_PX))
        self.setLayout(column(Scroll(content)))
        self._show_possible()

    def show_job(self, job: Json) -> None:
        """The money as it is now."""
        self._cost.show_pairs(cost_pairs(job))
        self._claim.show_pairs(review_pairs(job))
        self.dispute.setVisible(can_dispute(job))
        rows = transaction_rows(job)
        self.table.set_rows(rows)
        is_seen = any(found.explorer for found in rows)
        self._where.setVisible(bool(rows) and not is_seen)
        self.open.setVisible(is_seen)
        self._show_possible()

    def _show_possible(self) -> None:
        found = self.table.current()
        self.copy.setEnabled(found is not None)
        self.open.setEnabled(found is not None and bool(found.explorer))

    def _copy(self) -> None:
        found = self.table.current()
        if found is not None:
            said = tr("{copied}: {signature}", copied=copy_text(found.signature), signature=found.signature)
            self._tell(said, True)

    def _open(self) -> None:
        """By the desktop's own browser; the address is the agent's, from its own cluster."""
        found = self.table.current()
        if found is None or not found.explorer:
            return
        if not QDesktopServices.openUrl(QUrl(found.explorer)):
            copy_text(found.explorer)
            self._tell(tr("No browser could be opened; the address is copied instead."), False)
