"""How the node's window talks to the node's agent; it is started when it does not run."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from p2p.core.paths import Home
from p2p.local.client import LocalClient
from p2p.local.protocol import Json
from p2p.local.starting import start_agent


class NodeClient:
    """The agent of a home: what :mod:`p2p.node.local_api` answers."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._local = LocalClient(home.node.socket)

    async def call(self, name: str, /, **params: Json) -> Json:
        """Ask the agent.

        :raises CyxWizError: what it raised, or the agent is not there.
        """
        return await self._local.call(name, params)

    def stream(self, name: str, /, **params: Json) -> AsyncGenerator[Json, None]:
        """The items of an answer that streams. Errors as :meth:`call`."""
        return self._local.stream(name, params)

    async def is_running(self) -> bool:
        """Whether the agent answers."""
        return await self._local.is_running()

    async def ensure_running(self) -> None:
        """Start the agent if it does not run, as `cyxwiz-node run` does, and wait until it answers.

        :raises EnvironmentFailure: ``agent_did_not_start``; its log is named.
        """
        module = ("-m", "p2p.node.cli", "run")
        await start_agent(self._home, self._home.node, "The node's agent", module, self.is_running)
