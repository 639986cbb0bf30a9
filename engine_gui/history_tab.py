"""What became of the money: the wallet's history as a table, as CSV, with ways to job and explorer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog, QWidget

from engine_gui.account import CLI, Account
from engine_gui.wallet_model import HistoryRow, history_rows
from gui_kit.boxes import column, row
from gui_kit.buttons import Button
from gui_kit.child import Child
from gui_kit.listing import Listing
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.tokens import GRID_PX
from gui_kit.words import time_text, tr
from p2p.core.errors import CyxWizError

_EVERY_S = 30
_CSV_LINES = "1000"


def columns() -> tuple[Column[HistoryRow], ...]:
    """What the table shows of an entry."""
    return (
        Column(tr("When"), lambda r: time_text(r.at_s) if r.at_s else "", lambda r: r.at_s, width_px=168),
        Column(tr("What"), lambda r: r.what, width_px=168),
        Column(tr("Amount"), lambda r: r.amount, lambda r: r.units, numeric=True, width_px=160),
        Column(tr("In dollars"), lambda r: r.dollars, lambda r: r.usd_micros, numeric=True, width_px=104),
        Column(tr("Job"), lambda r: r.job, stretch=True),
        Column(tr("In the ledger"), lambda r: r.ledger, width_px=144),
    )


class HistoryTab(QWidget):
    """Newest first."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account
        self.table: Table[HistoryRow] = Table(tr("History"), columns(), sort_by=0, descending=True)
        self._listing = Listing(self.table, tr("Loading the history"))
        self.job = Button(tr("Open the job"), "flat", "briefcase-outline")
        self.explorer = Button(tr("Open in the explorer"), "flat", "open-in-new")
        self.save = Button(tr("Save as CSV"), "flat", "content-save-outline")
        self.setLayout(
            column(self._listing, row(self.job, self.explorer, None, self.save), spacing_px=GRID_PX)
        )
        self.job.clicked.connect(self._open_job)
        self.explorer.clicked.connect(self._open_explorer)
        self.save.clicked.connect(self._choose_file)
        self.table.chosen.connect(self._on_chosen)
        self.table.opened.connect(lambda _: self._open_job())
        self._on_chosen(None)
        self._feed = account.frame.link.poll(self, "wallet_history", every_s=_EVERY_S)
        self._feed.item.connect(self._show)
        self._feed.failed.connect(self._fail)
        account.changes.money.connect(self.refresh)

    def refresh(self) -> None:
        """Ask anew."""
        self._feed.refresh()

    def _show(self, answer: list[dict[str, Any]]) -> None:
        self.table.set_rows(history_rows(answer))
        nothing = tr("Nothing has moved yet. Your first deposit will be the first line.")
        self._listing.say("" if answer else nothing)
        for part in (self.job, self.explorer, self.save):
            part.setVisible(bool(answer))

    def _fail(self, error: CyxWizError) -> None:
        self._listing.warn("\n".join(error.lines()))

    def _on_chosen(self, found: HistoryRow | None) -> None:
        self.job.setEnabled(found is not None and bool(found.job_id))
        self.explorer.setEnabled(found is not None and bool(found.explorer))

    def _open_job(self) -> None:
        found = self.table.current()
        if found is not None and found.job_id:
            self._account.open_job(found.job_id)

    def _open_explorer(self) -> None:
        found = self.table.current()
        if found is not None and found.explorer:
            QDesktopServices.openUrl(QUrl(found.explorer))

    # -- CSV, by the command that makes it

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, tr("Save the history"), "cyxwiz-history.csv", tr("CSV (*.csv)")
        )
        if path:
            self.write_csv(Path(path))

    def write_csv(self, path: Path) -> None:
        """Write the history into a file."""
        self.save.set_busy(True)
        arguments = ("wallet", "history", "--csv", "--limit", _CSV_LINES)
        child = Child(self, self._account.home.root, CLI, arguments)
        child.succeeded.connect(lambda text: self._write(path, text))
        child.failed.connect(self._not_written)

    def _write(self, path: Path, text: str) -> None:
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            reason = error.strerror or str(error)
            words = tr("{path} cannot be written: {reason}.", path=path, reason=reason)
            self._not_written(CyxWizError("not_written", words, hint=tr("Choose another place.")))
            return
        self.save.set_busy(False)
        self._account.frame.toasts.show(tr("The history is in {path}.", path=path))

    def _not_written(self, error: CyxWizError) -> None:
        self.save.set_busy(False)
        self._account.tell(error)
