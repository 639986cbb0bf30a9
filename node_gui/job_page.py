"""One attempt: how far it is, what its sandbox allows, what it pays, and how to stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QProgressBar

from gui_kit.boxes import Card, KeyValues, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.dialogs import Confirm, ask
from gui_kit.frame import Frame
from gui_kit.labels import Label, StateLabel
from gui_kit.page import Page
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import bytes_text, time_text, tr
from node_gui.attempts import AttemptRow, attempt_row, dispute_words, how_far, limits_of
from p2p.core.errors import CyxWizError
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.core.money import format_amount

_EVERY_S = 1.0
_STEPS = 1000


class JobPage(Page):
    """``key``: ``job/epoch``, or only the job for its newest attempt."""

    def __init__(self, frame: Frame, key: str, name: str) -> None:
        self.stop = Button(tr("Stop this job"), "danger", "stop-circle-outline")
        super().__init__(name, "briefcase-outline", action=self.stop, scrolls=True)
        self._frame, self._key = frame, key
        self._stop_means = ""
        self.state, self.far = StateLabel(), Label("", "muted")
        self.bar = QProgressBar()
        self.detail = Label("", wrap=True, selectable=True)
        self.facts = KeyValues(
            (tr("Job"), CopyLabel(key.partition("/")[0], tr("the job's id"))),
            (tr("Attempt"), "–"),
            (tr("Taken"), "–"),
            (tr("Started"), "–"),
            (tr("Ended"), "–"),
            (tr("Log"), "–"),
        )
        self.pay_state, self.pay = StateLabel(), Label("", "title")
        self.pay_facts = KeyValues((tr("Rate"), "–"), (tr("Fee"), "–"))
        self._limits = Card(tr("What its sandbox allows"))
        self._shown_limits: list[tuple[str, str]] = []
        self._build()
        self.stop.clicked.connect(self.ask_to_stop)
        self.show_loading(tr("Loading the job"))
        self._feed = frame.link.poll(self, "jobs", every_s=_EVERY_S, limit=JOBS_LISTED_MAX)
        self._feed.item.connect(self._take_jobs)
        self._feed.failed.connect(lambda error: self.show_error(error, self.reload))

    def reload(self) -> None:
        self._feed.refresh()

    def ask_to_stop(self) -> Confirm:
        """Say what it does, then do it."""
        return ask(
            self,
            tr("Stop this job?"),
            tr("The buyer's script is ended here and now.") + " " + self._stop_means,
            yes=tr("Stop the job"),
            danger=True,
            then=self._stop,
        )

    # -- inside

    def _build(self) -> None:
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.hide()
        self.detail.hide()
        self.body.addWidget(Card("", self.state, self.bar, self.far, self.detail))
        attempt = Card(tr("The attempt"), self.facts)
        pay = Card(tr("Pay"), self.pay, self.pay_state, self.pay_facts)
        for cards in ((pay, self._limits), (attempt,)):
            beside = row(*cards, spacing_px=MARGIN_PX)
            for card in cards:
                beside.setStretchFactor(card, 1)
                beside.setAlignment(card, Qt.AlignmentFlag.AlignTop)
            self.body.addLayout(beside)
        self.body.addStretch(1)

    def _take_jobs(self, jobs: list[dict[str, Any]]) -> None:
        job = next(
            (job for job in jobs if self._key in (job["job_id"], f"{job['job_id']}/{job['epoch']}")), None
        )
        if job is None:
            self.stop.hide()
            self.show_empty(tr("The agent does not list this attempt any more."))
            return
        attempt = attempt_row(job)
        self._stop_means = job["stop_means"] or ""
        self.set_title(attempt.title)
        self.state.set_look(attempt.look)
        words, share = how_far(attempt)
        self.far.setText(words)
        self.far.setVisible(bool(words))
        self.bar.setVisible(share is not None)
        self.bar.setValue(int(_STEPS * (share or 0)))
        detail = "\n".join(text for text in (attempt.detail, dispute_words(job)) if text)
        self.detail.setText(detail)
        self.detail.setVisible(bool(detail))
        self.stop.setEnabled(attempt.is_live)
        self._show_pay(attempt, job["pay"])
        self._show_facts(job)
        self._show_limits(limits_of(job))
        self.show_content()

    def _show_pay(self, attempt: AttemptRow, pay: Mapping[str, Any]) -> None:
        self.pay.setText(attempt.earned)
        found = attempt.pay_look
        self.pay_state.setVisible(found is not None)
        if found is not None:
            self.pay_state.set_look(found)
        rate = format_amount(pay["rate_units_per_hour"], attempt.asset)
        self.pay_facts.set(tr("Rate"), tr("{amount} an hour, before the fee", amount=rate))
        fee = "–" if attempt.fee_units is None else format_amount(attempt.fee_units, attempt.asset)
        self.pay_facts.set(tr("Fee"), fee)

    def _show_facts(self, job: Mapping[str, Any]) -> None:
        self.facts.set(tr("Attempt"), str(job["epoch"]))
        for name, at_s in (
            (tr("Taken"), job["accepted_at_s"]),
            (tr("Started"), job["started_at_s"]),
            (tr("Ended"), job["finished_at_s"]),
        ):
            self.facts.set(name, time_text(at_s) if at_s else "–")
        self.facts.set(tr("Log"), bytes_text(job["log_bytes"]))

    def _show_limits(self, pairs: list[tuple[str, str]]) -> None:
        if pairs == self._shown_limits:
            return
        self._shown_limits = pairs
        old = self._limits.body.itemAt(1)
        if old is not None and (widget := old.widget()) is not None:
            self._limits.body.removeWidget(widget)
            widget.deleteLater()
        self._limits.body.addWidget(KeyValues(*pairs))

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


def _is(job: Mapping[str, Any], key: str) -> bool:
    return key in (job["job_id"], f"{job['job_id']}/{job['epoch']}")
