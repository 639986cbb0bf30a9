"""More inbound connections than the library's own limits allow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.net.dialler import open_stream
from p2p.net.host import build_host, running
from p2p.net.identity import PeerIdentity
from p2p.net.peer import CONTROL_PROTOCOL, Call, Peer

CONNECTIONS = 300  # the library keeps 256 by default, while the others believe to be connected


async def test_three_hundred_peers_stay_connected_and_are_served(server: Peer, client: Peer) -> None:
    async def echo(call: Call) -> bytes:
        return call.payload

    server.serve("echo", echo)
    at_once = trio.Semaphore(16)
    over = trio.Event()

    async def connect(task_status: trio.TaskStatus[None]) -> None:
        host = build_host(PeerIdentity.ephemeral(), 4)
        async with running(host, []):
            async with at_once:
                await open_stream(host, server.peer_id, CONTROL_PROTOCOL, server.addresses)
            task_status.started()
            await over.wait()

    async with trio.open_nursery() as nursery, trio.open_nursery() as starting:
        for _ in range(CONNECTIONS):
            starting.start_soon(nursery.start, connect)
        with trio.fail_after(90):
            while len(server.connected_peers()) < CONNECTIONS:
                await trio.sleep(0.05)
        assert await client.call(server.peer_id, "echo", b"x", addrs=server.addresses) == b"x"
        assert len(server.connected_peers()) == CONNECTIONS + 1
        assert server.host.swarm.get_total_connections() == CONNECTIONS + 1
        over.set()
    assert await client.call(server.peer_id, "echo", b"y") == b"y"


async def test_the_limit_refuses_the_next_and_keeps_the_others(
    open_peer: Callable[..., Awaitable[Peer]],
) -> None:
    server = await open_peer(connections_max=4)

    async def echo(call: Call) -> bytes:
        return call.payload

    server.serve("echo", echo)
    clients = [await open_peer() for _ in range(4)]
    for client in clients:
        assert await client.call(server.peer_id, "echo", b"x", addrs=server.addresses) == b"x"
    host = build_host(PeerIdentity.ephemeral(), 4)
    async with running(host, []):
        with pytest.raises(EnvironmentFailure):
            await open_stream(host, server.peer_id, CONTROL_PROTOCOL, server.addresses)
    for client in clients:
        assert await client.call(server.peer_id, "echo", b"y") == b"y"
