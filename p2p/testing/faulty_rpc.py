"""A faulty RPC node: a real HTTP server in front of another one, with the faults that real nodes have.

Honest until a test says otherwise. A fault is for one method, for a number of calls or until it is healed::

    with FaultyRpc(net.url) as node:
        node.fault("sendTransaction", lost_after, times=1)
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from p2p.chain.transaction import signature_of

_UPSTREAM_TIMEOUT_S = 60.0
_SIMULATION_FAILED, _BEHIND = -32002, -32005


@dataclass(frozen=True)
class Answer:
    """Bytes as they go out; ``status`` 0 hangs up without any."""

    status: int
    body: bytes


@dataclass
class Exchange:
    """One request, before it is passed on."""

    node: FaultyRpc
    request: dict[str, Any]

    @property
    def method(self) -> str:
        return str(self.request["method"])

    @property
    def params(self) -> list[Any]:
        return list(self.request.get("params") or [])

    def pass_on(self) -> dict[str, Any]:
        """The reply of the node behind."""
        reply: dict[str, Any] = json.loads(self.node.post(json.dumps(self.request).encode()))
        return reply

    def result(self, value: object) -> Answer:
        return _json({"jsonrpc": "2.0", "id": self.request["id"], "result": value})

    def error(self, number: int, message: str, data: object = None) -> Answer:
        error = {"code": number, "message": message, "data": data}
        return _json({"jsonrpc": "2.0", "id": self.request["id"], "error": error})

    def with_context(self, value: object, slot: int) -> Answer:
        return self.result({"context": {"slot": slot}, "value": value})


def _json(reply: object) -> Answer:
    return Answer(200, json.dumps(reply).encode())


Fault = Callable[[Exchange], Answer]


# -- faults


def honest(exchange: Exchange) -> Answer:
    return _json(exchange.pass_on())


def lost_before(exchange: Exchange) -> Answer:
    """The request is lost; nobody answers."""
    exchange.node.healed.wait()
    return Answer(0, b"")


def lost_after(exchange: Exchange) -> Answer:
    """The request has its effect; the answer is lost."""
    exchange.pass_on()
    exchange.node.healed.wait()
    return Answer(0, b"")


def hangs_up_after(exchange: Exchange) -> Answer:
    """The request has its effect; the connection breaks before the answer."""
    exchange.pass_on()
    return Answer(0, b"")


def slow(seconds: float) -> Fault:
    """Answers late."""

    def answer(exchange: Exchange) -> Answer:
        reply = exchange.pass_on()
        exchange.node.healed.wait(seconds)
        return _json(reply)

    return answer


def no_status(exchange: Exchange) -> Answer:
    """The node has not heard of the signature, whatever happened."""
    reply = exchange.pass_on()
    reply["result"]["value"] = [None] * len(reply["result"]["value"])
    return _json(reply)


def only_confirmed(exchange: Exchange) -> Answer:
    """What has landed is not final yet."""
    reply = exchange.pass_on()
    for status in filter(None, reply["result"]["value"]):
        status["confirmationStatus"] = "confirmed"
    return _json(reply)


def swallowed(exchange: Exchange) -> Answer:
    """The node takes a transaction and does not send it on."""
    return exchange.result(signature_of(base64.b64decode(exchange.params[0])))


def on_a_fork(commitment: str) -> Fault:
    """Every signature has landed, says the node: on a fork that will be dropped."""

    def answer(exchange: Exchange) -> Answer:
        status = {"slot": 1, "confirmations": 1, "err": None, "confirmationStatus": commitment}
        return exchange.with_context([status] * len(exchange.params[0]), 1)

    return answer


def expired_blockhash(exchange: Exchange) -> Answer:
    """The node does not know the blockhash: it is behind, or the transaction too old."""
    return exchange.error(
        _SIMULATION_FAILED, "Transaction simulation failed: Blockhash not found", {"err": "BlockhashNotFound"}
    )


def behind(exchange: Exchange) -> Answer:
    """The node says itself that it is behind."""
    return exchange.error(_BEHIND, "Node is behind by 42 slots", {"numSlotsBehind": 42})


def too_many_requests(_: Exchange) -> Answer:
    return Answer(429, b'{"jsonrpc":"2.0","error":{"code":429,"message":"Too many requests"}}')


def malformed(body: bytes) -> Fault:
    """Answers with these bytes."""
    return lambda _: Answer(200, body)


def too_long(size_bytes: int) -> Fault:
    """An answer that is right but for its length."""

    def answer(exchange: Exchange) -> Answer:
        reply = json.dumps(exchange.pass_on()).encode()
        return Answer(200, reply + b" " * (size_bytes - len(reply)))

    return answer


FROZEN = ("getLatestBlockhash", "getEpochInfo", "getSlot", "getBlockHeight")


# -- the node


@dataclass
class FaultyRpc:
    """The node. A context manager, with a thread of its own."""

    behind_url: str
    passed: list[bytes] = field(default_factory=list)
    """Transactions that were handed over to it, in order."""

    def __post_init__(self) -> None:
        self.healed = threading.Event()
        self._faults: dict[str, tuple[Fault, int | None]] = {}
        self._lock = threading.Lock()
        self._upstream = urlsplit(self.behind_url)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.node = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, method: str, fault: Fault, times: int | None = None) -> None:
        """From now on, for that many calls or until :meth:`heal`."""
        with self._lock:
            self._faults[method] = (fault, times)

    def freeze(self) -> None:
        """Stay where the chain is now: an old height and blockhash, and nothing that lands from here on."""
        for method in FROZEN:
            body = {"jsonrpc": "2.0", "id": 0, "method": method, "params": []}
            self.fault(method, _repeating(json.loads(self.post(json.dumps(body).encode()))["result"]))
        slot = json.loads(self.post(b'{"jsonrpc":"2.0","id":0,"method":"getSlot","params":[]}'))["result"]
        self.fault("getSignatureStatuses", lambda e: e.with_context([None] * len(e.params[0]), slot))
        self.fault("sendTransaction", swallowed)

    def heal(self) -> None:
        """Be honest again; who waits for a lost answer is hung up on."""
        with self._lock:
            self._faults.clear()
        self.healed.set()
        self.healed = threading.Event()

    def answer(self, request: dict[str, Any]) -> Answer:
        exchange = Exchange(self, request)
        with self._lock:
            if exchange.method == "sendTransaction":
                self.passed.append(base64.b64decode(exchange.params[0]))
            fault, left = self._faults.get(exchange.method, (honest, None))
            if left is not None:
                self._faults[exchange.method] = (fault, left - 1) if left > 1 else (honest, None)
        return fault(exchange)

    def post(self, body: bytes) -> bytes:
        """Ask the node behind."""
        connection = http.client.HTTPConnection(
            str(self._upstream.hostname), self._upstream.port, timeout=_UPSTREAM_TIMEOUT_S
        )
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        finally:
            connection.close()


def _repeating(result: object) -> Fault:
    return lambda exchange: exchange.result(result)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    node: FaultyRpc

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked did not wait; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.node.answer(request)
        if not answer.status:
            self.close_connection = True
            return
        head = f"HTTP/1.1 {answer.status} As it is\r\nContent-Length: {len(answer.body)}\r\n\r\n"
        self.wfile.write(head.encode() + answer.body)
