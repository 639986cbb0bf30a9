"""The jobs of this engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.states import JOB_STATES, Look, look
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.words import short_id, time_text, tr
from p2p.core.errors import CyxWizError
from p2p.core.money import Asset, format_amount

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as a row of the table."""

    key: str
    name: str
    state: str
    gpu: str
    created_at_s: float
    used_units: int
    asset: Asset


def job_row(job: dict[str, Any]) -> JobRow:
    """From an item of the command ``jobs``."""
    return JobRow(
        job["job_id"],
        job["name"],
        job["state"],
        job["gpu_class"] or job["gpu_type"],
        job["created_at_s"],
        job["used_units"],
        Asset(job["asset"]),
    )


def _look(row: JobRow) -> Look:
    return look(JOB_STATES, row.state)


def columns() -> tuple[Column[JobRow], ...]:
    """What the table shows of a job."""
    return (
        Column(tr("State"), lambda r: _look(r).word, look=_look, width_px=180),
        Column(tr("Job"), lambda r: short_id(r.key), width_px=120),
        Column(tr("Name"), lambda r: r.name, stretch=True),
        Column(tr("GPU"), lambda r: r.gpu, width_px=96),
        Column(tr("Sent"), lambda r: time_text(r.created_at_s), lambda r: r.created_at_s, width_px=160),
        Column(tr("Cost so far"), lambda r: format_amount(r.used_units, r.asset), lambda r: r.used_units,
               numeric=True, width_px=152),
    )  # fmt: skip


class JobsPage(Page):
    """Every job, the newest first, live."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(tr("Jobs"), "briefcase-outline")
        self._table: Table[JobRow] = Table(tr("Jobs"), columns(), sort_by=4, descending=True)
        self.body.addWidget(self._table.search_field(tr("Search jobs")))
        self.body.addWidget(self._table, 1)
        self.show_loading(tr("Loading your jobs"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S)
        self._feed.item.connect(self._show_jobs)
        self._feed.failed.connect(self._show_problem)

    def reload(self) -> None:
        self._feed.refresh()

    def _show_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self._table.set_rows([job_row(job) for job in jobs])
        if jobs:
            self.show_content()
        else:
            self.show_empty(tr("You have not sent a job yet."))

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
