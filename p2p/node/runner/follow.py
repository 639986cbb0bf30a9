"""Follows a container's log in a worker thread and hands its entries to an async consumer."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import requests
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import DOCKER_IDLE_READ_S, KIB, MIB
from p2p.node.runner.daemon import Daemon, translated
from p2p.node.runner.logs import IDLE, LogCursor, LogEntry, Unseen, open_log, read_frames

PIECE_BYTES = 64 * KIB
GATHER_S = 0.005
"""How long the consumer lets entries gather: waking it for each one would halve the worker's speed."""
BUFFER_MAX_BYTES = 8 * MIB
"""What the worker reads ahead of the consumer; then it waits."""


@asynccontextmanager
async def follow(
    daemon: Daemon, container: str, cursor: LogCursor, on_entry: Callable[[LogEntry], None]
) -> AsyncIterator[AsyncIterator[LogEntry]]:
    """The entries after ``cursor``, as they come, until the container has ended and all were read.

    ``on_entry`` sees each new entry in the worker thread, before the consumer. Leaving the context ends
    the worker and its connection.
    """
    worker = _Worker(daemon, container, Unseen(cursor), on_entry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run)
        try:
            yield worker
        finally:
            worker.stop()
            nursery.cancel_scope.cancel()


class _Worker:
    """The thread puts entries into a bounded buffer and wakes the consumer, which takes all there are."""

    def __init__(
        self, daemon: Daemon, container: str, unseen: Unseen, on_entry: Callable[[LogEntry], None]
    ) -> None:
        self._daemon, self._container, self._unseen, self._on_entry = daemon, container, unseen, on_entry
        self._token = trio.lowlevel.current_trio_token()
        self._news = trio.Event()
        self._room = threading.Condition()
        self._buffer: deque[LogEntry] = deque()
        self._buffered_bytes = 0
        self._response: requests.Response | None = None
        self._taken: deque[LogEntry] = deque()
        self._stopped = self._ended = self._exhausted = self._woken = False

    async def run(self) -> None:
        """Read to the end of the log.

        :raises EnvironmentFailure: Docker does not answer, or no longer knows the container.
        """
        try:
            await trio.to_thread.run_sync(self._read_to_the_end, abandon_on_cancel=True)
        finally:
            self._ended = True
            self._news.set()

    def __aiter__(self) -> _Worker:
        return self

    async def __anext__(self) -> LogEntry:
        while not self._taken:
            if self._exhausted:
                raise StopAsyncIteration
            await self._news.wait()
            await trio.sleep(GATHER_S)
            self._news = trio.Event()
            self._exhausted = self._ended  # nothing can come after what is taken now
            with self._room:
                self._taken, self._buffer, self._buffered_bytes = self._buffer, deque(), 0
                self._woken = False
                self._room.notify()
        return self._taken.popleft()

    def stop(self) -> None:
        """End the worker: wake it wherever it waits."""
        with self._room:
            self._stopped = True
            self._room.notify()
        _shut(self._response)

    def _read_to_the_end(self) -> None:
        while not self._stopped:
            try:
                # Asked before reading, so that what the job printed last is not missed.
                over = translated("inspect the job's container", self._is_over)
                translated("read the job's log", lambda over=over: self._read_once(follow=not over))  # type: ignore[misc]
            except EnvironmentFailure:
                if not self._stopped:
                    raise
                return
            if over:
                return

    def _is_over(self) -> bool:
        state = self._daemon.client().inspect_container(self._container)["State"]
        return state["Status"] in ("exited", "dead")

    def _read_once(self, *, follow: bool) -> None:
        self._unseen.restart()
        since_ns = self._unseen.cursor.since_ns()
        response = self._response = open_log(self._daemon.client(), self._container, since_ns, follow=follow)
        connection = response.raw.connection  # forgotten by urllib3 once the other side has closed it
        try:
            if self._stopped:  # while the request was on its way
                return
            for entry in read_frames(response.raw.stream(PIECE_BYTES, decode_content=False)):
                if self._stopped:
                    return
                if self._unseen.accept(entry):
                    self._on_entry(entry)
                    self._put(entry)
        except IDLE:
            return
        except (OSError, ValueError):
            if not self._stopped:  # otherwise we shut the connection ourselves
                raise
        finally:
            self._response = None
            response.close()
            if connection is not None:
                connection.close()

    def _put(self, entry: LogEntry) -> None:
        with self._room:
            while self._buffered_bytes > BUFFER_MAX_BYTES and not self._stopped:
                self._room.wait(DOCKER_IDLE_READ_S)
            self._buffer.append(entry)
            self._buffered_bytes += len(entry.data)
            woken, self._woken = self._woken, True
        if not woken:
            try:
                self._token.run_sync_soon(self._wake)
            except trio.RunFinishedError:
                self._stopped = True

    def _wake(self) -> None:
        self._news.set()


def _shut(response: requests.Response | None) -> None:
    """Make a read that is waiting in another thread return."""
    connection = getattr(getattr(response, "raw", None), "connection", None)
    if connection is not None and connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster
