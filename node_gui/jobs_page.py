"""The jobs that this node has run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.states import NODE_PHASES, Look, look
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.words import duration_text, short_id, time_text, tr
from p2p.core.errors import CyxWizError

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as a row of the table."""

    key: str
    job_id: str
    name: str
    phase: str
    accepted_at_s: float
    run_seconds: float
    detail: str


def attempt_row(job: dict[str, Any]) -> AttemptRow:
    """From an item of the answer to ``jobs``."""
    return AttemptRow(
        f"{job['job_id']}/{job['epoch']}",
        job["job_id"],
        job["name"],
        job["phase"],
        job["accepted_at_s"],
        job["run_seconds"],
        job["detail"],
    )


def _look(row: AttemptRow) -> Look:
    return look(NODE_PHASES, row.phase)


def columns() -> tuple[Column[AttemptRow], ...]:
    """What the table shows of an attempt."""
    return (
        Column(tr("State"), lambda r: _look(r).word, look=_look, width_px=200),
        Column(tr("Job"), lambda r: short_id(r.job_id), width_px=120),
        Column(tr("Name"), lambda r: r.name, stretch=True),
        Column(tr("Taken"), lambda r: time_text(r.accepted_at_s), lambda r: r.accepted_at_s, width_px=160),
        Column(tr("Ran"), lambda r: duration_text(r.run_seconds), lambda r: r.run_seconds, numeric=True,
               width_px=96),
    )  # fmt: skip


class JobsPage(Page):
    """Every attempt, the newest first, live."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(tr("Jobs"), "briefcase-outline")
        self._table: Table[AttemptRow] = Table(tr("Jobs"), columns(), sort_by=3, descending=True)
        self.body.addWidget(self._table.search_field(tr("Search jobs")))
        self.body.addWidget(self._table, 1)
        self.show_loading(tr("Loading this node's jobs"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S)
        self._feed.item.connect(self._show_jobs)
        self._feed.failed.connect(self._show_problem)

    def reload(self) -> None:
        self._feed.refresh()

    def _show_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self._table.set_rows([attempt_row(job) for job in jobs])
        if jobs:
            self.show_content()
        else:
            self.show_empty(tr("This node has not run a job yet."))

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
