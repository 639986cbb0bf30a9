"""Work that is watched while it goes on: items of progress, then what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import trio

from p2p.core.errors import CyxWizError

Item = dict[str, Any]
Report = Callable[[int, int], None]
Work = Callable[[Report], Awaitable[Item]]

_ITEMS_AHEAD = 64


async def items_of(nursery: trio.Nursery, work: Work) -> AsyncGenerator[Item, None]:
    """Items ``{"progress": [one, other]}`` of what ``work`` reports, then what it returns. The work ends when
    nobody takes the items any more.

    :raises CyxWizError: what ``work`` raised.
    """
    send, receive = trio.open_memory_channel[Item | CyxWizError](_ITEMS_AHEAD)
    scope = trio.CancelScope()

    def report(one: int, other: int) -> None:
        try:
            send.send_nowait({"progress": [one, other]})
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the next one says the same and more, or nobody listens

    async def run() -> None:
        # Not in a nursery of this generator's own: a scope may not stay open over a yield.
        with scope:
            async with send:
                try:
                    await send.send(await work(report))
                except CyxWizError as error:
                    await send.send(error)

    nursery.start_soon(run)
    try:
        async for item in receive:
            if isinstance(item, CyxWizError):
                raise item
            yield item
    finally:
        receive.close()
        scope.cancel()
