"""Waking loops and long polls."""

from __future__ import annotations

import trio


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

    def post(self, topic: str) -> None:
        event = self._events.pop(topic, None)
        if event is not None:
            event.set()

    def watch(self, topic: str) -> trio.Event:
        """Take this before looking, so that nothing falls between looking and waiting."""
        return self._events.setdefault(topic, trio.Event())

    def __len__(self) -> int:
        return len(self._events)
