"""Real peers on the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import trio

from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer

OpenPeer = Callable[..., Awaitable[Peer]]

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)


@pytest.fixture
async def open_peer() -> AsyncIterator[OpenPeer]:
    """Opens peers that live until the test ends, each in a task of its own."""
    over = trio.Event()

    async def live(
        identity: PeerIdentity | None,
        listen: Sequence[str],
        options: dict[str, Any],
        task_status: trio.TaskStatus[Peer],
    ) -> None:
        async with Peer.open(identity or PeerIdentity.ephemeral(), listen, **options) as peer:
            task_status.started(peer)
            await over.wait()

    async with trio.open_nursery() as nursery:

        async def open_one(
            identity: PeerIdentity | None = None, listen: Sequence[str] = LOOPBACK, **options: Any
        ) -> Peer:
            peer: Peer = await nursery.start(live, identity, listen, options)
            return peer

        yield open_one
        over.set()


@pytest.fixture
async def server(open_peer: OpenPeer) -> Peer:
    return await open_peer()


@pytest.fixture
async def client(open_peer: OpenPeer) -> Peer:
    return await open_peer()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait, with a deadline, for something that no event announces."""

    async def wait(condition: Callable[[], bool]) -> None:
        with trio.fail_after(10):
            while not condition():
                await trio.sleep(0.01)

    return wait
