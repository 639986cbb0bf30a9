"""One long-lived framed stream to another peer: the trio driver of :mod:`p2p.net.machine`.

The reader never waits for anything but bytes: handlers run in tasks of their own, replies wake their callers,
and a remote side that makes us send more than it reads loses the channel.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import trio
from libp2p.abc import INetStream

from p2p.core.errors import CyxWizError
from p2p.core.ids import PeerId
from p2p.core.limits import (
    HANDSHAKE_TIMEOUT_S,
    IDLE_PING_S,
    LOG_CREDIT_BYTES,
    PING_TIMEOUT_S,
    REQUESTS_IN_FLIGHT_MAX,
    SEND_QUEUE_MAX_BYTES,
    SEND_QUEUE_MAX_FRAMES,
    STREAMS_IN_FLIGHT_MAX,
)
from p2p.net.calls import Call, Methods, error_of
from p2p.net.errors import raised_error, unreachable
from p2p.net.machine import (
    Asked,
    Cancelled,
    ChannelMachine,
    CreditArrived,
    Event,
    Failed,
    ItemArrived,
    PongArrived,
    ProtocolViolation,
    Replied,
    StreamEnded,
    item_cost_bytes,
)

logger = logging.getLogger(__name__)

_WRITE_BATCH_BYTES = 256 * 1024


class _Reply:
    """Where a caller waits."""

    def __init__(self) -> None:
        self.arrived = trio.Event()
        self.payload = b""
        self.error: CyxWizError | None = None


class _Items:
    """Items of one stream that have arrived and have not been taken. Bounded by the credit that we
    granted."""

    def __init__(self) -> None:
        self.changed = trio.Event()
        self.waiting: deque[bytes] = deque()
        self.ended = False
        self.error: CyxWizError | None = None

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class Channel:
    """A channel to one peer. Run :meth:`run` in a task; it returns when the channel has ended."""

    def __init__(self, stream: INetStream, peer_id: PeerId, methods: Methods, *, dialler: bool) -> None:
        self.peer_id = peer_id
        self.dialler = dialler
        self.closed = trio.Event()
        self._stream = stream
        self._methods = methods
        self._machine = ChannelMachine(dialler=dialler)
        self._replies: dict[int, _Reply] = {}
        self._streams: dict[int, _Items] = {}
        self._serving: dict[int, trio.CancelScope] = {}
        self._credit_arrived: dict[int, trio.Event] = {}
        self._request_slots = trio.Semaphore(REQUESTS_IN_FLIGHT_MAX)
        self._stream_slots = trio.Semaphore(STREAMS_IN_FLIGHT_MAX)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._queue_changed = trio.Event()
        self._heard = trio.Event()
        self._pong = trio.Event()
        self._scope = trio.CancelScope()

    @property
    def idle(self) -> bool:
        """Whether nothing is asked in either direction and all is sent."""
        return self._machine.idle and not self._queue

    # -- asking

    async def call(self, method: str, payload: bytes) -> bytes:
        """Ask and wait for the reply; the caller sets the timeout.

        :raises CyxWizError: what the other side answered.
        :raises EnvironmentFailure: ``peer_unreachable``: the channel was lost.
        """
        async with self._request_slots:
            await self._room()
            asked_id, data = self._machine.request(method, payload)
            self._enqueue(data)
            reply = self._replies[asked_id] = _Reply()
            try:
                await reply.arrived.wait()
            finally:
                del self._replies[asked_id]
                self._enqueue(self._machine.cancel(asked_id))
            if reply.error is not None:
                raise reply.error
            return reply.payload

    @asynccontextmanager
    async def stream(self, method: str, payload: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        """Ask for a stream; leaving the block tells the other side to stop. Errors as in :meth:`call`."""
        async with self._stream_slots:
            await self._room()
            asked_id, data = self._machine.open_stream(method, payload, LOG_CREDIT_BYTES)
            self._enqueue(data)
            items = self._streams[asked_id] = _Items()
            iterator = self._take_items(asked_id, items)
            try:
                async with aclosing(iterator):
                    yield iterator
            finally:
                del self._streams[asked_id]
                self._enqueue(self._machine.cancel(asked_id))

    async def _take_items(self, asked_id: int, items: _Items) -> AsyncGenerator[bytes, None]:
        taken_bytes = 0
        while True:
            while not items.waiting:
                if items.error is not None:
                    raise items.error
                if items.ended:
                    return
                await items.changed.wait()
            item = items.waiting.popleft()
            taken_bytes += item_cost_bytes(item)
            if taken_bytes >= LOG_CREDIT_BYTES // 4:
                self._enqueue(self._machine.grant(asked_id, taken_bytes))
                taken_bytes = 0
            yield item

    async def ping(self) -> None:
        """Wait until the other side has answered a ping, or the channel is lost (see :attr:`closed`)."""
        pong = self._pong
        self._enqueue(self._machine.ping())
        await pong.wait()

    def close(self) -> None:
        """End the channel soon: whoever waits gets ``peer_unreachable``."""
        self._scope.cancel()

    # -- lifetime

    async def run(self) -> None:
        """Serve the channel until it ends. Never raises but when cancelled from outside."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write_queue)
                    nursery.start_soon(self._watch_silence)
                    await self._read(nursery)
                    nursery.cancel_scope.cancel()
        finally:
            self._lose()
            with trio.CancelScope(shield=True), trio.move_on_after(HANDSHAKE_TIMEOUT_S):
                await self._reset_stream()

    async def _reset_stream(self) -> None:
        try:
            await self._stream.reset()
        except Exception as error:
            # Whatever the library raises on a connection that is gone already.
            logger.debug("resetting the channel to %s: %r", self.peer_id, error)

    def _lose(self) -> None:
        """Wake everybody who waits for this channel."""
        self.closed.set()
        error = unreachable(self.peer_id, "the connection was lost")
        for reply in self._replies.values():
            reply.error = reply.error or error
            reply.arrived.set()
        for items in self._streams.values():
            items.error = items.error or error
            items.wake()
        self._pong.set()
        self._queue_changed.set()

    async def _watch_silence(self) -> None:
        while True:
            self._heard = trio.Event()
            with trio.move_on_after(IDLE_PING_S):
                await self._heard.wait()
                await trio.sleep(IDLE_PING_S)
                continue
            with trio.move_on_after(PING_TIMEOUT_S):
                await self.ping()
                continue
            logger.info("channel to %s: no answer to a ping", self.peer_id)
            self.close()
            return

    # -- writing

    async def _room(self) -> None:
        """Wait until the send queue has room.

        :raises EnvironmentFailure: ``peer_unreachable``.
        """
        await trio.lowlevel.checkpoint()  # a producer that never waits must not keep others from running
        while not self.closed.is_set() and self._queue_is_full():
            await self._queue_changed.wait()
        if self.closed.is_set():
            raise unreachable(self.peer_id, "the connection was lost")

    def _queue_is_full(self) -> bool:
        return len(self._queue) >= SEND_QUEUE_MAX_FRAMES or self._queued_bytes >= SEND_QUEUE_MAX_BYTES

    def _enqueue(self, data: bytes) -> None:
        """Queue without waiting. Frames that cannot wait may overfill the queue; twice over, the channel
        ends."""
        if not data or self.closed.is_set():
            return
        self._queue.append(data)
        self._queued_bytes += len(data)
        if len(self._queue) > 2 * SEND_QUEUE_MAX_FRAMES or self._queued_bytes > 2 * SEND_QUEUE_MAX_BYTES:
            logger.warning("channel to %s: it does not read what it asks for", self.peer_id)
            self.close()
        self._note_queue_change()

    def _note_queue_change(self) -> None:
        self._queue_changed.set()
        self._queue_changed = trio.Event()

    async def _write_queue(self) -> None:
        while True:
            while not self._queue:
                await self._queue_changed.wait()
            batch: list[bytes] = []
            size = 0
            while self._queue and size < _WRITE_BATCH_BYTES:
                batch.append(self._queue.popleft())
                size += len(batch[-1])
            try:
                await self._stream.write(b"".join(batch))
            except Exception as error:
                # Whatever the library's layers raise on a lost connection.
                logger.info("channel to %s ended while writing: %r", self.peer_id, error)
                self.close()
                return
            self._queued_bytes -= size
            self._note_queue_change()

    # -- reading

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            try:
                data = await self._stream.read(_WRITE_BATCH_BYTES)
            except Exception as error:
                # End of stream, reset, a lost connection: each layer of the library has its own exception.
                logger.info("channel to %s ended: %r", self.peer_id, error)
                return
            if not data:
                return
            self._heard.set()
            try:
                events, answers = self._machine.receive(data)
            except ProtocolViolation as violation:
                logger.warning("channel to %s: %s", self.peer_id, violation)
                return
            self._enqueue(answers)
            for event in events:
                self._on_event(event, nursery)

    def _on_event(self, event: Event, nursery: trio.Nursery) -> None:
        match event:
            case Asked():
                scope = self._serving[event.id] = trio.CancelScope()
                nursery.start_soon(self._serve, event, scope)
            case Replied():
                if (reply := self._replies.get(event.id)) is not None:
                    reply.payload = event.payload
                    reply.arrived.set()
            case Failed():
                self._on_failed(event)
            case ItemArrived():
                if (items := self._streams.get(event.id)) is not None:
                    items.waiting.append(event.payload)
                    items.wake()
            case StreamEnded():
                if (items := self._streams.get(event.id)) is not None:
                    items.ended = True
                    items.wake()
            case CreditArrived():
                if (credit := self._credit_arrived.get(event.id)) is not None:
                    credit.set()
            case Cancelled():
                if (serving := self._serving.get(event.id)) is not None:
                    serving.cancel()
            case PongArrived():
                self._pong.set()
                self._pong = trio.Event()

    def _on_failed(self, event: Failed) -> None:
        error = raised_error(event.error)
        if (reply := self._replies.get(event.id)) is not None:
            reply.error = error
            reply.arrived.set()
        if (items := self._streams.get(event.id)) is not None:
            items.error = error
            items.wake()

    # -- answering

    async def _serve(self, asked: Asked, scope: trio.CancelScope) -> None:
        """Answer one call. The guard of every handler: nothing it raises goes further than this."""
        call = Call(self.peer_id, asked.method, asked.payload)
        try:
            with scope:
                if asked.streaming:
                    await self._serve_items(asked.id, call)
                    await self._room()
                    self._enqueue(self._machine.end(asked.id))
                else:
                    payload = await self._methods.answer(call)
                    await self._room()
                    self._enqueue(self._machine.reply(asked.id, payload))
        except Exception as problem:
            if not self.closed.is_set():
                self._enqueue(self._machine.fail(asked.id, error_of(problem, call)))
        finally:
            del self._serving[asked.id]

    async def _serve_items(self, asked_id: int, call: Call) -> None:
        credit = self._credit_arrived[asked_id] = trio.Event()
        try:
            async with aclosing(self._methods.answer_stream(call)) as items:
                async for item in items:
                    while not self._machine.may_send_item(asked_id, item):
                        await credit.wait()
                        credit = self._credit_arrived[asked_id] = trio.Event()
                    await self._room()
                    self._enqueue(self._machine.item(asked_id, item))
        finally:
            del self._credit_arrived[asked_id]
