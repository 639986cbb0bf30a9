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
_ERROR, _INDENT = "error: ", "  "  # as p2p.local.cli prints an error


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
    before = _size(paths.log)
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
    raise _failure(name, paths.log, before)


async def _other_starts(is_running: Callable[[], Awaitable[bool]]) -> bool:
    """Ours has ended; perhaps because another one was faster and is about to answer."""
    await trio.sleep(_POLL_S)
    return await is_running()


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _failure(name: str, log: Path, before: int) -> EnvironmentFailure:
    """What the agent said in its log before it ended: in its own three parts, if it had that much to say."""
    lines = _last_words(log, before)
    first = next((at for at in reversed(range(len(lines))) if lines[at].startswith(_ERROR)), None)
    if first is None:
        words = lines[-1] if lines else "it left no word in its log."
        rest: list[str] = []
    else:
        words = lines[first].removeprefix(_ERROR)
        rest = [line.strip() for line in lines[first + 1 :] if line.startswith(_INDENT)]
    meaning = rest.pop(0) if len(rest) > 1 else "Nothing was sent and nothing was paid."
    hint = " ".join([*rest, f"Its log is {log}."])
    return EnvironmentFailure("agent_did_not_start", f"{name} did not start: {words}", meaning, hint)


def _last_words(log: Path, before: int) -> list[str]:
    """The last lines that were written since the log was ``before`` bytes long."""
    try:
        new = log.read_bytes()[before:]
    except OSError:
        return []
    return new[-_LOG_TAIL_BYTES:].decode(errors="replace").strip().splitlines()


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """The agent outlives us on purpose: don't warn about it."""
    process.poll()
    if process.returncode is None:
        process.returncode = 0
