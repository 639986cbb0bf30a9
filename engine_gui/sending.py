"""From a filled-in form to a job: files are read, terms signed, the person agrees, the deposit is locked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from engine_gui.cost_model import refund_words, review_pairs
from gui_kit.dialogs import Confirm
from gui_kit.feed import Feed
from gui_kit.frame import Frame
from gui_kit.progress import Progress
from gui_kit.words import amount_text, clean, tr
from p2p.core.errors import CyxWizError
from p2p.core.money import Asset

Json = dict[str, Any]


class Sending(QObject):
    """One at a time. ``changed``: :attr:`is_busy` is another; ``failed`` comes with what went wrong."""

    changed = pyqtSignal()
    failed = pyqtSignal(object)

    def __init__(self, frame: Frame, page: QWidget, open_job: Callable[[str], None]) -> None:
        super().__init__(page)
        self._frame = frame
        self._page = page
        self._open_job = open_job
        self._plan: Feed | None = None
        self.review: Confirm | None = None
        self.is_busy = False
        self.progress = Progress(tr("Reading your files"))
        self.progress.cancelled.connect(self.cancel)

    def begin(self, params: Json) -> None:
        """Package it and get signed terms; nothing is paid yet."""
        if self.is_busy:
            return
        self._set_busy(True)
        self._plan = self._frame.link.follow(self._page, "plan", every=True, **params)
        self._plan.item.connect(self._on_item)
        self._plan.failed.connect(self._on_failure)

    def cancel(self) -> None:
        """Stop before there is anything to agree to."""
        self._end()

    # -- inside

    def _on_item(self, item: Json) -> None:
        if "progress" in item:
            self.progress.set_bytes(*item["progress"])
            return
        if self._plan is not None:
            self._plan.stop()
            self._plan = None
        self.progress.end()
        self._ask(item["plan"])

    def _ask(self, plan: Json) -> None:
        amount = amount_text(plan["deposit_units"], Asset(plan["asset"]))
        words = tr("{amount} are locked in escrow now. {rule}", amount=amount, rule=refund_words())
        self.review = dialog = Confirm(
            self._page,
            tr("Send {name}?", name=clean(plan["name"])),
            words,
            review_pairs(plan),
            yes=tr("Lock {amount} and send", amount=amount),
            no=tr("Not yet"),
        )
        dialog.accepted.connect(lambda: self._start(plan))
        dialog.rejected.connect(lambda: self._discard(plan))
        dialog.open()

    def _start(self, plan: Json) -> None:
        self.review = None
        call = self._frame.link.call(self._page, "start", job=plan["job_id"])
        call.then(self._on_started, self._on_failure)

    def _discard(self, plan: Json) -> None:
        self.review = None
        self._end()
        self._frame.link.call(self._page, "discard", job=plan["job_id"]).then(
            lambda _: None, self.failed.emit
        )

    def _on_started(self, job: Json) -> None:
        self._end()
        self._open_job(job["job_id"])

    def _on_failure(self, error: CyxWizError) -> None:
        self._end()
        self.failed.emit(error)

    def _end(self) -> None:
        if self._plan is not None:
            self._plan.stop()
            self._plan = None
        self.progress.end()
        self._set_busy(False)

    def _set_busy(self, busy: bool) -> None:
        self.is_busy = busy
        self.changed.emit()
