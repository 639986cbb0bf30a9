"""What can be done to a job from the list and from its own page, in one place: cancel, add time, fetch, copy,
send again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog, QMenu, QWidget

from engine_gui.job_model import JobRow, can_cancel, can_fetch, cancel_terms
from engine_gui.topup_dialog import TopUpDialog
from engine_gui.topup_model import can_top_up
from gui_kit.dialogs import ask
from gui_kit.frame import Frame
from gui_kit.icons import icon
from gui_kit.labels import copy_text
from gui_kit.words import clean, tr
from p2p.core.durations import format_duration
from p2p.core.errors import CyxWizError


@dataclass(frozen=True, slots=True)
class Navigation:
    """Where to go from a job: to its page, and to the form filled in with what it was."""

    open_job: Callable[[str], None]
    duplicate: Callable[[str], None]


class JobActions:
    """Asks where money or work is at stake, then tells the agent; what comes of it is told in the corner of
    the window."""

    def __init__(self, frame: Frame, go: Navigation) -> None:
        self._frame = frame
        self.go = go

    def menu(self, parent: QWidget, job: JobRow, *, with_open: bool = True) -> QMenu:
        """Everything that can be done to ``job``; what cannot be done now is grey."""
        menu = QMenu(parent)
        menu.setAccessibleName(tr("Actions for {name}", name=clean(job.name)))
        entries: list[tuple[str, str, Callable[[], object], bool]] = [
            (tr("Open"), "arrow-right", lambda: self.go.open_job(job.key), with_open),
            (tr("Show its folder"), "folder-outline", lambda: self.open_folder(job.out), job.fetched),
            (
                tr("Copy its results to …"),
                "tray-arrow-down",
                lambda: self.fetch(parent, job.key),
                can_fetch(job),
            ),
            (tr("Send again as a new job"), "content-duplicate", lambda: self.go.duplicate(job.key), True),
            (tr("Copy its id"), "content-copy", lambda: self.copy_id(job.key), True),
            (tr("Add time …"), "timer-plus-outline", lambda: self.add_time(parent, job.key), can_top_up(job)),
            (tr("Cancel …"), "cancel", lambda: self.cancel(parent, job.key), can_cancel(job)),
        ]
        for word, icon_name, do, possible in entries:
            if word == tr("Open") and not with_open:
                continue
            action = menu.addAction(icon(icon_name, "text"), word)
            if action is not None:
                action.setEnabled(possible)
                action.triggered.connect(lambda _checked, do=do: do())
        return menu

    def copy_id(self, job_id: str) -> None:
        """Put the whole id on the clipboard."""
        self._frame.toasts.show(tr("{copied}: {id}", copied=copy_text(job_id), id=job_id))

    def open_folder(self, folder: str) -> None:
        """Show a folder of this computer in the desktop's own program for that."""
        if not Path(folder).is_dir():
            self._frame.toasts.show(tr("{folder} is not there any more.", folder=folder), "warning")
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(folder)):
            self._frame.toasts.show(tr("This system cannot show {folder}.", folder=folder), "warning")

    def cancel(self, parent: QWidget, job_id: str) -> None:
        """Say first what it does to the money, by the agent's newest numbers."""
        question = self._frame.link.call(parent, "show", job=job_id)
        question.then(lambda job: self._ask_cancel(parent, job), self.tell)

    def add_time(self, parent: QWidget, job_id: str) -> None:
        """Ask how much, by the agent's newest numbers."""
        question = self._frame.link.call(parent, "show", job=job_id)
        question.then(lambda job: self._ask_time(parent, job), self.tell)

    def fetch(self, parent: QWidget, job_id: str) -> None:
        """Put the results into a folder of the person's choice."""
        chosen = QFileDialog.getExistingDirectory(parent, tr("An empty folder for the results"))
        if chosen:
            self.fetch_to(parent, job_id, chosen)

    def fetch_to(self, parent: QWidget, job_id: str, folder: str) -> None:
        """Put the results into ``folder``."""
        done = tr("The results are put into {folder}.", folder=folder)
        call = self._frame.link.call(parent, "fetch", job=job_id, out=folder)
        call.then(lambda _: self._frame.toasts.show(done), self.tell)

    def tell(self, error: CyxWizError) -> None:
        """Say in the corner what went wrong, in all its parts."""
        self._frame.toasts.show("\n".join(error.lines()), "danger")

    def _ask_cancel(self, parent: QWidget, job: dict[str, Any]) -> None:
        words, amounts = cancel_terms(job)
        ask(
            parent,
            tr("Cancel {name}?", name=clean(job["name"])),
            words,
            amounts,
            yes=tr("Cancel the job"),
            no=tr("Let it go on"),
            danger=True,
            then=lambda: self._cancel(parent, job["job_id"]),
        )

    def _ask_time(self, parent: QWidget, job: dict[str, Any]) -> None:
        dialog = TopUpDialog(parent, self._frame.link, job)
        dialog.accepted.connect(lambda: self._top_up(parent, job["job_id"], dialog.seconds))
        dialog.open()

    def _top_up(self, parent: QWidget, job_id: str, seconds: int) -> None:
        done = tr("{time} more is being paid for, and added then.", time=format_duration(seconds))
        call = self._frame.link.call(parent, "topup", job=job_id, seconds=seconds)
        call.then(lambda _: self._frame.toasts.show(done), self.tell)

    def _cancel(self, parent: QWidget, job_id: str) -> None:
        done = tr("Cancelled. What was not used comes back to your escrow balance.")
        call = self._frame.link.call(parent, "cancel", job=job_id)
        call.then(lambda _: self._frame.toasts.show(done), self.tell)
