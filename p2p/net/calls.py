"""What is served: methods and their handlers, and how one call is answered."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import trio

from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure, UserError
from p2p.core.frames import ErrorBody
from p2p.core.ids import PeerId
from p2p.core.limits import METHOD_NAME_MAX_CHARS
from p2p.net.errors import INTERNAL, error_body

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call from another peer. ``peer_id`` is authenticated by the connection."""

    peer_id: PeerId
    method: str
    payload: bytes


Handler = Callable[[Call], Awaitable[bytes]]
"""Answers a call. What it raises reaches the caller if it is an error of ours, as ``peer_internal`` if
not."""

StreamHandler = Callable[[Call], AsyncGenerator[bytes, None]]
"""Answers with items, each at most ``STREAM_ITEM_MAX_BYTES``; closed when the caller loses interest."""


@dataclass(frozen=True, slots=True)
class _Served:
    handler: Handler
    timeout_s: float


class Methods:
    """The methods that a peer serves, by name."""

    def __init__(self) -> None:
        self._unary: dict[str, _Served] = {}
        self._streaming: dict[str, StreamHandler] = {}

    def add(self, method: str, handler: Handler, timeout_s: float) -> None:
        self._check_free(method)
        self._unary[method] = _Served(handler, timeout_s)

    def add_stream(self, method: str, handler: StreamHandler) -> None:
        self._check_free(method)
        self._streaming[method] = handler

    def _check_free(self, method: str) -> None:
        if not 0 < len(method) <= METHOD_NAME_MAX_CHARS:
            raise Bug(f"{method!r} cannot be a method name")
        if method in self._unary or method in self._streaming:
            raise Bug(f"{method!r} is served already")

    async def answer(self, call: Call) -> bytes:
        """Run the handler.

        :raises UserError: ``unknown_method``.
        :raises EnvironmentFailure: ``handler_timeout``: it took longer than it may.
        """
        served = self._unary.get(call.method)
        if served is None:
            raise unknown_method(call.method)
        try:
            with trio.fail_after(served.timeout_s):
                return await served.handler(call)
        except trio.TooSlowError:
            raise EnvironmentFailure(
                "handler_timeout",
                f"The other side did not finish {call.method} within {served.timeout_s:.0f} s.",
                "Whether anything was done is not known.",
                "It may be overloaded; try again later.",
            ) from None

    def answer_stream(self, call: Call) -> AsyncGenerator[bytes, None]:
        """:raises UserError: ``unknown_method``."""
        handler = self._streaming.get(call.method)
        if handler is None:
            raise unknown_method(call.method)
        return handler(call)


def unknown_method(method: str) -> UserError:
    """Nothing of that name is served, or not in that way."""
    return UserError(
        "unknown_method",
        f"The other side does not serve {method!r}.",
        hint="It may run another version.",
    )


def error_of(problem: Exception, call: Call) -> ErrorBody:
    """What the caller is told of an exception that a handler raised; the unexpected is logged and not
    told."""
    leaf: BaseException = problem
    while isinstance(leaf, BaseExceptionGroup) and len(leaf.exceptions) == 1:
        leaf = leaf.exceptions[0]  # what a nursery inside the handler made of a single error
    if isinstance(leaf, CyxWizError) and not isinstance(leaf, Bug):
        return error_body(leaf)
    logger.error("handler of %s failed for peer %s", call.method, call.peer_id, exc_info=problem)
    return INTERNAL
