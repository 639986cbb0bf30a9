"""News without content, for tasks of one process."""

from __future__ import annotations

import trio


class Signal:
    """Anybody may ring it, and any number may wait for the next ring."""

    def __init__(self) -> None:
        self.count = 0
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        self._event.set()
        self._event = trio.Event()

    async def wait(self, since: int, timeout_s: float) -> int:
        """Return at once if it was rung after ``since`` (a former :attr:`count`), else at the next ring or
        after ``timeout_s``. Returns the count."""
        if self.count == since:
            with trio.move_on_after(timeout_s):
                await self._event.wait()
        return self.count
