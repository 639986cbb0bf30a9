"""How windows and the CLI talk to the engine's agent; it is started when it does not run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import AGENT_START_TIMEOUT_S
from p2p.core.paths import Home
from p2p.engine.commands import check_call
from p2p.local.client import LocalClient
from p2p.local.home import HOME_VARIABLE, make_private
from p2p.local.platform import start_detached
from p2p.local.protocol import Json

_POLL_S = 0.05
_LOG_TAIL_BYTES = 4096


class EngineClient:
    """The agent of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._local = LocalClient(home.engine.socket)

    async def call(self, name: str, /, **params: Json) -> Json:
        """Run a command of :mod:`p2p.engine.commands`.

        :raises CyxWizError: what it raised, or the agent is not there.
        """
        command = check_call(name, params)
        return await self._local.call(name, params, timeout_s=command.timeout_s)

    def stream(self, name: str, /, **params: Json) -> AsyncGenerator[Json, None]:
        """The items of a streaming command. Errors as :meth:`call`."""
        check_call(name, params)
        return self._local.stream(name, params)

    async def is_running(self) -> bool:
        """Whether the agent answers."""
        try:
            await self.call("status")
        except EnvironmentFailure as error:
            if error.code in ("agent_not_running", "agent_gone"):
                return False
            raise
        return True

    async def ensure_running(self) -> None:
        """Start the agent if it does not run, and wait until it answers.

        :raises EnvironmentFailure: ``agent_did_not_start``; its log is named.
        """
        if await self.is_running():
            return
        make_private(self._home.engine.folder)
        environment = {**os.environ, HOME_VARIABLE: str(self._home.root)}
        command = [sys.executable, "-m", "p2p.engine.agent"]
        process = start_detached(command, self._home.engine.log, environment)
        with trio.move_on_after(AGENT_START_TIMEOUT_S):
            while not await self.is_running():
                if process.poll() is not None and not await self._other_starts():
                    break
                await trio.sleep(_POLL_S)
            else:
                _let_go(process)
                return
        _let_go(process)
        raise EnvironmentFailure(
            "agent_did_not_start",
            f"The engine's agent did not start: {self._last_words()}",
            "Nothing was sent and nothing was paid.",
            f"Its log is {self._home.engine.log}.",
        )

    async def _other_starts(self) -> bool:
        """Ours has ended; perhaps because another one was faster and is about to answer."""
        await trio.sleep(_POLL_S)
        return await self.is_running()

    def _last_words(self) -> str:
        try:
            tail = self._home.engine.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        except OSError:
            return "it left no log."
        lines = tail.strip().splitlines()
        return lines[-1] if lines else "it left no word in its log."


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """The agent outlives us on purpose: don't warn about it."""
    process.poll()
    if process.returncode is None:
        process.returncode = 0
