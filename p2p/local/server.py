"""The agent's side of the local RPC."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.limits import LOCAL_CONNECTIONS_MAX
from p2p.local.platform import WINDOWS, socket_address
from p2p.local.protocol import Json, MessageReader, dump, error_to_json

_LOG = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], Awaitable[Json]]
StreamHandler = Callable[[dict[str, Any]], AsyncGenerator[Json, None]]


class LocalServer:
    """Serves handlers to the programs of the same user.

    On POSIX a unix socket in a private folder; on Windows a loopback port whose number and token lie in
    a file at the same path. A handler gets the request's ``params``; what it raises of
    :class:`~p2p.core.errors.CyxWizError` reaches the caller, anything else is logged and reaches the
    caller as ``internal`` only.
    """

    def __init__(self, handlers: Mapping[str, Handler], streams: Mapping[str, StreamHandler]) -> None:
        self._handlers = dict(handlers)
        self._streams = dict(streams)
        self._token = ""
        self._slots = trio.CapacityLimiter(LOCAL_CONNECTIONS_MAX)

    async def serve(
        self, path: Path, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Listen at ``path`` until cancelled; ``started`` once connections are accepted.

        The caller holds the agent's process lock, so a socket left by a crash is replaced.
        """
        listener = await self._listen(path)
        try:
            async with listener, trio.open_nursery() as nursery:
                serve = partial(trio.serve_listeners, self._connection, [listener])
                await nursery.start(serve)
                task_status.started()
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    async def _listen(self, path: Path) -> trio.SocketListener:
        with suppress(FileNotFoundError):
            path.unlink()
        if WINDOWS:
            self._token = secrets.token_hex(32)
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listener.socket.getsockname()[1]
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{port} {self._token}")
            return listener
        sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with socket_address(path) as address:
                await sock.bind(address)
        finally:
            os.umask(before)
        sock.listen(LOCAL_CONNECTIONS_MAX)
        return trio.SocketListener(sock)

    async def _connection(self, stream: trio.SocketStream) -> None:
        async with stream, self._slots:
            try:
                reader = MessageReader(stream)
                while (message := await reader.next()) is not None:
                    await self._answer(stream, message)
            except UserError as error:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await stream.send_all(dump({"id": None, "error": error_to_json(error)}))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the window went away, which is its right

    async def _answer(self, stream: trio.SocketStream, message: dict[str, Json]) -> None:
        request_id = message.get("id")
        try:
            self._authorise(message)
            method, params = message.get("method"), message.get("params", {})
            if not isinstance(params, dict) or not isinstance(method, str):
                raise UserError("bad_message", "A local request has no method or params.")
            if method in self._streams:
                await self._stream(stream, request_id, self._streams[method](params))
                return
            if method not in self._handlers:
                raise UserError("unknown_method", f"The agent has no method {method[:64]!r}.")
            answer = {"id": request_id, "result": await self._handlers[method](params)}
        except CyxWizError as error:
            answer = {"id": request_id, "error": error_to_json(error)}
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise
        except Exception:
            _LOG.exception("local handler failed")
            answer = {"id": request_id, "error": error_to_json(_INTERNAL)}
        await stream.send_all(dump(answer))

    def _authorise(self, message: dict[str, Json]) -> None:
        if self._token and not hmac.compare_digest(str(message.get("token", "")), self._token):
            raise UserError("bad_token", "The local request has a wrong token.")

    async def _stream(
        self, stream: trio.SocketStream, request_id: Json, items: AsyncGenerator[Json, None]
    ) -> None:
        # The caller ends a stream by hanging up, which only a pending read notices in time.
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await stream.receive_some(1)
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            try:
                async for item in items:
                    await stream.send_all(dump({"id": request_id, "item": item}))
                await stream.send_all(dump({"id": request_id, "end": True}))
            except CyxWizError as error:
                await stream.send_all(dump({"id": request_id, "error": error_to_json(error)}))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(5):
                    await items.aclose()
                nursery.cancel_scope.cancel()
        await stream.aclose()


_INTERNAL = EnvironmentFailure(
    "internal",
    "The agent made a mistake of its own.",
    "Nothing that was kept is lost; what you asked for may not have happened.",
    "Its log has the details.",
    retryable=False,
)
