"""One job: where it is, and everything that is known of it, live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QPoint
from PyQt6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from engine_gui.dispute_dialog import DisputeDialog
from engine_gui.job_actions import JobActions
from engine_gui.job_head import JobHead
from engine_gui.job_model import can_cancel, job_row
from engine_gui.job_notices import Notice, notice_of
from engine_gui.plot_model import MetricReader, UsageReader
from engine_gui.problem_card import ProblemCard
from engine_gui.topup_model import ended_words
from gui_kit.buttons import Button
from gui_kit.feed import Feed
from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.tokens import GRID_PX
from gui_kit.words import tr

Json = dict[str, Any]

_WORD_CHARS = 60


class JobPage(Page):
    """Of the job with the id ``job_id``."""

    def __init__(self, frame: Frame, actions: JobActions, job_id: str) -> None:
        self.act = Button(tr("Cancel the job"))
        super().__init__(tr("Job"), "briefcase-outline", action=self.act)
        self.job_id = job_id
        self._frame = frame
        self._actions = actions
        self._job: Json | None = None
        self._said: Notice | None = None
        self.head = JobHead()
        self.notice = ProblemCard(_WORD_CHARS)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName(tr("Parts of the job"))
        bar = self.tabs.tabBar()
        if bar is not None:
            bar.setAccessibleName(tr("Parts of the job"))
            bar.setDrawBase(False)
        self._tabs: list[_Tab] = []
        self._add_tabs()
        self.act.clicked.connect(self._act)
        self.head.more.clicked.connect(self._open_menu)
        self.tabs.currentChanged.connect(lambda _: self._show_tab())
        for part in (self.head, self.notice):
            self.body.addWidget(part)
        self.body.addWidget(self.tabs, 1)
        self.show_loading(tr("Loading the job"))
        self._feed = self._follow()

    def open_tab(self, number: int) -> None:
        """Show one of its parts."""
        self.tabs.setCurrentIndex(number)

    @property
    def part(self) -> Any:
        """The part that is open."""
        return self._tabs[self.tabs.currentIndex()].part

    # -- what comes

    def _follow(self) -> Feed:
        feed = self._frame.link.follow(self, "watch", job=self.job_id)
        feed.item.connect(self._show)
        feed.failed.connect(lambda error: self.show_error(error, self._follow_again))
        return feed

    def _follow_again(self) -> None:
        self._feed.stop()
        self._feed = self._follow()

    def _show(self, job: Json) -> None:
        before, self._job = self._job or job, job
        if ended := ended_words(before, job):
            self._tell(*ended)
        name = job_row(job).name
        if name != self.title:
            self.set_title(name)
        self.head.show_job(job)
        self._show_notice(notice_of(job))
        self._show_action()
        self._show_tab()
        self.show_content()

    def _show_notice(self, notice: Notice | None) -> None:
        if notice == self._said:
            return
        self._said = notice
        if notice is None:
            self.notice.clear()
        else:
            self.notice.show_lines(notice.what, list(notice.rest), notice.icon, notice.token)
            self.notice.offer(tr("Add time") if notice.more_time else "", self._add_time)

    def _show_action(self) -> None:
        job = self._job
        assert job is not None
        found = job_row(job)
        if can_cancel(found):
            word = tr("Cancel the job")
        elif found.fetched:
            word = tr("Open the results")
        else:
            word = tr("Send again as a new job")
        self.act.setText(word)
        self.act.setAccessibleName(word)

    def _show_tab(self) -> None:
        """Make the part that is open if it is opened for the first time, and bring it up to date."""
        number = self.tabs.currentIndex()
        if self._job is not None and 0 <= number < len(self._tabs):
            self._tabs[number].show_job(self._job)

    # -- what is done

    def _act(self) -> None:
        if self._job is None:
            return
        found = job_row(self._job)
        if can_cancel(found):
            self._actions.cancel(self, self.job_id)
        elif found.fetched:
            self._actions.open_folder(found.out)
        else:
            self._actions.go.duplicate(self.job_id)

    def _open_menu(self) -> None:
        if self._job is not None:
            menu = self._actions.menu(self, job_row(self._job), with_open=False)
            menu.popup(self.head.more.mapToGlobal(QPoint(0, self.head.more.height())))

    def _add_time(self) -> None:
        self._actions.add_time(self, self.job_id)

    def _dispute(self) -> None:
        call = self._frame.link.call(self, "dispute_terms", job=self.job_id)
        call.then(self._ask_dispute, self._actions.tell)

    def _ask_dispute(self, terms: Json) -> None:
        dialog = DisputeDialog(self, self.title, terms)
        dialog.accepted.connect(lambda: self._send_dispute(dialog.reason()))
        dialog.open()

    def _send_dispute(self, reason: str) -> None:
        done = tr("Disputed. An arbiter decides; until then the deposit stays in escrow.")
        call = self._frame.link.call(self, "dispute", job=self.job_id, reason=reason)
        call.then(lambda _: self._frame.toasts.show(done), self._actions.tell)

    def _tell(self, text: str, good: bool) -> None:
        self._frame.toasts.show(text, "success" if good else "warning")

    # -- its parts

    def _add_tabs(self) -> None:
        """Each is made when it is opened for the first time: plots and logs bring libraries with them."""
        for word, make in (
            (tr("Timeline"), self._make_timeline),
            (tr("Logs"), self._make_log),
            (tr("Metrics"), self._make_metrics),
            (tr("Resources"), self._make_usage),
            (tr("Files"), self._make_files),
            (tr("Costs"), self._make_costs),
        ):
            tab = _Tab(make)
            self._tabs.append(tab)
            self.tabs.addTab(tab, word)

    def _make_timeline(self) -> QWidget:
        from engine_gui.job_tabs import TimelineTab

        return TimelineTab()

    def _make_log(self) -> QWidget:
        from engine_gui.job_tabs import LogTab

        link, key = self._frame.link, self.job_id
        return LogTab(lambda view: link.follow(view, "logs", every=True, job=key, follow=True), self._tell)

    def _make_metrics(self) -> QWidget:
        from engine_gui.plots_tab import PlotsTab

        link, key = self._frame.link, self.job_id
        return PlotsTab(lambda where: link.call(self, "metrics", job=key, **where), MetricReader, self._tell)

    def _make_usage(self) -> QWidget:
        from engine_gui.plots_tab import PlotsTab

        link, key = self._frame.link, self.job_id
        return PlotsTab(lambda where: link.call(self, "usage", job=key, **where), UsageReader, self._tell)

    def _make_files(self) -> QWidget:
        from engine_gui.files_tab import FilesTab

        link, key, actions = self._frame.link, self.job_id, self._actions
        return FilesTab(
            lambda: link.call(self, "results", job=key),
            actions.open_folder,
            lambda: actions.fetch(self, key),
            self._tell,
        )

    def _make_costs(self) -> QWidget:
        from engine_gui.costs_tab import CostsTab

        return CostsTab(self._dispute, self._tell)


class _Tab(QWidget):
    """A part that is made once somebody looks."""

    def __init__(self, make: Callable[[], QWidget]) -> None:
        super().__init__()
        self._make = make
        self.part: Any = None
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, GRID_PX, 0, 0)

    def show_job(self, job: Json) -> None:
        if self.part is None:
            self.part = self._make()
            self._box.addWidget(self.part)
        self.part.show_job(job)
