"""One attempt: how far it is, what its sandbox allows, what it pays, and how to stop it."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QProgressBar

from gui_kit.boxes import Card, KeyValues, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.dialogs import Confirm, ask
from gui_kit.frame import Frame
from gui_kit.labels import Label, StateLabel
from gui_kit.page import Page
from gui_kit.states import PAYS, look
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import duration_text, time_text, tr
from node_gui.attempts import AttemptRow, attempt_row, how_far, limits_of
from node_gui.earned import earned_row
from p2p.core.errors import CyxWizError
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.core.money import format_amount

_EVERY_S = 1.0
_EARNINGS_EVERY_S = 15.0
_STEPS = 1000


class JobPage(Page):
    """``key``: ``job/epoch``."""

    def __init__(self, frame: Frame, key: str, name: str) -> None:
        self.stop = Button(tr("Stop this job"), "danger", "stop-circle-outline")
        super().__init__(name, "briefcase-outline", action=self.stop, scrolls=True)
        self._frame, self._key = frame, key
        self._attempt: AttemptRow | None = None
        self.state, self.far = StateLabel(), Label("", "muted")
        self.bar = QProgressBar()
        self.detail = Label("", wrap=True, selectable=True)
        self.facts = KeyValues(
            (tr("Job"), CopyLabel(key.partition("/")[0], tr("the job's id"))),
            (tr("Attempt"), key.partition("/")[2]),
            (tr("Taken"), "–"),
            (tr("Started"), "–"),
            (tr("Ended"), "–"),
            (tr("Log"), "–"),
        )
        self.pay_state, self.pay = StateLabel(), Label("", "title")
        self.transaction = CopyLabel("", tr("the transaction"))
        self.pay_facts = KeyValues(
            (tr("Fee"), "–"), (tr("Time paid"), "–"), (tr("Transaction"), self.transaction)
        )
        self._limits = Card(tr("What its sandbox allows"))
        self._shown_limits: list[tuple[str, str]] = []
        self._build()
        self.stop.clicked.connect(self.ask_to_stop)
        self.show_loading(tr("Loading the job"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S, limit=JOBS_LISTED_MAX)
        self._feed.item.connect(self._take_jobs)
        self._feed.failed.connect(lambda error: self.show_error(error, self.reload))
        pay = frame.link.poll(self, "earnings", every_s=_EARNINGS_EVERY_S, limit=JOBS_LISTED_MAX)
        pay.item.connect(self._take_earnings)

    def reload(self) -> None:
        self._feed.refresh()

    def ask_to_stop(self) -> Confirm:
        """Say what it does, then do it."""
        return ask(
            self,
            tr("Stop this job?"),
            tr("The buyer's script is ended here and now and its results are lost. The job goes back to the "
               "coordinator, which looks for another node."),
            [(tr("You earn"), tr("nothing for it")), (tr("The buyer pays"), tr("nothing for this attempt"))],
            yes=tr("Stop the job"),
            danger=True,
            then=self._stop,
        )  # fmt: skip

    # -- inside

    def _build(self) -> None:
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.hide()
        self.detail.hide()
        self.body.addWidget(Card("", self.state, self.bar, self.far, self.detail))
        self._pay_card = Card(tr("Pay"), self.pay, self.pay_state, self.pay_facts)
        self._pay_card.hide()
        self.body.addWidget(self._pay_card)
        attempt = Card(tr("The attempt"), self.facts)
        beside = row(self._limits, attempt, spacing_px=MARGIN_PX)
        for card in (self._limits, attempt):
            beside.setStretchFactor(card, 1)
            beside.setAlignment(card, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(beside)
        self.body.addStretch(1)

    def _take_jobs(self, jobs: list[dict[str, Any]]) -> None:
        job = next((job for job in jobs if f"{job['job_id']}/{job['epoch']}" == self._key), None)
        if job is None:
            self.stop.hide()
            self.show_empty(tr("The agent does not list this attempt any more."))
            return
        self._attempt = attempt = attempt_row(job)
        self.set_title(attempt.title)
        self.state.set_look(attempt.look)
        words, share = how_far(attempt)
        self.far.setText(words)
        self.far.setVisible(bool(words))
        self.bar.setVisible(share is not None)
        self.bar.setValue(int(_STEPS * (share or 0)))
        self.detail.setText(attempt.detail)
        self.detail.setVisible(bool(attempt.detail))
        self.stop.setEnabled(attempt.is_live)
        self._show_facts(job)
        self._show_limits(limits_of(job, self._frame.link.status))
        self.show_content()

    def _show_facts(self, job: dict[str, Any]) -> None:
        for name, at_s in (
            (tr("Taken"), job["accepted_at_s"]),
            (tr("Started"), job["started_at_s"]),
            (tr("Ended"), job["finished_at_s"]),
        ):
            self.facts.set(name, time_text(at_s) if at_s else "–")
        self.facts.set(tr("Log"), tr("{count} bytes", count=f"{job['log_bytes']:,}"))

    def _show_limits(self, pairs: list[tuple[str, str]]) -> None:
        if pairs == self._shown_limits:
            return
        self._shown_limits = pairs
        old = self._limits.body.itemAt(1)
        if old is not None and (widget := old.widget()) is not None:
            self._limits.body.removeWidget(widget)
            widget.deleteLater()
        self._limits.body.addWidget(KeyValues(*pairs))

    def _take_earnings(self, entries: list[dict[str, Any]]) -> None:
        found = next((entry for entry in entries if entry["job_id"] == self._key.partition("/")[0]), None)
        self._pay_card.setVisible(found is not None)
        if found is None:
            return
        earned = earned_row(found)
        self.pay.setText(format_amount(earned.net_units, earned.asset))
        self.pay_state.set_look(look(PAYS, earned.pay))
        self.pay_facts.set(tr("Fee"), format_amount(earned.fee_units, earned.asset))
        self.pay_facts.set(tr("Time paid"), duration_text(earned.used_seconds))
        self.transaction.set_text(earned.signature)
        self.pay_facts.show_pair(tr("Transaction"), bool(earned.signature))

    def _stop(self) -> None:
        self.stop.set_busy(True)
        call = self._frame.link.call(self, "stop_job", job=self._key.partition("/")[0])
        call.then(self._stopped, self._not_stopped)

    def _stopped(self, answer: object) -> None:
        self._frame.toasts.show(tr("The job is being stopped."))
        self._feed.refresh()

    def _not_stopped(self, error: CyxWizError) -> None:
        self.stop.set_busy(False)
        self._frame.toasts.show(" ".join(error.lines()), "danger")
