"""HTTP/1.1 for one page on the loopback: h11 on trio, with a limit on everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import h11
import trio

from p2p.chain.browser.neighbours import is_strangers
from p2p.core.limits import (
    PAGE_BODY_MAX_BYTES,
    PAGE_CONNECTIONS_MAX,
    PAGE_HEADERS_MAX_BYTES,
    PAGE_IO_TIMEOUT_S,
)

LOOPBACK = "127.0.0.1"
_READ_BYTES = 16 * 1024
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

# No inline script or style, nothing from elsewhere, no frame around it; icons of wallets are data: URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """``last``: nothing more will be answered after it."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    last: bool = False


class _TooLarge(Exception):
    pass


Handler = Callable[[Request], Awaitable[Reply]]


async def serve_loopback(
    handler: Handler, after_last: Callable[[], None], task_status: trio.TaskStatus[int]
) -> None:
    """Serve on a free port of 127.0.0.1, reported as started, until cancelled.

    ``after_last`` is called when a reply marked ``last`` has been handed to the network, or its reader
    is gone.
    """
    listeners = await trio.open_tcp_listeners(0, host=LOOPBACK)
    free = trio.CapacityLimiter(PAGE_CONNECTIONS_MAX)

    async def connection(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                peer = stream.socket.getpeername()
            except OSError:  # gone before it was looked at
                return
            if free.available_tokens and not is_strangers(peer):
                async with free:
                    await _Connection(stream, handler, after_last).run()

    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(connection, listeners)


class _Connection:
    def __init__(self, stream: trio.SocketStream, handler: Handler, after_last: Callable[[], None]) -> None:
        self._stream = stream
        self._handler = handler
        self._after_last = after_last
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=PAGE_HEADERS_MAX_BYTES)

    async def run(self) -> None:
        """Requests one after another, until the peer is silent, gone, or wrong."""
        while True:
            try:
                with trio.fail_after(PAGE_IO_TIMEOUT_S):
                    request = await self._read()
            except _GONE:
                return
            except trio.TooSlowError:
                return
            except h11.RemoteProtocolError:
                await self._send(Reply(400))
                return
            except _TooLarge:
                await self._send(Reply(413))
                return
            if request is None:
                return
            reply = await self._handler(request)
            sent = await self._send(reply)
            if reply.last:
                self._after_last()
            if not sent or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _read(self) -> Request | None:
        head, body = None, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._stream.receive_some(_READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > PAGE_BODY_MAX_BYTES:
                    raise _TooLarge
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body))
            else:
                return None

    async def _send(self, reply: Reply) -> bool:
        """Whether the reply was handed over whole."""
        headers = [
            *HEADERS,
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
        ]
        if reply.status >= 400 or reply.last:
            headers.append(("Connection", "close"))
        try:
            out = self._http.send(h11.Response(status_code=reply.status, headers=headers))
            out = (out or b"") + (self._http.send(h11.Data(data=reply.body)) or b"")
            out += self._http.send(h11.EndOfMessage()) or b""
            with trio.move_on_after(PAGE_IO_TIMEOUT_S) as scope:
                await self._stream.send_all(out)
                if reply.last:
                    await self._stream.send_eof()
            return not scope.cancelled_caught
        except (*_GONE, h11.LocalProtocolError):
            return False


def _request(head: h11.Request, body: bytes) -> Request:
    """:raises h11.RemoteProtocolError: a header comes twice, so that it would be unclear which one counts."""
    headers: dict[str, str] = {}
    for name, value in head.headers:
        key = name.decode("ascii")
        if key in headers:
            raise h11.RemoteProtocolError(f"header {key} comes twice")
        headers[key] = value.decode("latin-1")
    return Request(head.method.decode("ascii"), head.target.decode("ascii"), headers, body)
