"""The jobs that this node has run."""

from __future__ import annotations

from typing import Any

from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.words import time_text, tr
from node_gui.attempts import AttemptRow, attempt_row, how_far
from node_gui.job_page import JobPage
from p2p.core.errors import CyxWizError

_EVERY_S = 1.0


def columns() -> tuple[Column[AttemptRow], ...]:
    """What the table shows of an attempt."""
    return (
        Column(tr("State"), lambda r: r.look.word, look=lambda r: r.look, width_px=176),
        Column(tr("Name"), lambda r: r.title, stretch=True),
        Column(tr("Progress"), lambda r: how_far(r)[0], lambda r: r.run_seconds, width_px=216),
        Column(tr("Taken"), lambda r: time_text(r.accepted_at_s), lambda r: r.accepted_at_s, width_px=152),
        Column(tr("Earned"), lambda r: r.earned, lambda r: r.net_units or 0, look=lambda r: r.pay_look,
               width_px=208),
    )  # fmt: skip


class JobsPage(Page):
    """Every attempt, the newest first, live. Enter opens one."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(tr("Jobs"), "briefcase-outline")
        self._frame = frame
        self.table: Table[AttemptRow] = Table(tr("Jobs"), columns(), sort_by=3, descending=True)
        self.table.opened.connect(self._open)
        self.body.addWidget(self.table.search_field(tr("Search jobs")))
        self.body.addWidget(self.table, 1)
        self.show_loading(tr("Loading this node's jobs"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S)
        self._feed.item.connect(self._show_jobs)
        self._feed.failed.connect(self._show_problem)

    def reload(self) -> None:
        self._feed.refresh()

    def _show_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self.table.set_rows([attempt_row(job) for job in jobs])
        if jobs:
            self.show_content()
        else:
            self.show_empty(tr("This node has not run a job yet."))

    def _open(self, row: AttemptRow) -> None:
        self._frame.open_page(JobPage(self._frame, row.key, row.title))

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
