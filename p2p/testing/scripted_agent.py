"""An agent that answers what a test tells it to, over the real local RPC: a real socket, a real server.

It runs in a thread of its own, as an agent runs in a process of its own, and can go away and come back.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import trio

from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.local.client import LocalClient
from p2p.local.protocol import Json
from p2p.local.server import LocalServer, StreamHandler

_END_TIMEOUT_S = 10.0


class ScriptedAgent:
    """``answers``: by method, a value, an error to raise, or a function of the parameters (may be async).
    ``streams``: by method, a function of the parameters that yields items. Both may be
    changed at any time; which methods there are is settled at the start."""

    def __init__(self, socket: Path) -> None:
        self.answers: dict[str, Any] = {"status": {"version": "test", "pid": 1}}
        self.streams: dict[str, StreamHandler] = {}
        self.asked: list[tuple[str, dict[str, Json]]] = []
        self.starts = 0
        self.socket = socket
        self._thread: Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope: trio.CancelScope | None = None

    def start(self) -> None:
        """Answer from now on; without effect if it does already."""
        if self._thread is None:
            ready = Event()
            self.starts += 1
            self._thread = Thread(target=trio.run, args=(self._serve, ready), daemon=True)
            self._thread.start()
            ready.wait(_END_TIMEOUT_S)

    def stop(self) -> None:
        """Go away at once, as if killed."""
        thread, self._thread = self._thread, None
        if thread is not None and self._token is not None and self._scope is not None:
            self._token.run_sync_soon(self._scope.cancel)
            thread.join(_END_TIMEOUT_S)

    def count(self, method: str) -> int:
        """How often a method was asked."""
        return sum(name == method for name, _ in self.asked)

    def client(self, *, may_start: bool = True) -> ScriptedClient:
        """A client as a window has one."""
        return ScriptedClient(self, self.socket, may_start=may_start)

    async def _serve(self, ready: Event) -> None:
        with trio.CancelScope() as self._scope:
            self._token = trio.lowlevel.current_trio_token()
            handlers = {name: partial(self._answer, name) for name in self.answers}
            streams = {name: partial(self._stream, name) for name in self.streams}
            server = LocalServer(handlers, streams)
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve, self.socket)
                ready.set()

    async def _answer(self, method: str, params: dict[str, Json]) -> Json:
        self.asked.append((method, params))
        found = self.answers[method]
        if isinstance(found, CyxWizError):
            raise found
        if callable(found):
            found = found(params)
            if inspect.isawaitable(found):
                found = await found
        return found

    def _stream(self, method: str, params: dict[str, Json]) -> AsyncGenerator[Json, None]:
        self.asked.append((method, params))
        return self.streams[method](params)


class ScriptedClient:
    """What :class:`p2p.engine.client.EngineClient` is to the engine's agent."""

    def __init__(self, agent: ScriptedAgent, socket: Path, *, may_start: bool) -> None:
        self._agent = agent
        self._local = LocalClient(socket)
        self._may_start = may_start

    async def call(self, name: str, /, **params: Json) -> Json:
        """Ask."""
        return await self._local.call(name, params)

    def stream(self, name: str, /, **params: Json) -> AsyncGenerator[Json, None]:
        """Follow."""
        return self._local.stream(name, params)

    async def ensure_running(self) -> None:
        """Start the agent, or say why it can't be."""
        if not self._may_start:
            raise EnvironmentFailure(
                "agent_did_not_start",
                "The agent did not start: a test wants it so.",
                "Nothing was sent.",
                "Wait.",
            )
        await trio.to_thread.run_sync(self._agent.start)
