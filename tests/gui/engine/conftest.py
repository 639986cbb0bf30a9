"""The buyer's pages on an agent that answers what the test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import trio
from pytestqt.qtbot import QtBot

from engine_gui.job_actions import JobActions
from engine_gui.job_page import JobPage
from engine_gui.job_pages import add_job_pages
from gui_kit.frame import Frame
from gui_kit.link import AgentLink
from gui_kit.states import LinkState
from p2p.testing import scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent

Json = dict[str, Any]
LINES = [f"epoch {number} loss={1 / number:.3f}" for number in range(1, 6)]


class Script:
    """What the agent says now. ``job``: the one that is watched; ``plans``: what a plan comes to."""

    def __init__(self) -> None:
        self.job = scripted_jobs.job()
        self.measure = scripted_jobs.measure()
        self.plan_items: list[Json] = [{"progress": [1, 2]}, {"plan": scripted_jobs.plan()}]
        self.lines: list[str] = list(LINES)

    async def watch(self, params: Json) -> AsyncGenerator[Json, None]:
        """``watch``: says so whenever the test has another job."""
        last: Json | None = None
        while last is None or not last["final"]:
            if self.job is not last:
                last = self.job
                yield last
            await trio.sleep(0.02)

    async def logs(self, params: Json) -> AsyncGenerator[Json, None]:
        """``logs``."""
        yield {"epoch": 1, "lines": self.lines}

    async def measured(self, params: Json) -> AsyncGenerator[Json, None]:
        """``measure``."""
        yield {"progress": [1, 1]}
        yield {"measure": self.measure}

    async def plan(self, params: Json) -> AsyncGenerator[Json, None]:
        """``plan``."""
        for item in self.plan_items:
            yield item
        if "plan" not in self.plan_items[-1]:
            await trio.sleep_forever()


@pytest.fixture
def script(agent: ScriptedAgent) -> Script:
    """What the agent of :func:`frame` says."""
    made = Script()
    agent.answers |= {
        "jobs": scripted_jobs.jobs(),
        "offers": scripted_jobs.offers(),
        "estimate": scripted_jobs.estimate(),
        "show": lambda params: made.job,
        "metrics": scripted_jobs.metrics(),
        "usage": scripted_jobs.usage(),
        "results": scripted_jobs.results(),
        "cancel": scripted_jobs.job(cancel_wanted=True),
        "fetch": scripted_jobs.job(),
        "start": scripted_jobs.job("opening"),
        "discard": {"job_id": scripted_jobs.JOB_ID},
        "topup_terms": lambda params: scripted_jobs.topup_terms(params["seconds"]),
        "topup": scripted_jobs.job(topping_up=True),
        "dispute_terms": scripted_jobs.dispute_terms(),
        "dispute": scripted_jobs.job("completed", disputed=True),
    }
    agent.streams |= {"watch": made.watch, "logs": made.logs, "measure": made.measured, "plan": made.plan}
    return made


class Window:
    """A window with the buyer's job pages."""

    def __init__(self, frame: Frame, actions: JobActions, qtbot: QtBot) -> None:
        self.frame, self.actions, self._qtbot = frame, actions, qtbot

    def open_job(self) -> JobPage:
        """The page of the scripted job, with its first item shown."""
        self.actions.go.open_job(scripted_jobs.JOB_ID)
        page = self.frame.page()
        assert isinstance(page, JobPage)
        self._qtbot.waitUntil(lambda: page.is_ready)
        return page


@pytest.fixture
def window(script: Script, link: AgentLink, qtbot: QtBot) -> Window:
    """Connected and shown."""
    frame = Frame("CyxWiz Engine", link)
    qtbot.addWidget(frame)
    actions = add_job_pages(frame)
    frame.show()
    qtbot.waitActive(frame)
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    qtbot.waitUntil(lambda: frame.page().is_ready)
    return Window(frame, actions, qtbot)


Shown = Callable[[], bool]
