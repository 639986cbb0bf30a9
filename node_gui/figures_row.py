"""The five figures of money, as the agent's ``status`` has them: today, seven days, in review, unpaid,
lifetime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from gui_kit.boxes import Card, column
from gui_kit.labels import Label, Money
from gui_kit.tokens import GRID_PX, HALF_PX
from gui_kit.words import tr
from p2p.core.money import Asset

_AMOUNTS = ("today_units", "week_units", "in_review_units", "unpaid_units", "lifetime_units")


class FiguresRow(QWidget):
    """A card for each, with a line for each asset; in several rows where the window is narrow."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GRID_PX)
        self._across = 0
        names = (
            (tr("Today"), tr("since midnight")),
            (tr("7 days"), tr("up to now")),
            (tr("In review"), tr("claimed or disputed")),
            (tr("Unpaid"), tr("waits for a signature")),
            (tr("Lifetime"), tr("paid in all")),
        )
        self._amounts: list[dict[Asset, Money]] = []
        self._cards: list[Card] = []
        for name, note in names:
            amounts = {asset: Money(0, asset, "title", alone=True) for asset in (Asset.USDC, Asset.SOL)}
            amounts[Asset.SOL].hide()
            lines = (Label(name, "muted"), *amounts.values(), Label(note, "small"), None)
            card = Card("", column(*lines, spacing_px=HALF_PX))
            card.setAccessibleName(name)
            card.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
            for amount in amounts.values():
                amount.setAccessibleDescription(name)
            self._cards.append(card)
            self._amounts.append(amounts)
        self._arrange(len(names))

    def show_earned(self, status: Mapping[str, Any]) -> None:
        """Show what ``status`` says was earned; an asset in which there is nothing is not shown, but USDC."""
        found = (status.get("earned") or {}).get("assets") or ()
        by_asset = {Asset(each["asset"]): each for each in found}
        for name, amounts in zip(_AMOUNTS, self._amounts, strict=True):
            for asset, amount in amounts.items():
                units = by_asset.get(asset, {}).get(name, 0)
                amount.setVisible(asset is Asset.USDC or units != 0)
                amount.set_amount(units, asset)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        return QSize(self._card_width(), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def _card_width(self) -> int:
        return max(card.minimumSizeHint().width() for card in self._cards)

    def _fit(self) -> None:
        most = (self.width() + GRID_PX) // (self._card_width() + GRID_PX)
        rows = -(-len(self._cards) // max(1, most))
        self._arrange(-(-len(self._cards) // rows))

    def _arrange(self, across: int) -> None:
        if across == self._across:
            return
        for at in range(max(across, self._across)):
            self._grid.setColumnStretch(at, 1 if at < across else 0)
        self._across = across
        for at, card in enumerate(self._cards):
            self._grid.addWidget(card, at // across, at % across)
