"""Calls and streams between two real peers."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
import trio

from p2p.core.errors import CyxWizError, EnvironmentFailure, JobFailed, Refused, UserError
from p2p.core.limits import (
    FRAME_MAX_BYTES,
    LOG_CREDIT_BYTES,
    REQUESTS_IN_FLIGHT_MAX,
    STREAM_ITEM_MAX_BYTES,
)
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Call, Peer

OpenPeer = Callable[..., Awaitable[Peer]]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


async def echo(call: Call) -> bytes:
    return call.payload


async def drain(client: Peer, server: Peer, method: str, items: list[bytes]) -> None:
    """Add every item of a stream to ``items``, as they come."""
    async with client.stream(server.peer_id, method, b"") as stream:
        async for item in stream:
            items.append(item)


async def test_both_sides_call_over_one_channel(server: Peer, client: Peer) -> None:
    seen: list[str] = []

    async def who(call: Call) -> bytes:
        seen.append(call.peer_id)
        return call.payload.upper()

    server.serve("who", who)
    client.serve("who", who)
    assert await client.call(server.peer_id, "who", b"there", addrs=server.addresses) == b"THERE"
    assert await server.call(client.peer_id, "who", b"back") == b"BACK"  # no address: the same channel
    assert seen == [client.peer_id, server.peer_id]
    assert client.connected_peers() == {server.peer_id}


async def test_a_peer_that_is_closing_says_so(server: Peer, client: Peer) -> None:
    """Its tasks have ended, and it still has a connection for a moment."""
    server.serve("echo", echo)
    client.nursery.cancel_scope.cancel()
    with pytest.raises(EnvironmentFailure) as caught:
        await client.call(server.peer_id, "echo", b"", addrs=server.addresses)
    assert caught.value.code == "peer_unreachable"
    assert client.connected_peers() == frozenset()


async def test_addresses_name_the_peer(server: Peer) -> None:
    assert server.addresses
    assert all(address.endswith(f"/p2p/{server.peer_id}") for address in server.addresses)


async def test_a_peer_that_listens_everywhere_names_addresses_that_lead_to_it(
    open_peer: OpenPeer, client: Peer
) -> None:
    everywhere = await open_peer(listen=["/ip4/0.0.0.0/tcp/0"])
    everywhere.serve("echo", echo)
    assert everywhere.addresses
    assert not any("/0.0.0.0/" in address for address in everywhere.addresses)
    for address in everywhere.addresses:
        assert await client.call(everywhere.peer_id, "echo", b"x", addrs=[address]) == b"x"
        await client.disconnect(everywhere.peer_id)
    assert await everywhere.bulk.port()  # direct transfers listen everywhere, too


async def test_many_calls_at_once_are_told_apart(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    replies: dict[int, bytes] = {}

    async def one(number: int) -> None:
        replies[number] = await client.call(server.peer_id, "echo", b"%d" % number, addrs=server.addresses)

    async with trio.open_nursery() as nursery:
        for number in range(2 * REQUESTS_IN_FLIGHT_MAX):
            nursery.start_soon(one, number)
    assert replies == {number: b"%d" % number for number in range(2 * REQUESTS_IN_FLIGHT_MAX)}


async def test_a_large_message_goes_and_a_larger_one_is_refused_before_it_is_sent(
    server: Peer, client: Peer
) -> None:
    server.serve("echo", echo)
    large = bytes(FRAME_MAX_BYTES - 64)
    assert await client.call(server.peer_id, "echo", large, addrs=server.addresses) == large
    with pytest.raises(UserError, match="over the limit"):
        await client.call(server.peer_id, "echo", bytes(FRAME_MAX_BYTES))
    assert await client.call(server.peer_id, "echo", b"still there") == b"still there"


@pytest.mark.parametrize(
    "error",
    [
        UserError("bad_thing", "It is bad.", "Nothing happened.", "Do better."),
        Refused("not_yours", "No."),
        JobFailed("job_failed", "It failed."),
        EnvironmentFailure("disk_full", "Full.", retryable=False),
        EnvironmentFailure("slow", "Slow.", retryable=True),
    ],
    ids=lambda error: error.code,
)
async def test_an_error_arrives_as_what_it_was(server: Peer, client: Peer, error: CyxWizError) -> None:
    async def fail(call: Call) -> bytes:
        async with trio.open_nursery():  # wraps it in a group, as handlers with nurseries do
            raise error

    server.serve("fail", fail)
    with pytest.raises(type(error)) as caught:
        await client.call(server.peer_id, "fail", b"", addrs=server.addresses)
    assert type(caught.value) is type(error)
    assert caught.value.code == error.code
    assert caught.value.lines() == error.lines()
    assert getattr(caught.value, "retryable", None) == getattr(error, "retryable", None)


async def test_a_broken_handler_tells_nothing_and_harms_nothing(
    server: Peer, client: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(call: Call) -> bytes:
        raise ValueError("secret 4711")

    async def broken_stream(call: Call) -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise ValueError("secret 4711")

    server.serve("echo", echo)
    server.serve("broken", broken)
    server.serve_stream("broken_stream", broken_stream)
    with caplog.at_level(logging.ERROR, "p2p.net.calls"):
        with pytest.raises(EnvironmentFailure) as caught:
            await client.call(server.peer_id, "broken", b"", addrs=server.addresses)
        assert caught.value.code == "peer_internal"
        assert "4711" not in "".join(caught.value.lines())
        items: list[bytes] = []
        with pytest.raises(EnvironmentFailure) as caught:
            await drain(client, server, "broken_stream", items)
        assert caught.value.code == "peer_internal"
    assert items == [b"one"]
    assert caplog.text.count("failed for peer") == 2
    assert "secret 4711" in caplog.text  # its operator sees it
    assert await client.call(server.peer_id, "echo", b"still there") == b"still there"


async def test_an_unknown_method_is_named(server: Peer, client: Peer) -> None:
    with pytest.raises(UserError, match="no_such_thing") as caught:
        await client.call(server.peer_id, "no_such_thing", b"", addrs=server.addresses)
    assert caught.value.code == "unknown_method"
    with pytest.raises(UserError, match="no_such_thing"):
        await drain(client, server, "no_such_thing", [])


async def test_giving_up_cancels_the_handler(server: Peer, client: Peer) -> None:
    started, cancelled = trio.Event(), trio.Event()

    async def slow(call: Call) -> bytes:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()
        return b""

    server.serve("slow", slow)
    with pytest.raises(EnvironmentFailure) as caught:
        await client.call(server.peer_id, "slow", b"", addrs=server.addresses, timeout_s=0.5)
    assert caught.value.code == "peer_timeout"
    assert started.is_set()
    with trio.fail_after(5):
        await cancelled.wait()


async def test_a_handler_may_not_take_for_ever(server: Peer, client: Peer) -> None:
    async def slow(call: Call) -> bytes:
        await trio.sleep_forever()
        return b""

    server.serve("slow", slow, timeout_s=0.1)
    with pytest.raises(EnvironmentFailure) as caught:
        await client.call(server.peer_id, "slow", b"", addrs=server.addresses)
    assert caught.value.code == "handler_timeout"


async def test_a_stream_delivers_everything_in_order(server: Peer, client: Peer) -> None:
    async def count(call: Call) -> AsyncGenerator[bytes, None]:
        for number in range(5000):
            yield b"%05d" % number

    server.serve_stream("count", count)
    async with client.stream(server.peer_id, "count", b"", addrs=server.addresses) as items:
        assert [int(item) async for item in items] == list(range(5000))


async def test_a_stalled_reader_stops_the_producer_and_nothing_else(
    server: Peer, client: Peer, eventually: Eventually
) -> None:
    produced_bytes = 0
    closed = trio.Event()

    async def endless(call: Call) -> AsyncGenerator[bytes, None]:
        nonlocal produced_bytes
        try:
            while True:
                produced_bytes += STREAM_ITEM_MAX_BYTES
                yield bytes(STREAM_ITEM_MAX_BYTES)
        finally:
            closed.set()

    server.serve("echo", echo)
    server.serve_stream("endless", endless)
    async with client.stream(server.peer_id, "endless", b"", addrs=server.addresses) as items:
        await anext(aiter(items))
        await eventually(lambda: produced_bytes >= LOG_CREDIT_BYTES)
        for _ in range(50):  # the channel goes on, the producer does not
            assert await client.call(server.peer_id, "echo", b"x") == b"x"
        assert produced_bytes <= LOG_CREDIT_BYTES + 2 * STREAM_ITEM_MAX_BYTES
        for _ in range(20):
            await anext(aiter(items))
        assert produced_bytes > 20 * STREAM_ITEM_MAX_BYTES
        assert not closed.is_set()
    with trio.fail_after(5):
        await closed.wait()


async def test_connection_loss_reaches_everybody_and_a_new_call_connects_again(
    server: Peer, client: Peer, eventually: Eventually
) -> None:
    lost: list[str] = []
    started = trio.Event()

    async def slow(call: Call) -> bytes:
        started.set()
        await trio.sleep_forever()
        return b""

    server.serve("slow", slow)
    server.serve("echo", echo)
    client.on_disconnect(lost.append)
    failures: list[EnvironmentFailure] = []

    async def call_slow() -> None:
        with pytest.raises(EnvironmentFailure) as caught:
            await client.call(server.peer_id, "slow", b"", addrs=server.addresses)
        failures.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call_slow)
        await started.wait()
        await server.disconnect(client.peer_id)
    assert failures[0].code == "peer_unreachable"
    assert failures[0].retryable
    await eventually(lambda: lost == [server.peer_id])
    assert client.connected_peers() == frozenset()
    # The address is remembered.
    assert await client.call(server.peer_id, "echo", b"again") == b"again"


async def test_a_restarted_peer_is_reached_again(client: Peer, eventually: Eventually) -> None:
    identity = PeerIdentity.ephemeral()
    async with Peer.open(identity, ["/ip4/127.0.0.1/tcp/0"]) as first:
        first.serve("echo", echo)
        assert await client.call(identity.peer_id, "echo", b"1", addrs=first.addresses) == b"1"
        address = first.addresses[0].removesuffix(f"/p2p/{identity.peer_id}")
    await eventually(lambda: not client.connected_peers())
    with pytest.raises(EnvironmentFailure) as caught:
        await client.call(identity.peer_id, "echo", b"2")
    assert caught.value.code == "peer_unreachable"
    async with Peer.open(
        identity, [address]
    ) as second:  # the same port; a failed dial is not held against it
        second.serve("echo", echo)
        assert await client.call(identity.peer_id, "echo", b"3") == b"3"


async def test_peers_that_dial_each_other_at_once_end_up_with_one_channel(
    server: Peer, client: Peer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.net.peer.CHANNEL_DRAIN_S", 0.05)
    server.serve("echo", echo)
    client.serve("echo", echo)
    replies: list[bytes] = []

    async def ask(asker: Peer, asked: Peer) -> None:
        replies.append(await asker.call(asked.peer_id, "echo", b"x", addrs=asked.addresses))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask, server, client)
            nursery.start_soon(ask, client, server)
    assert replies == [b"x"] * 10

    def channels(peer: Peer, other: Peer) -> list[Any]:
        return list(peer._links._channels.get(other.peer_id, ()))

    await eventually(lambda: len(channels(server, client)) == len(channels(client, server)) == 1)
    preferred = min(server, client, key=lambda peer: peer.peer_id)
    assert channels(preferred, client if preferred is server else server)[0].dialler
    assert await server.call(client.peer_id, "echo", b"y") == b"y"


async def test_a_peer_does_not_call_itself(server: Peer) -> None:
    with pytest.raises(UserError):
        await server.call(server.peer_id, "echo", b"", addrs=server.addresses)
