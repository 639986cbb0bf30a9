"""Every building block on a page of its own, to look at and to test: ``python -m gui_kit.gallery``."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from PyQt6.QtWidgets import QApplication, QCheckBox, QComboBox, QProgressBar, QWidget

from gui_kit.boxes import Card, KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel, IconButton
from gui_kit.fields import Field, TextField
from gui_kit.labels import Badge, Elided, Label, Money, StateLabel
from gui_kit.page import Page
from gui_kit.qr import QrCode
from gui_kit.states import BADGES, JOB_STATES, Look, look
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.theme import Mode, theme
from gui_kit.tokens import FORM_WIDTH_PX, MARGIN_PX
from gui_kit.words import bytes_text
from p2p.core.money import Asset, parse_amount

ADDRESS = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"


class BlocksPage(Page):
    """Labels, buttons, fields, boxes."""

    def __init__(self) -> None:
        super().__init__(
            "Blocks", "view-dashboard-outline", action=Button("New job", "primary", "plus"), scrolls=True
        )
        self.amount = TextField(
            "Amount", "What you want to deposit, in USDC.", check=lambda text: parse_amount(text, Asset.USDC)
        )
        asset = QComboBox()
        asset.addItems(["USDC", "SOL"])
        form = QWidget()
        form.setMaximumWidth(FORM_WIDTH_PX)
        form.setLayout(
            column(
                self.amount,
                Field("Asset", asset, "In what the job is paid."),
                QCheckBox("Allow the job to use the internet"),
                row(Button("Deposit", "primary"), Button("Cancel"), Button("Delete", "danger"),
                Button("More", "flat"), IconButton("dots-horizontal", "More actions"), None),
                spacing_px=MARGIN_PX,
            )
        )  # fmt: skip
        progress = QProgressBar()
        progress.setValue(42)
        progress.setTextVisible(False)
        progress.setAccessibleName("Progress")
        self.body.addWidget(Card("Deposit", form))
        self.body.addWidget(
            Card(
                "Result",
                row(Badge(look(BADGES, "verified")), Badge(look(BADGES, "unverified")), None),
                KeyValues(
                    ("State", StateLabel(look(JOB_STATES, "running"))),
                    ("Cost so far", Money(1_234_567, Asset.USDC, alone=True)),
                    ("Address", CopyLabel(ADDRESS, "the address")),
                    ("Size", bytes_text(4_200_000)),
                    ("File", Elided("a/very/long/path/" * 12 + "model.safetensors")),
                ),
                progress,
            )
        )
        self.body.addWidget(Card("Address", row(QrCode("solana:" + ADDRESS, "Deposit address"), None)))
        self.body.addWidget(Label("A muted word at the end.", "muted"))
        self.body.addStretch(1)


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of the sample table."""

    key: str
    state: str
    name: str
    cost_units: int


def _state(sample: Sample) -> Look:
    return look(JOB_STATES, sample.state)


def _cost(sample: Sample) -> int:
    return sample.cost_units


class TablePage(Page):
    """A table with one row for each state."""

    def __init__(self) -> None:
        super().__init__("Table", "table")
        self.table: Table[Sample] = Table(
            "Samples",
            (
                Column("State", lambda sample: _state(sample).word, look=_state, width_px=200),
                Column("Name", lambda sample: sample.name, stretch=True),
                Column(
                    "Cost",
                    lambda sample: f"{sample.cost_units:,}",
                    lambda sample: sample.cost_units,
                    numeric=True,
                ),
            ),
            sort_by=1,
        )
        self.search = self.table.search_field("Search samples")
        self.body.addWidget(self.search)
        self.body.addWidget(self.table, 1)
        self.table.set_rows([Sample(s, s, f"train-{n:02}", n * 1000) for n, s in enumerate(JOB_STATES)])


def main() -> None:
    """Show them."""
    app = QApplication(sys.argv)
    theme().install(app, Mode.SYSTEM)
    pages = (BlocksPage(), TablePage())
    for page in pages:
        page.resize(900, 700)
        page.show()
    sys.exit(app.exec())


if __name__ == "__main__":
    main()
