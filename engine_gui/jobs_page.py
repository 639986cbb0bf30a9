"""The jobs of this engine."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QComboBox

from engine_gui.job_actions import JobActions
from engine_gui.job_model import (
    JobRow,
    can_cancel,
    cost_of_escrow,
    filters,
    job_row,
    percent,
    row_look,
    short_peer,
    time_of_limit,
)
from gui_kit.boxes import row
from gui_kit.buttons import Button, IconButton
from gui_kit.frame import Frame
from gui_kit.labels import Label
from gui_kit.page import Page
from gui_kit.table import Table
from gui_kit.table_bar import BarCells
from gui_kit.table_model import Column
from gui_kit.words import tr
from p2p.core.errors import CyxWizError

_EVERY_S = 1.0
_PROGRESS = 3
_FILTER_WIDTH_PX = 176


def columns() -> tuple[Column[JobRow], ...]:
    """What the table shows of a job; first those under way, of these the newest."""
    return (
        Column(tr("State"), lambda r: row_look(r).word, lambda r: (r.final, -r.created_at_s), look=row_look,
               width_px=176),
        Column(tr("Name"), lambda r: r.name, stretch=True),
        Column(tr("GPU"), lambda r: r.gpu, width_px=80),
        Column(tr("Progress"), lambda r: percent(r.fraction), lambda r: r.fraction or 0.0, numeric=True,
               width_px=104),
        Column(tr("Time / limit"), lambda r: time_of_limit(r.used_seconds, r.timeout_s),
               lambda r: r.used_seconds, numeric=True, width_px=128),
        Column(tr("Cost of escrow"), lambda r: cost_of_escrow(r.used_units, r.deposit_units, r.asset),
               lambda r: r.used_units, numeric=True, width_px=208),
        Column(tr("Node"), lambda r: short_peer(r.node), width_px=84),
    )  # fmt: skip


class JobsPage(Page):
    """Every job, live. ``new_job`` opens the form for one."""

    def __init__(self, frame: Frame, actions: JobActions, new_job: Button) -> None:
        super().__init__(tr("Jobs"), "briefcase-outline", action=new_job)
        self._actions = actions
        self._new_job = new_job
        self.table: Table[JobRow] = Table(tr("Jobs"), columns())
        BarCells(self.table, _PROGRESS, lambda r: r.fraction)
        self.search = self.table.search_field(tr("Search jobs"))
        self.filter = QComboBox()
        self.more = IconButton("dots-horizontal", tr("Actions for the selected job"))
        self.count = Label("", "muted")
        self._build()
        self.show_loading(tr("Loading your jobs"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S)
        self._feed.item.connect(self._show_jobs)
        self._feed.failed.connect(self._show_problem)

    def reload(self) -> None:
        self._feed.refresh()

    def _build(self) -> None:
        self.filter.setAccessibleName(tr("Which jobs"))
        self.filter.setMinimumWidth(_FILTER_WIDTH_PX)
        for word, accepts in filters():
            self.filter.addItem(word, accepts)
        self.filter.currentIndexChanged.connect(self._narrow)
        self.search.textChanged.connect(self._show_count)
        self.more.setEnabled(False)
        self.more.clicked.connect(self._open_menu_below)
        bar = row(self.search, self.filter, self.count, self.more)
        bar.setStretch(0, 1)
        self.body.addLayout(bar)
        self.body.addWidget(self.table, 1)
        self.table.opened.connect(lambda job: self._actions.go.open_job(job.key))
        self.table.chosen.connect(lambda job: self.more.setEnabled(job is not None))
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        for keys, do in (
            (QKeySequence(QKeySequence.StandardKey.Find), self.search.setFocus),
            (QKeySequence(QKeySequence.StandardKey.New), self._new_job.click),
            (QKeySequence("Ctrl+D"), self._duplicate),
            (QKeySequence(QKeySequence.StandardKey.Delete), self._cancel),
        ):
            shortcut = QShortcut(keys, self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(do)

    # -- what comes

    def _show_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self.table.set_rows([job_row(job) for job in jobs])
        self._show_count()
        if jobs:
            self.show_content()
        else:
            self.show_empty(tr("You have not sent a job yet."), tr("New job"), self._new_job.click)

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)

    def _show_count(self) -> None:
        shown, held = self.table.shown.rowCount(), self.table.rows.rowCount()
        self.count.setText(
            _count_text(held) if shown == held else tr("{shown} of {all}", shown=shown, all=held)
        )

    # -- what is done

    def _narrow(self) -> None:
        self.table.set_filter(self.filter.currentData())
        self._show_count()

    def _open_menu(self, at: QPoint) -> None:
        viewport, job = self.table.viewport(), self.table.current()
        if job is not None and viewport is not None:
            self._actions.menu(self, job).popup(viewport.mapToGlobal(at))

    def _open_menu_below(self) -> None:
        job = self.table.current()
        if job is not None:
            self._actions.menu(self, job).popup(self.more.mapToGlobal(QPoint(0, self.more.height())))

    def _duplicate(self) -> None:
        job = self.table.current()
        if job is not None:
            self._actions.go.duplicate(job.key)

    def _cancel(self) -> None:
        job = self.table.current()
        if job is not None and can_cancel(job):
            self._actions.cancel(self, job.key)


def _count_text(count: int) -> str:
    return tr("1 job") if count == 1 else tr("{count} jobs", count=count)
