"""JSON-RPC over HTTP from servers that misbehave, each over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from p2p.chain import rpc as module
from p2p.chain.rpc import Rpc, RpcError, account_of, number_of, refused, value_of
from p2p.core.errors import EnvironmentFailure

Handler = Callable[[dict[str, Any]], bytes | None]


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def result(value: object) -> Handler:
    return lambda request: http(json.dumps({"id": request["id"], "result": value}).encode())


class Server:
    """Answers each request with what the handler says; nothing: never answers."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[dict[str, Any]] = []

    async def start(self, nursery: trio.Nursery) -> str:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, self._serve, listeners)
        return f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    async def _serve(self, stream: trio.SocketStream) -> None:
        received = b""
        async for part in stream:
            received += part
            head, _, body = received.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if length and len(body) == length:
                received = b""
                self.requests.append(json.loads(body))
                answer = self.handler(self.requests[-1])
                if answer is None:
                    await trio.sleep_forever()
                else:
                    await stream.send_all(answer)
                    return


async def ask(handlers: list[Handler]) -> tuple[Any, list[Server]]:
    servers = [Server(handler) for handler in handlers]
    async with trio.open_nursery() as nursery:
        urls = tuple([await server.start(nursery) for server in servers])
        try:
            async with Rpc(urls) as rpc:
                return await rpc.call("getSlot", {"a": 1}), servers
        finally:
            nursery.cancel_scope.cancel()


def failure_of(error: pytest.ExceptionInfo[BaseException]) -> BaseException:
    found = error.value
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


BAD: dict[str, Handler] = {
    "429": lambda _: http(b"slow down", "429 Too Many Requests"),
    "503": lambda _: http(b"", "503 Service Unavailable"),
    "hang up": lambda _: b"",
    "half an answer": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "no HTTP": lambda _: b"hello\r\n\r\n",
    "HTML": lambda _: http(b"<html>"),
    "404": lambda _: http(b"not here", "404 Not Found"),
    "deep": lambda _: http(b"[" * 100_000),
    "another id": lambda _: http(b'{"id": -1, "result": 5}'),
    "a list": lambda _: http(b"[]"),
    "no result": lambda request: http(json.dumps({"id": request["id"]}).encode()),
    "behind": lambda request: http(json.dumps({"id": request["id"], "error": {"code": -32005}}).encode()),
}


async def test_what_was_asked_and_answered() -> None:
    found, servers = await ask([result(41)])
    assert found == 41
    request = servers[0].requests[0]
    assert (request["jsonrpc"], request["method"], request["params"]) == ("2.0", "getSlot", [{"a": 1}])


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_node_is_an_environment_failure(name: str) -> None:
    with pytest.raises((EnvironmentFailure, BaseExceptionGroup)) as error:
        await ask([BAD[name]])
    failure = failure_of(error)
    assert isinstance(failure, EnvironmentFailure)
    assert failure.code in ("chain_unreachable", "chain_unexpected")


@pytest.mark.parametrize("name", BAD)
async def test_the_next_node_is_asked(name: str) -> None:
    found, servers = await ask([BAD[name], result(42)])
    assert found == 42
    assert [len(server.requests) for server in servers] == [1, 1]


async def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RPC_TIMEOUT_S", 0.2)
    found, _ = await ask([lambda _: None, result(43)])
    assert found == 43


async def test_a_reply_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RPC_REPLY_MAX_BYTES", 1000)
    found, _ = await ask([result("x" * 2000), result(44)])
    assert found == 44


async def test_an_error_is_the_nodes_answer_and_asks_nobody_else() -> None:
    error = {"code": -32602, "message": "Invalid param", "data": {"x": 1}}
    with pytest.raises((RpcError, BaseExceptionGroup)) as raised:
        await ask([lambda r: http(json.dumps({"id": r["id"], "error": error}).encode()), result(1)])
    failure = failure_of(raised)
    assert isinstance(failure, RpcError)
    assert (failure.number, failure.message, failure.data) == (-32602, "Invalid param", {"x": 1})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RpcError(-32002, "failed", {"err": {"InstructionError": [0, {"Custom": 6007}]}}), "escrow_paused"),
        (RpcError(-32002, "failed", {"err": "BlockhashNotFound"}), "transaction_refused"),
        (RpcError(-32002, "failed", {"err": {"InstructionError": [0, "X"]}}), "transaction_refused"),
        (RpcError(-32002, "failed", None), "transaction_refused"),
        (RpcError(-32601, "Method not found", None), "chain_unexpected"),
    ],
)
def test_errors_in_words(error: RpcError, code: str) -> None:
    assert refused(error).code == code


GOOD = {"data": ["AAE=", "base64"], "owner": "o", "lamports": 5}


def test_accounts_are_checked() -> None:
    assert account_of(None) is None
    assert account_of(GOOD) == (b"\0\1", "o", 5)
    for wrong in (
        5,
        [],
        {},
        {**GOOD, "data": "AAE="},
        {**GOOD, "data": ["AAE=", "base58"]},
        {**GOOD, "data": ["!", "base64"]},
        {**GOOD, "data": [5, "base64"]},
        {**GOOD, "lamports": "5"},
        {**GOOD, "lamports": -5},
    ):
        with pytest.raises(EnvironmentFailure):
            account_of(wrong)


def test_values_and_numbers_are_checked() -> None:
    assert value_of({"context": {}, "value": None}) is None
    assert number_of(0) == 0
    for wrong in (None, 5, [], {}):
        with pytest.raises(EnvironmentFailure):
            value_of(wrong)
    for wrong in (None, True, 1.5, "1", -1):
        with pytest.raises(EnvironmentFailure):
            number_of(wrong)
