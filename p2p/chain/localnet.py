"""The localnet: the real Solana runtime behind JSON-RPC on the loopback, kept in one folder.

For development, tests and ``cyxwiz local``. The same client talks to it, devnet and mainnet.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from p2p.chain.localnet_chain import LocalChain
from p2p.chain.localnet_methods import MethodError, Methods
from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import (
    LOCALNET_BATCH_MAX,
    LOCALNET_CONNECTIONS_MAX,
    LOCALNET_IO_TIMEOUT_S,
    LOCALNET_REQUEST_MAX_BYTES,
)

LOOPBACK = "127.0.0.1"
_PARSE_ERROR, _INVALID_REQUEST, _INTERNAL_ERROR = -32700, -32600, -32603


class LocalnetServer(ThreadingHTTPServer):
    """One thread per connection, one request at a time on the chain."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, chain: LocalChain, port: int) -> None:
        self.methods = Methods(chain)
        self.lock = threading.Lock()
        self._free = threading.BoundedSemaphore(LOCALNET_CONNECTIONS_MAX)
        super().__init__((LOOPBACK, port), _Handler)
        self.url = f"http://{LOOPBACK}:{self.server_address[1]}"
        self.hosts = {f"{name}:{self.server_address[1]}" for name in (LOOPBACK, "localhost")}

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is none of our business; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: LocalnetServer
    protocol_version = "HTTP/1.1"
    timeout = LOCALNET_IO_TIMEOUT_S
    wbufsize = -1  # one packet per reply: unbuffered, head and body would wait for each other's ACK
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the localnet prints its URL and no more."""

    def do_POST(self) -> None:
        refusal = self._refusal()
        if refusal:
            self._reply(refusal, b"")
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(200, json.dumps(self._answer_body(body)).encode())

    def _refusal(self) -> int:
        """The HTTP status with which to refuse, or 0.

        The Host check keeps web pages out that rebind their name to the loopback; the content type
        keeps out those that post forms.
        """
        if self.headers.get("Host") not in self.server.hosts:
            return 403
        if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return 415
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return 411
        return 413 if int(length) > LOCALNET_REQUEST_MAX_BYTES else 0

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _answer_body(self, body: bytes) -> object:
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _error(None, _PARSE_ERROR, "Parse error")
        if isinstance(request, list):
            return [self._answer(each) for each in request[:LOCALNET_BATCH_MAX]]
        return self._answer(request)

    def _answer(self, request: object) -> object:
        if not isinstance(request, dict):
            return _error(None, _INVALID_REQUEST, "Invalid request")
        request_id = request.get("id")
        try:
            with self.server.lock:
                result = self.server.methods.answer(request.get("method"), request.get("params") or [])
        except MethodError as error:
            return _error(request_id, error.number, error.message, error.data)
        except OSError as error:  # the journal cannot be written
            return _error(request_id, _INTERNAL_ERROR, f"Internal error: {error.strerror}")
        return {"jsonrpc": "2.0", "id": request_id, "result": result}


def _error(request_id: object, number: int, message: str, data: object = None) -> object:
    error: dict[str, object] = {"code": number, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def open_localnet(folder: Path, port: int, clock: Clock = SYSTEM_CLOCK) -> tuple[LocalnetServer, LocalChain]:
    """A server that is bound and not yet serving, and its chain; port 0 takes a free one.

    :raises EnvironmentFailure: the folder is in use or cannot be used, or the port is taken.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chain = LocalChain(folder, clock)
    try:
        return LocalnetServer(chain, port), chain
    except OSError as error:
        chain.close()
        raise EnvironmentFailure(
            "localnet_port", f"Port {port} cannot be used: {error.strerror}.", "No localnet was started."
        ) from None


def run_localnet(folder: Path, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Prints the URL, once, when ready; writes only into ``folder``.

    :raises EnvironmentFailure: as :func:`open_localnet`.
    """
    server, chain = open_localnet(folder, port)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # shutdown() waits for serve_forever(), which runs in this very thread
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    print(server.url, flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        with server.lock:
            chain.close()
