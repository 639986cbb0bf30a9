"""How windows and the CLI talk to the engine's agent; it is started when it does not run."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from p2p.core.paths import Home
from p2p.engine.commands import check_call
from p2p.local.client import LocalClient
from p2p.local.protocol import Json
from p2p.local.starting import start_agent


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
        return await self._local.is_running()

    async def ensure_running(self) -> None:
        """Start the agent if it does not run, and wait until it answers.

        :raises EnvironmentFailure: ``agent_did_not_start``; its log is named.
        """
        module = ("-m", "p2p.engine.agent")
        await start_agent(self._home, self._home.engine, "The engine's agent", module, self.is_running)
