"""A job on a terminal: timeline and log as they come, and one line below that is redrawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from p2p.core.errors import CyxWizError
from p2p.core.limits import LOG_LINE_MAX_BYTES
from p2p.core.text import clean_line
from p2p.engine import render
from p2p.local import cli
from p2p.local.protocol import error_from_json

Json = dict[str, Any]

_REFRESH_PER_S = 4
_BAR_CHARS = 40
_TITLE_CHARS = 12
_PASSING = ("coordinator_unreachable", "chain_unreachable", "peer_unreachable", "peer_timeout", "peer_busy")
"""Problems that usually mend themselves while one waits."""


class JobView:
    """Shows one job. On a terminal everything goes there; otherwise the log alone is standard output."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._seen_events = 0
        self._epoch = 0
        self._lines = 0
        self._skip = 0
        self._problem: str | None = None
        self.last: Json | None = None

    @contextmanager
    def shown(self) -> Iterator[JobView]:
        """Redraw a status line for the length of the block, if this is a terminal."""
        if not (cli.out.is_terminal and cli.err.is_terminal):
            yield self
            return
        with Live(console=cli.out, refresh_per_second=_REFRESH_PER_S, transient=True) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def job(self, job: Json) -> None:
        """The job has changed."""
        self.last = job
        loud = [event for event in job["events"] if not render.is_quiet(event)]
        for event in loud[self._seen_events :]:
            self.note(render.event_line(event))
        self._seen_events = max(self._seen_events, len(loud))
        self._show_problem(job["problem"])
        if self._live is not None:
            self._live.update(_status(job))

    def log_from_start(self) -> None:
        """The log comes from its beginning again: what was shown is not shown twice."""
        self._skip = self._lines

    def log(self, item: Json) -> None:
        """Lines of the log have come."""
        if item["epoch"] != self._epoch:
            if self._epoch:
                self.note("another node begins anew")
            self._epoch, self._lines, self._skip = item["epoch"], 0, 0
        fresh = item["lines"][self._skip :]
        self._skip -= len(item["lines"]) - len(fresh)
        self._lines += len(fresh)
        for line in fresh:
            cli.out.print(Text(clean_line(line, LOG_LINE_MAX_BYTES)))

    def note(self, text: str) -> None:
        """A line that is not the job's own output."""
        console = cli.out if self._live is not None else cli.err
        console.print(Text(text, style="cyan"))

    def blocking_problem(self) -> CyxWizError | None:
        """What somebody has to mend before the job goes on, if anything."""
        problem = self.last["problem"] if self.last else None
        return None if problem is None or is_passing(problem) else error_from_json(problem)

    def _show_problem(self, problem: Json | None) -> None:
        what = None if problem is None else str(problem["what"])
        if what is not None and what != self._problem and problem is not None and is_passing(problem):
            self.note(f"waiting: {clean_line(what, 300)}")
        self._problem = what


def is_passing(problem: Json) -> bool:
    """Whether waiting is all there is to do about a problem."""
    return problem["code"] in _PASSING or (
        bool(problem["retryable"]) and not problem["code"].startswith("disk_")
    )


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Titles and texts in two columns."""
    for title, text in pairs:
        line = Text(f"{title:<{_TITLE_CHARS}}", style="bold")
        line.append(clean_line(text, 2000), style="not bold")
        cli.out.print(line)


def _status(job: Json) -> RenderableType:
    line = Text(render.status_line(job), style="bold")
    done = render.fraction(job)
    if done is None:
        return line
    return Group(line, ProgressBar(total=1.0, completed=min(1.0, done), width=_BAR_CHARS))
