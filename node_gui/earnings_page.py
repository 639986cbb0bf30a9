"""What this node has earned: per job, day and month, as table, bars and CSV; and out of escrow with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PyQt6.QtWidgets import QFileDialog, QStackedWidget

from gui_kit.boxes import Card, row
from gui_kit.buttons import Button
from gui_kit.frame import Frame
from gui_kit.labels import Label
from gui_kit.page import Page
from gui_kit.segments import Segments
from gui_kit.states import PAYS, Look, look
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.tokens import HALF_PX, ROW_HEIGHT_PX
from gui_kit.words import duration_text, short_id, time_text, tr
from node_gui.bars_view import BarsView
from node_gui.earned import (
    EarnedRow,
    PeriodRow,
    bars,
    earned_row,
    pay_words,
    period_row,
    periods_of,
)
from node_gui.figures_row import FiguresRow
from node_gui.outlook import power_line
from node_gui.withdraw_dialog import WithdrawDialog
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.earnings import By
from p2p.core.errors import CyxWizError
from p2p.core.limits import EARNINGS_LISTED_MAX
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.core.projection import MONTH_DAYS
from p2p.local.earnings_csv import jobs_csv, periods_csv

_EVERY_S = 15.0
_POWER_EVERY_S = 60.0
_BY_JOB = "job"
_ROWS_MIN = 6


def _pay(entry: EarnedRow) -> Look:
    return look(PAYS, entry.pay)


def job_columns() -> tuple[Column[EarnedRow], ...]:
    """What the table shows of a job's pay."""
    return (
        Column(tr("When"), lambda r: time_text(r.at_s), lambda r: r.at_s, width_px=152),
        Column(tr("Name"), lambda r: r.name or short_id(r.key), stretch=True),
        Column(tr("Ran"), lambda r: duration_text(r.used_seconds), lambda r: r.used_seconds, numeric=True,
               width_px=80),
        Column(tr("Earned"), lambda r: format_amount(r.net_units, r.asset), lambda r: r.net_units,
               numeric=True, width_px=152),
        Column(tr("Fee"), lambda r: format_amount(r.fee_units, r.asset, symbol=False), lambda r: r.fee_units,
               numeric=True, width_px=112),
        Column(tr("Pay"), _pay_words, look=_pay, width_px=224),
    )  # fmt: skip


def _pay_words(entry: EarnedRow) -> str:
    left_s = None if entry.review_ends_at_s is None else entry.review_ends_at_s - SYSTEM_CLOCK.now_s()
    return pay_words(_pay(entry).word, left_s)


def period_columns() -> tuple[Column[PeriodRow], ...]:
    """What the table shows of a day or month."""
    return (
        Column(tr("Period"), lambda r: r.period, stretch=True),
        Column(tr("Jobs"), lambda r: f"{r.jobs}", lambda r: r.jobs, numeric=True, width_px=80),
        Column(tr("Earned"), lambda r: format_amount(r.net_units, r.asset), lambda r: r.net_units,
               numeric=True, width_px=152),
        Column(tr("Of it paid"), lambda r: format_amount(r.paid_units, r.asset), lambda r: r.paid_units,
               numeric=True, width_px=152),
        Column(tr("Not paid yet"), lambda r: format_amount(r.unpaid_units, r.asset),
               lambda r: r.unpaid_units, numeric=True, width_px=152),
        Column(tr("Fee"), lambda r: format_amount(r.fee_units, r.asset), lambda r: r.fee_units,
               numeric=True, width_px=152),
    )  # fmt: skip


class EarningsPage(Page):
    """Figures on top, then bars and the table of what was chosen."""

    def __init__(self, frame: Frame, home: Home) -> None:
        withdraw = Button(tr("Withdraw"), "primary", "export")
        super().__init__(tr("Earnings"), "cash-multiple", action=withdraw, scrolls=True)
        self._frame, self._home = frame, home
        self._entries: list[dict[str, Any]] = []
        self.figures = FiguresRow()
        self.by = Segments(
            tr("One line for each"),
            ((_BY_JOB, tr("Job")), (By.DAY.value, tr("Day")), (By.MONTH.value, tr("Month"))),
        )
        self.by.show_key(_BY_JOB)
        self.assets = Segments(
            tr("Asset"), [(asset.value, asset.symbol) for asset in (Asset.USDC, Asset.SOL)]
        )
        self.assets.show_key(Asset.USDC.value)
        self.jobs: Table[EarnedRow] = Table(tr("Earned by job"), job_columns(), descending=True)
        self.periods: Table[PeriodRow] = Table(tr("Earned by period"), period_columns(), descending=True)
        self.bars = BarsView(tr("Earned by period, as bars"))
        self._note = Label("", "muted")
        self.power = Label("", "muted", wrap=True)
        self.export = Button(tr("Save as CSV"), "plain", "content-save-outline")
        self._build()
        self.by.chosen.connect(self._choose_by)
        self.assets.chosen.connect(self._choose_asset)
        self.export.clicked.connect(self._ask_where)
        withdraw.clicked.connect(self.withdraw)
        frame.link.status_changed.connect(lambda: self.figures.show_earned(frame.link.status))
        self.show_loading(tr("Asking the coordinator what was earned"))
        outlook = frame.link.poll(self, "projection", every_s=_POWER_EVERY_S, days=MONTH_DAYS)
        outlook.item.connect(self._show_power)
        self._feed = frame.link.poll(self, "earnings", every_s=_EVERY_S, limit=EARNINGS_LISTED_MAX)
        self._feed.item.connect(self._show_earnings)
        self._feed.failed.connect(self._show_problem)

    def reload(self) -> None:
        self._feed.refresh()

    def withdraw(self) -> WithdrawDialog:
        """Ask how much, and have it signed."""
        dialog = WithdrawDialog(self, self._home, self._frame.link.status)
        dialog.done_with.connect(lambda text: self._frame.toasts.show(text))
        dialog.open()
        return dialog

    def save_to(self, path: Path) -> None:
        """Write what is chosen as CSV, as ``cyxwiz-node earnings --csv`` prints it."""
        by = self.by.key()
        text = jobs_csv(self._entries) if by == _BY_JOB else self._periods_csv(By(by))
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            words = tr("{path} cannot be written: {why}.", path=path, why=error.strerror or error)
            self._frame.toasts.show(words, "danger")
        else:
            self._frame.toasts.show(tr("Saved as {path}", path=path))

    # -- inside

    def _build(self) -> None:
        self._tables = QStackedWidget()
        said = Label("", "muted")
        self.bars.pointed.connect(said.setText)
        legend = Label(tr("Filled: paid. Outlined: done, not paid yet."), "small")
        self._plot = Card("", row(said, None, legend), self.bars)
        for table in (self.jobs, self.periods):
            table.setMinimumHeight(_ROWS_MIN * ROW_HEIGHT_PX)
        self._tables.addWidget(self.jobs)
        self._tables.addWidget(self.periods)
        self.body.addWidget(self.figures)
        self.body.addWidget(self.power)
        self.power.hide()
        self.body.addLayout(row(self.by, self.assets, self._note, None, self.export, spacing_px=4 * HALF_PX))
        self.body.addWidget(self._plot)
        self.body.addWidget(self._tables, 1)

    def _show_earnings(self, entries: list[dict[str, Any]]) -> None:
        self._entries = entries
        self._several = any(entry["asset"] != Asset.USDC.value for entry in entries)
        full = len(entries) >= EARNINGS_LISTED_MAX
        self._note.setText(
            tr("Only the newest {count} jobs are counted.", count=len(entries)) if full else ""
        )
        if not entries:
            self.show_empty(tr("Nothing earned yet. Pay shows up here once a job has run."))
            return
        self._show_chosen()
        self.show_content()

    def _show_power(self, found: dict[str, Any]) -> None:
        self.power.setText(power_line(found.get("electricity")))
        self.power.setVisible(bool(self.power.text()))

    def _show_chosen(self) -> None:
        by = self.by.key()
        self.assets.setVisible(self._several and by != _BY_JOB)
        self._plot.setVisible(by != _BY_JOB)
        self._tables.setCurrentIndex(0 if by == _BY_JOB else 1)
        if by == _BY_JOB:
            self.jobs.set_rows([earned_row(entry) for entry in self._entries])
            return
        asset = Asset(self.assets.key())
        found = periods_of(self._entries, By(by))
        self.bars.set_bars(bars(found, By(by), asset, SYSTEM_CLOCK.now_s()), asset)
        self.periods.set_rows([period_row(period) for period in found if period.asset is asset])

    def _choose_by(self, key: str) -> None:
        self.by.show_key(key)
        self._show_chosen()

    def _choose_asset(self, key: str) -> None:
        self.assets.show_key(key)
        self._show_chosen()

    def _periods_csv(self, by: By) -> str:
        return periods_csv(by, periods_of(self._entries, by))

    def _ask_where(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, tr("Save as CSV"), f"earnings-by-{self.by.key()}.csv", tr("Table (*.csv)")
        )
        if name:
            self.save_to(Path(name))

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
