"""The window's or CLI's side of the local RPC."""

from __future__ import annotations

import itertools
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import LOCAL_CALL_TIMEOUT_S, LOCAL_CONNECT_TIMEOUT_S
from p2p.local.platform import WINDOWS, socket_address
from p2p.local.protocol import Json, MessageReader, dump, error_from_json

AGENT_AWAY = ("agent_not_running", "agent_gone")
"""The codes of errors that say that there is no agent to ask."""

_IDS = itertools.count(1)


class LocalClient:
    """Calls the agent whose socket is at ``path``. Each call is a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def call(
        self, method: str, params: dict[str, Json] | None = None, *, timeout_s: float = LOCAL_CALL_TIMEOUT_S
    ) -> Json:
        """One request, one answer.

        :raises EnvironmentFailure: ``agent_not_running``, ``agent_silent``.
        :raises CyxWizError: what the handler raised.
        """
        with trio.move_on_after(timeout_s):
            async with aclosing(self.stream(method, params)) as answers:
                async for answer in answers:
                    return answer
                return None
        raise EnvironmentFailure(
            "agent_silent",
            f"The agent did not answer {method!r} within {timeout_s:.0f} s.",
            "What was asked may still happen.",
            "Look again in a moment; its log has the details.",
        )

    async def stream(self, method: str, params: dict[str, Json] | None = None) -> AsyncGenerator[Json, None]:
        """One request, the items of its answer; leaving the loop hangs up.

        :raises EnvironmentFailure: ``agent_not_running``, or the agent went away in between.
        :raises CyxWizError: what the handler raised.
        """
        async with self._connect() as (stream, token):
            request: dict[str, Json] = {"id": next(_IDS), "method": method, "params": params or {}}
            if token:
                request["token"] = token
            try:
                await stream.send_all(dump(request))
                reader = MessageReader(stream)
                while (message := await reader.next()) is not None:
                    if "error" in message:
                        raise error_from_json(message["error"])
                    if "end" in message:
                        return
                    if "result" in message:
                        yield message["result"]
                        return
                    yield message.get("item")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            raise EnvironmentFailure(
                "agent_gone",
                "The agent ended before it had answered.",
                "Nothing that was kept is lost.",
                "Run the command again; it starts the agent anew.",
            )

    async def is_running(self) -> bool:
        """Whether the agent answers.

        :raises CyxWizError: it does, with an error.
        """
        try:
            await self.call("status")
        except EnvironmentFailure as error:
            if error.code in AGENT_AWAY:
                return False
            raise
        return True

    @asynccontextmanager
    async def _connect(self) -> AsyncGenerator[tuple[trio.SocketStream, str], None]:
        token = ""
        try:
            with trio.fail_after(LOCAL_CONNECT_TIMEOUT_S):
                if WINDOWS:
                    port, token = self._path.read_text().split()
                    stream = await trio.open_tcp_stream("127.0.0.1", int(port))
                else:
                    stream = await _connect_unix(self._path)
        except (OSError, ValueError, trio.TooSlowError):
            raise EnvironmentFailure(
                "agent_not_running", f"No agent answers at {self._path}.", hint="Start it first."
            ) from None
        async with stream:
            yield stream, token


async def _connect_unix(path: Path) -> trio.SocketStream:
    sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            await sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)
