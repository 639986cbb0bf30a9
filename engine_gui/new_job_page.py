"""A new job: the form, what it costs beside it, and the yes to exact numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import QFileDialog

from engine_gui import job_form
from engine_gui.choices import asset_of, free_folder, out_folder
from engine_gui.cost_model import cost_view
from engine_gui.cost_panel import CostPanel
from engine_gui.job_fields import JobFields
from engine_gui.job_form import JobForm
from engine_gui.path_field import dropped_items
from engine_gui.problem_card import ProblemCard
from engine_gui.sending import Sending
from gui_kit.boxes import Scroll, row
from gui_kit.buttons import Button
from gui_kit.feed import Feed
from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.preferences import Preferences
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError, UserError
from p2p.core.limits import CONFIG_MAX_BYTES

_TYPED_MS = 400
"""After the last change, before the agent is asked what it thinks of it."""
_ESTIMATE_S = 5.0
_OFFERS_S = 30.0
_AT_THE_WALLET = ("balance_too_low", "session_too_small", "session_expired", "not_logged_in")
"""What stands in a job's way and is mended on the wallet's page."""
_WORD_CHARS = 24


class NewJobPage(Page):
    """``open_job`` is called with the id of a job that was sent."""

    def __init__(
        self, frame: Frame, open_job: Callable[[str], None], kept: Preferences | None = None
    ) -> None:
        self.send = Button(tr("Review and send"), "primary", "arrow-right")
        super().__init__(tr("New job"), "plus-circle-outline", action=self.send)
        self._frame, self._kept = frame, kept
        self.fields = JobFields()
        self.problem = ProblemCard(_WORD_CHARS)
        self.sending = Sending(frame, self, open_job)
        self.panel = CostPanel(self.sending.progress, self.problem)
        self._measure: Feed | None = None
        self._estimate: Feed | None = None
        self._estimated: dict[str, Any] | None = None
        self._problems: dict[str, str] = {}
        self._looked = False
        self._out = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TYPED_MS)
        self._timer.timeout.connect(self._look)
        both = row(Scroll(self.fields), self.panel, spacing_px=MARGIN_PX)
        both.setStretch(0, 1)
        self.body.addLayout(both, 1)
        self.setAcceptDrops(True)
        self.send.clicked.connect(self._send)
        self.fields.changed.connect(self._on_change)
        self.fields.read_config.connect(self._pick_config)
        self.fields.write_config.connect(self._pick_place)
        self.sending.changed.connect(self._show_action)
        self.sending.failed.connect(self._on_failure)
        self._offers = frame.link.poll(self, "offers", every_s=_OFFERS_S)
        self._offers.item.connect(self._show_classes)
        self._on_change()

    @property
    def is_priced(self) -> bool:
        """Whether all that is typed was looked at, and the cost shown is its cost."""
        return self._looked and self.panel.has_cost

    def reload(self) -> None:
        form = self.fields.form()
        if self._kept is not None and not form.script:
            self.fields.show_form(replace(form, asset=asset_of(self._kept).value))
        self._offers.refresh()
        self._look()

    def fill(self, form: JobForm) -> None:
        """Show a job to be sent, such as one that was sent before."""
        self._out = form.out or self._free_folder(form)
        self.fields.show_form(replace(form, out=self._out))
        self.problem.clear()

    def show_job(self, job: dict[str, Any]) -> None:
        """Fill in what a job of ``show`` was."""
        self.fill(job_form.duplicate_of(job, job.get("request") or {}, ""))

    # -- what the person does

    def _on_change(self) -> None:
        form = self.fields.form()
        if form.script and form.out in ("", self._out):
            self._out = self._free_folder(form)
            if self._out != form.out:
                self.fields.show_form(replace(form, out=self._out))
                return
        self._show_action()
        self._looked = False
        self._timer.start()

    def _send(self) -> None:
        form = self.fields.form()
        missing = job_form.missing(form)
        if missing is not None:
            self.fields.focus(missing[0])
        elif self._problems:
            self.fields.focus(next(name for name in job_form.FIELDS if name in self._problems))
        else:
            self.problem.clear()
            self.sending.begin(job_form.plan_params(form))

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and dropped_items(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        items = dropped_items(event.mimeData()) if event is not None else []
        if event is not None and items:
            event.acceptProposedAction()
            self.take_dropped(items)

    def take_dropped(self, items: list[str]) -> None:
        """Put files, folders and addresses where they belong."""
        form, config = job_form.sort_dropped(self.fields.form(), items, lambda item: Path(item).is_dir())
        self.fields.show_form(form)
        if config:
            self.read_config(config)

    def read_config(self, path: str) -> None:
        """Take the fields of a ``config.json``."""
        try:
            with Path(path).open("rb") as file:
                form = job_form.with_config(self.fields.form(), file.read(CONFIG_MAX_BYTES + 1))
        except OSError as error:
            self.problem.show_error(_unreadable(path, error))
        except CyxWizError as error:
            self.problem.show_error(error)
        else:
            self.problem.clear()
            self.fields.show_form(form)

    def write_config(self, path: str) -> None:
        """Write the choices as a ``config.json``."""
        try:
            Path(path).write_text(job_form.config_text(self.fields.form()), encoding="utf-8")
        except OSError as error:
            self.problem.show_error(_unreadable(path, error))
        except CyxWizError as error:
            self.problem.show_error(error)
        else:
            self._frame.toasts.show(tr("Written: {path}", path=path))

    def _pick_config(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Read config.json"), "", tr("JSON (*.json)"))
        if path:
            self.read_config(path)

    def _pick_place(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, tr("Write config.json"), "config.json", tr("JSON (*.json)")
        )
        if path:
            self.write_config(path)

    # -- what the agent thinks of it

    def _look(self) -> None:
        """Have the agent look at what there is now, while somebody looks; else it is asked when the page is
        opened."""
        if not self.isVisible():
            return
        form = self.fields.form()
        if self._measure is not None:
            self._measure.stop()
            self._measure = None
        local = job_form.local_problems(form)
        if local:
            self._show_problems(local)
            self._stop_estimate()
            self.panel.show_unknown()
            return
        self._measure = self._frame.link.follow(self, "measure", **job_form.measure_params(form))
        self._measure.item.connect(self._on_measure)
        self._measure.failed.connect(self._on_no_measure)

    def _on_measure(self, item: dict[str, Any]) -> None:
        if "progress" in item:
            self.fields.show_counting(*item["progress"])
            return
        found = job_form.measured(item["measure"])
        self._looked = True
        self.fields.show_measured(found)
        self._show_problems(found.problems)
        if found.config is None:
            self._stop_estimate()
            self.panel.show_unknown()
        else:
            self._ask_estimate(found.config, found.size_bytes)

    def _ask_estimate(self, config: dict[str, Any], input_bytes: int) -> None:
        params = {"overrides": config, "asset": self.fields.form().asset, "input_bytes": input_bytes}
        if params == self._estimated:
            return
        self._stop_estimate()
        self._estimated = params
        self.panel.has_cost = False
        self._estimate = self._frame.link.poll(self, "estimate", every_s=_ESTIMATE_S, **params)
        self._estimate.item.connect(lambda found: self.panel.show_cost(cost_view(found)))
        self._estimate.failed.connect(self.panel.show_error)

    def _stop_estimate(self) -> None:
        if self._estimate is not None:
            self._estimate.stop()
        self._estimate = self._estimated = None

    def _show_problems(self, problems: dict[str, str]) -> None:
        self._problems = problems
        self.fields.show_problems(problems)
        self._show_action()

    def _on_failure(self, error: CyxWizError) -> None:
        if error.code in _AT_THE_WALLET:
            self.problem.show_error(error, tr("Open the wallet"), lambda: self._frame.go_to(tr("Wallet")))
        else:
            self.problem.show_error(error)

    def _on_no_measure(self, error: CyxWizError) -> None:
        self._stop_estimate()
        self.panel.show_error(error)

    def _show_classes(self, offers: list[dict[str, Any]]) -> None:
        self.fields.set_classes(job_form.gpu_classes(offers))

    def _show_action(self) -> None:
        """The button says what stands in its way."""
        missing = job_form.missing(self.fields.form())
        if self.sending.is_busy:
            text = tr("Preparing")
        elif missing is not None:
            text = missing[1]
        elif self._problems:
            text = tr("Mend what is marked")
        else:
            text = tr("Review and send")
        self.send.set_busy(self.sending.is_busy)
        self.send.setText(text)
        self.send.setAccessibleName(text)

    def _free_folder(self, form: JobForm) -> str:
        base = None if self._kept is None else out_folder(self._kept)
        if base is not None and form.script:
            return str(free_folder(base, Path(form.script).stem))
        return job_form.free_folder(form.script, lambda path: path.exists())


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(
        "unreadable",
        tr("{path} cannot be used: {why}.", path=path, why=error.strerror or error),
        tr("The form is as it was."),
    )
