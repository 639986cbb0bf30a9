"""Waking loops and long polls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import EVENT_WATCHERS_PER_BUYER_MAX


class Signal:
    """Wakes whoever waits; setting it while nobody waits makes the next wait return at once."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Until set, or for ``timeout_s`` at most."""
        with trio.move_on_after(timeout_s):
            await self._event.wait()
        self._event = trio.Event()


class Board:
    """One event per topic (a buyer's wallet): everybody who waits for it wakes when it is posted."""

    def __init__(self) -> None:
        self._events: dict[str, trio.Event] = {}
        self._watchers: Counter[str] = Counter()

    def post(self, topic: str) -> None:
        event = self._events.pop(topic, None)
        if event is not None:
            event.set()

    @contextmanager
    def watching(self, topic: str) -> Iterator[None]:
        """Around :meth:`watch`: what nobody watches is forgotten.

        :raises EnvironmentFailure: ``too_many_watchers`` of this topic.
        """
        if self._watchers[topic] >= EVENT_WATCHERS_PER_BUYER_MAX:
            raise EnvironmentFailure(
                "too_many_watchers",
                f"{EVENT_WATCHERS_PER_BUYER_MAX} calls of this wallet wait for events already.",
                "The jobs go on; only the news come later.",
                "Close engines that are not needed.",
            )
        self._watchers[topic] += 1
        try:
            yield
        finally:
            self._watchers[topic] -= 1
            if not self._watchers[topic]:
                del self._watchers[topic]
                self._events.pop(topic, None)

    def watch(self, topic: str) -> trio.Event:
        """Take this before looking, so that nothing falls between looking and waiting."""
        return self._events.setdefault(topic, trio.Event())

    def __len__(self) -> int:
        return len(self._events)
