"""What the seller's commands share: asking the agent, moments and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.paths import Home
from p2p.local import cli as frame
from p2p.local.client import LocalClient
from p2p.local.home import find_home
from p2p.local.platform import is_locked

_START_HINT = "Start it: cyxwiz-node run"
_ID_SHOWN_CHARS = 12
_SPAN = re.compile(r"(?:(\d{1,4})d)?\s*(?:(\d{1,5})h)?\s*(?:(\d{1,6})m(?:in)?)?\Z")


def ask(method: str, params: dict[str, Any] | None = None) -> Any:
    """Ask the agent of this home.

    :raises EnvironmentFailure: ``agent_not_running`` and what the agent answers.
    """
    home: Home = find_home()
    if not is_locked(home.node.lock):
        raise EnvironmentFailure(
            "agent_not_running",
            f"No node agent runs on {home.root}.",
            "Nothing was asked and nothing was changed.",
            _START_HINT,
        )
    return frame.run_async(LocalClient(home.node.socket).call, method, params)


def short(job_id: str) -> str:
    """As much of a job's id as tells it from others."""
    return job_id[:_ID_SHOWN_CHARS]


def when(at_s: float) -> str:
    """A moment in this machine's time zone; of today only the time."""
    local = datetime.fromtimestamp(at_s, UTC).astimezone()
    today = datetime.fromtimestamp(SYSTEM_CLOCK.now_s(), UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Hours, minutes, seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def parse_span(text: str) -> float:
    """A length of time as people type it, ``1h``, ``90m``, ``1d12h``, in seconds.

    :raises UserError: ``bad_span``.
    """
    found = _SPAN.match(text.strip().lower())
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    seconds = 60.0 * (minutes + 60 * (hours + 24 * days))
    if not seconds:
        raise UserError(
            "bad_span", f"{text[:40]!r} is not a length of time.", hint="Write it like 1h or 90m."
        )
    return seconds


def agent_runs() -> bool:
    """Whether the agent of this home runs."""
    return is_locked(find_home().node.lock)
