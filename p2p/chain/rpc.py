"""Solana JSON-RPC over HTTP, with fail-over, and every reply checked before it is believed."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
from contextlib import aclosing
from functools import cache
from types import TracebackType
from typing import Any, Self

import httpx
import trio

from p2p.chain.errors import ProgramRefused, chain_unexpected, chain_unreachable, error_word, program_number
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import RPC_REPLY_MAX_BYTES, RPC_TIMEOUT_S

_BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_TOO_MANY_REQUESTS = 429
_SEND_FAILED_IN_SIMULATION = -32002
_NODE_BEHIND = -32005
_NODES_OWN_TROUBLE = frozenset({-32603, -32016, -32014, -32004})
"""Internal error, slot not reached, status or block not there yet: another node may do better."""
_METHOD_NOT_FOUND = -32601


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than many calls; once is enough."""
    return httpx.create_ssl_context(trust_env=False)


class _Body(httpx.AsyncByteStream):
    """What is sent. httpx iterates over an async generator, which nobody finishes when a call is cancelled
    while it sends; this is not one."""

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class RpcError(Exception):
    """The node understood the request and said no."""

    def __init__(self, number: int, message: str, data: object) -> None:
        super().__init__(f"{message} ({number})")
        self.number = number
        self.message = message
        self.data = data


class Rpc:
    """Asks one of several nodes. An async context manager."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self.urls = urls
        self._silent: set[str] = set()
        self._ids = itertools.count(1)
        self._http = httpx.AsyncClient(timeout=RPC_TIMEOUT_S, trust_env=False, verify=_tls())

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RPC_TIMEOUT_S):
            await self._http.__aexit__(kind, error, trace)

    def in_order(self) -> list[str]:
        """The nodes in the order in which to ask them: last those that did not answer when last asked."""
        return sorted(self.urls, key=self.is_silent)

    def is_silent(self, url: str) -> bool:
        """Whether the node did not answer, or made no sense, when it was last asked."""
        return url in self._silent

    async def call(self, method: str, *params: object) -> Any:
        """The result, from the first node that answers.

        :raises EnvironmentFailure: no node answers.
        :raises RpcError: a node answers with an error.
        """
        failures = []
        for url in self.in_order():
            try:
                return await self.call_one(url, method, *params)
            except EnvironmentFailure as error:
                failures.append(error)
        raise failures[-1]

    async def call_one(self, url: str, method: str, *params: object) -> Any:
        """The result from one node; raises as :meth:`call`."""
        try:
            result = await self._ask(url, method, params)
        except EnvironmentFailure:
            self._silent.add(url)
            raise
        self._silent.discard(url)
        if isinstance(result, RpcError):
            raise result
        return result

    async def _ask(self, url: str, method: str, params: tuple[object, ...]) -> Any:
        """The result, or the error with which the node answered."""
        request_id = next(self._ids)
        body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}
        reply = await self._post(url, json.dumps(body).encode())
        if not isinstance(reply, dict) or reply.get("id") != request_id:
            raise chain_unexpected(f"{method}: not a reply to what was asked")
        error = reply.get("error")
        if isinstance(error, dict):
            number, message = error.get("code"), error.get("message")
            if number == _NODE_BEHIND:
                raise chain_unreachable("the node is behind the cluster", taken=False)
            if number in _NODES_OWN_TROUBLE:
                raise chain_unreachable(f"the node is in trouble: {str(message)[:200]}")
            return RpcError(number if isinstance(number, int) else 0, str(message)[:500], error.get("data"))
        if "result" not in reply:
            raise chain_unexpected(f"{method}: no result")
        return reply["result"]

    async def _post(self, url: str, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        received = bytearray()
        try:
            with trio.fail_after(RPC_TIMEOUT_S):
                request = self._http.build_request("POST", url, content=body, headers=headers)
                request.stream = _Body(body)
                async with aclosing(await self._http.send(request, stream=True)) as response:
                    # cancelled rather than left: what httpx nests would else be closed by nobody
                    with trio.CancelScope() as reading:
                        async for part in response.aiter_bytes():
                            received += part
                            if len(received) > RPC_REPLY_MAX_BYTES:
                                reading.cancel()
        except trio.TooSlowError:
            raise chain_unreachable(f"no answer within {RPC_TIMEOUT_S:.0f} s") from None
        except httpx.HTTPError as error:
            taken = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise chain_unreachable(str(error)[:200] or type(error).__name__, taken=taken) from None
        if len(received) > RPC_REPLY_MAX_BYTES:
            raise chain_unexpected("the reply is too long")
        if response.status_code in _BUSY_STATUSES:
            taken = response.status_code != _TOO_MANY_REQUESTS
            raise chain_unreachable(f"HTTP status {response.status_code}", taken=taken)
        try:
            return json.loads(received)
        except (ValueError, RecursionError):
            raise chain_unexpected(f"HTTP status {response.status_code}, not JSON") from None


def refused(error: RpcError) -> ProgramRefused | EnvironmentFailure:
    """What an error of ``sendTransaction`` means: the program's refusal, or the node's."""
    if error.number == _SEND_FAILED_IN_SIMULATION and isinstance(error.data, dict):
        cause = error.data.get("err")
        return ProgramRefused(program_number(cause), error_word(cause))
    if error.number == _METHOD_NOT_FOUND:
        return chain_unexpected(error.message)
    return ProgramRefused(None, error.message)


def value_of(result: object) -> Any:
    """The value of a reply that comes with its context.

    :raises EnvironmentFailure: there is none.
    """
    if not isinstance(result, dict) or "value" not in result:
        raise chain_unexpected("a reply without value")
    return result["value"]


def slot_of(result: object) -> int:
    """The slot at which a reply that comes with its context holds.

    :raises EnvironmentFailure: there is none.
    """
    context = result.get("context") if isinstance(result, dict) else None
    return number_of(context.get("slot") if isinstance(context, dict) else None)


def number_of(result: object) -> int:
    """A reply that is a non-negative whole number.

    :raises EnvironmentFailure: it is something else.
    """
    if type(result) is not int or result < 0:
        raise chain_unexpected("a number was expected")
    return result


def account_of(value: object) -> tuple[bytes, str, int] | None:
    """Data, owner and lamports of an account in base64, or nothing where there is none.

    :raises EnvironmentFailure: the reply is something else.
    """
    if value is None:
        return None
    try:
        data, encoding = value["data"]  # type: ignore[index]
        owner, lamports = value["owner"], value["lamports"]  # type: ignore[index]
        if encoding != "base64":
            raise ValueError(encoding)
        return base64.b64decode(data, validate=True), str(owner), number_of(lamports)
    except (KeyError, TypeError, ValueError):
        raise chain_unexpected("an account that cannot be read") from None
