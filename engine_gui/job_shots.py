"""The pictures of the pages about jobs: the newest job, and the form with the example that is shipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from engine_gui.job_page import JobPage
from engine_gui.job_tabs import LogTab
from engine_gui.jobs_page import JobsPage
from engine_gui.new_job_page import NewJobPage
from engine_gui.plots_tab import PlotsTab
from gui_kit.frame import Frame
from gui_kit.screenshots import Shot
from p2p.local.home import find_home

_EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "digits"
_TABS = ("timeline", "logs", "metrics", "resources", "files", "costs")


def _ready(frame: Frame) -> bool:
    return frame.page().is_ready


def _open_job(tab: int) -> Callable[[Frame], None]:
    """The newest job, at one of its parts."""

    def go(frame: Frame) -> None:
        frame.go_to("Jobs")
        jobs = frame.page()
        assert isinstance(jobs, JobsPage)
        jobs.table.selectRow(0)
        row = jobs.table.current()
        if row is not None:
            jobs.table.opened.emit(row)
        page = frame.page()
        if isinstance(page, JobPage):
            page.open_tab(tab)

    return go


def _fill_form(frame: Frame) -> None:
    """With the example that is shipped."""
    frame.go_to("New job")
    page = frame.page()
    assert isinstance(page, NewJobPage)
    folder = find_home().root / "digits"
    shutil.copytree(_EXAMPLE, folder, dirs_exist_ok=True)
    names = ("train.py", "requirements.txt", "data", "config.json")
    page.take_dropped([str(folder / name) for name in names])


def _is_priced(frame: Frame) -> bool:
    page = frame.page()
    return isinstance(page, NewJobPage) and page.is_priced


def _has_content(frame: Frame) -> bool:
    """Whether the part that is open shows what it is for."""
    page = frame.page()
    part = page.part if page.is_ready and isinstance(page, JobPage) else None
    if isinstance(part, LogTab):
        return len(part.view.store) > 0
    if isinstance(part, PlotsTab):
        return bool(part.plots)
    return part is not None and part.table.shown.rowCount() > 0


JOB_SHOTS = (
    Shot("jobs", lambda frame: frame.go_to("Jobs"), _ready),
    Shot("new-job", _fill_form, _is_priced),
    *(Shot(f"job-{name}", _open_job(number), _has_content) for number, name in enumerate(_TABS)),
)
