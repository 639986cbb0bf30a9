"""The list of jobs, the form for a new one, and a job's own page, and the ways between them."""

from __future__ import annotations

from engine_gui.job_actions import JobActions, Navigation
from engine_gui.job_page import JobPage
from engine_gui.jobs_page import JobsPage
from engine_gui.new_job_page import NewJobPage
from gui_kit.buttons import Button
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.words import tr


def add_job_pages(frame: Frame, kept: Preferences | None = None) -> JobActions:
    """Put them into a window; what they return opens a job from elsewhere, such as from a notification.

    ``kept``: what new jobs start with.
    """

    def open_job(job_id: str) -> None:
        frame.open_section(jobs)
        frame.open_page(JobPage(frame, actions, job_id))

    def duplicate(job_id: str) -> None:
        frame.open_section(new_job)
        frame.link.call(new_job, "show", job=job_id).then(new_job.show_job, actions.tell)

    actions = JobActions(frame, Navigation(open_job, duplicate))
    button = Button(tr("New job"), "primary", "plus")
    jobs = JobsPage(frame, actions, button)
    new_job = NewJobPage(frame, open_job, kept)
    button.clicked.connect(lambda: frame.open_section(new_job))
    frame.add_section(jobs)
    frame.add_section(new_job)
    return actions
