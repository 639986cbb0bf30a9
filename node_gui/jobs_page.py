"""The jobs that this node has run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.states import Look
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.words import time_text, tr
from node_gui.attempts import AttemptRow, attempt_row, how_far
from node_gui.earned import EarnedRow, earned_row
from node_gui.job_page import JobPage
from p2p.core.errors import CyxWizError
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.core.money import format_amount

_EVERY_S = 1.0
_EARNINGS_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class PaidRow:
    """An attempt with what its job earned, if anything is known of that."""

    attempt: AttemptRow
    earned: EarnedRow | None

    @property
    def key(self) -> str:
        return self.attempt.key

    @property
    def payout(self) -> str:
        return "" if self.earned is None else format_amount(self.earned.net_units, self.earned.asset)


def _look(row: PaidRow) -> Look:
    return row.attempt.look


def columns() -> tuple[Column[PaidRow], ...]:
    """What the table shows of an attempt."""
    return (
        Column(tr("State"), lambda r: r.attempt.look.word, look=_look, width_px=184),
        Column(tr("Name"), lambda r: r.attempt.title, stretch=True),
        Column(tr("Progress"), lambda r: how_far(r.attempt)[0], lambda r: r.attempt.run_seconds,
               width_px=200),
        Column(tr("Taken"), lambda r: time_text(r.attempt.accepted_at_s),
               lambda r: r.attempt.accepted_at_s, width_px=160),
        Column(tr("Earned"), lambda r: r.payout,
               lambda r: -1 if r.earned is None else r.earned.net_units, numeric=True, width_px=152),
    )  # fmt: skip


class JobsPage(Page):
    """Every attempt, the newest first, live. Enter opens one."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(tr("Jobs"), "briefcase-outline")
        self._frame = frame
        self._jobs: list[dict[str, Any]] = []
        self._earned: dict[str, EarnedRow] = {}
        self.table: Table[PaidRow] = Table(tr("Jobs"), columns(), sort_by=3, descending=True)
        self.table.opened.connect(self._open)
        self.body.addWidget(self.table.search_field(tr("Search jobs")))
        self.body.addWidget(self.table, 1)
        self.show_loading(tr("Loading this node's jobs"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S)
        self._feed.item.connect(self._show_jobs)
        self._feed.failed.connect(self._show_problem)
        # What was earned is the coordinator's to say: while it is away the jobs are shown without.
        pay = frame.link.poll(self, "earnings", every_s=_EARNINGS_EVERY_S, limit=JOBS_LISTED_MAX)
        pay.item.connect(self._take_earnings)

    def reload(self) -> None:
        self._feed.refresh()

    def _show_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self._jobs = jobs
        self._show_rows()
        if jobs:
            self.show_content()
        else:
            self.show_empty(tr("This node has not run a job yet."))

    def _take_earnings(self, entries: list[dict[str, Any]]) -> None:
        self._earned = {entry["job_id"]: earned_row(entry) for entry in entries}
        self._show_rows()

    def _show_rows(self) -> None:
        newest: set[str] = set()  # of several attempts the last one is paid
        rows = []
        for attempt in map(attempt_row, self._jobs):
            earned = None if attempt.job_id in newest else self._earned.get(attempt.job_id)
            newest.add(attempt.job_id)
            rows.append(PaidRow(attempt, earned))
        self.table.set_rows(rows)

    def _open(self, row: PaidRow) -> None:
        self._frame.open_page(JobPage(self._frame, row.key, row.attempt.title))

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
