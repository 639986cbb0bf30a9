"""Starting an agent that outlives who started it, and waiting until it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import AGENT_START_TIMEOUT_S
from p2p.core.paths import AgentPaths, Home
from p2p.local.home import HOME_VARIABLE, make_private
from p2p.local.platform import start_detached

_POLL_S = 0.05
_LOG_TAIL_BYTES = 4096


async def start_agent(
    home: Home,
    paths: AgentPaths,
    name: str,
    python_arguments: Sequence[str],
    is_running: Callable[[], Awaitable[bool]],
) -> None:
    """Start the agent of ``paths`` with this interpreter if it does not run; ``name``: for people.

    :raises EnvironmentFailure: ``agent_did_not_start``; its log is named.
    """
    if await is_running():
        return
    make_private(paths.folder)
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    process = start_detached([sys.executable, *python_arguments], paths.log, environment)
    try:
        with trio.move_on_after(AGENT_START_TIMEOUT_S):
            while not await is_running():
                if process.poll() is not None and not await _other_starts(is_running):
                    break
                await trio.sleep(_POLL_S)
            else:
                return
    finally:
        _let_go(process)
    raise EnvironmentFailure(
        "agent_did_not_start",
        f"{name} did not start: {_last_words(paths.log)}",
        "Nothing was sent and nothing was paid.",
        f"Its log is {paths.log}.",
    )


async def _other_starts(is_running: Callable[[], Awaitable[bool]]) -> bool:
    """Ours has ended; perhaps because another one was faster and is about to answer."""
    await trio.sleep(_POLL_S)
    return await is_running()


def _last_words(log: Path) -> str:
    try:
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return "it left no log."
    lines = tail.strip().splitlines()
    return lines[-1] if lines else "it left no word in its log."


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """The agent outlives us on purpose: don't warn about it."""
    process.poll()
    if process.returncode is None:
        process.returncode = 0
