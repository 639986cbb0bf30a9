"""What a job will cost, beside the form and always to be seen."""

from __future__ import annotations

from PyQt6.QtWidgets import QVBoxLayout, QWidget

from engine_gui.cost_model import CostView, refund_words
from gui_kit.boxes import Card, Line, Scroll, column, row
from gui_kit.labels import IconLabel, Label
from gui_kit.tokens import GRID_PX, HALF_PX, MARGIN_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError

_WIDTH_PX = 272


class CostPanel(QWidget):
    """``extra``: what stands at its foot, such as how far the upload is."""

    def __init__(self, *extra: QWidget) -> None:
        super().__init__()
        self.setFixedWidth(_WIDTH_PX)
        self.has_cost = False
        self._card = Card()
        self._card.setAccessibleName(tr("Cost"))
        self._shown = QWidget()
        self._card.body.addWidget(self._shown)
        inside = QWidget()
        inside.setLayout(column(self._card, *extra, None, spacing_px=MARGIN_PX))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(Scroll(inside))
        self.show_waiting()

    def show_waiting(self) -> None:
        """Nothing is known yet."""
        self._put(
            Label(tr("At most"), "muted"), Label("–", "heading"), Label(tr("Asking the market"), "muted")
        )

    def show_unknown(self) -> None:
        """Something in the form has to be mended first."""
        words = tr("The cost is shown when the fields on the left are in order.")
        self._put(Label(tr("At most"), "muted"), Label("–", "heading"), Label(words, "muted", wrap=True))

    def show_error(self, error: CyxWizError) -> None:
        """The market can't be asked."""
        what, *rest = error.lines() or (tr("Something went wrong."),)
        head = row(IconLabel("alert-circle-outline", "danger"), Label(what, wrap=True))
        head.setStretch(1, 1)
        top = QWidget()
        top.setLayout(head)
        self._put(top, *(Label(line, "muted", wrap=True) for line in rest))

    def show_cost(self, cost: CostView) -> None:
        """What it costs, who could run it, how long it waits."""
        nodes = IconLabel(
            *(("check-circle-outline", "success") if cost.can_run else ("timer-sand", "warning"))
        )
        who = row(nodes, Label(cost.nodes, wrap=True))
        who.setStretch(1, 1)
        top = QWidget()
        top.setLayout(who)
        self._put(
            Label(tr("At most"), "muted"),
            Label(cost.most, "heading", selectable=True),
            *(_pair(name, value) for name, value in cost.costs),
            Line(),
            Label(refund_words(), "muted", wrap=True),
            Line(),
            top,
            *(Label(f"· {reason}", "muted", wrap=True) for reason in cost.reasons),
            _pair(tr("Expected wait"), cost.wait),
        )
        self.has_cost = True

    def _put(self, *parts: QWidget) -> None:
        self.has_cost = False
        fresh = QWidget()
        fresh.setLayout(column(*parts, spacing_px=GRID_PX))
        self._card.body.replaceWidget(self._shown, fresh)
        self._shown.hide()
        self._shown.deleteLater()
        self._shown = fresh


def _pair(name: str, value: str) -> QWidget:
    """A name above its value: the panel is narrow."""
    pair = QWidget()
    pair.setLayout(column(Label(name, "small"), Label(value, wrap=True), spacing_px=HALF_PX))
    return pair
