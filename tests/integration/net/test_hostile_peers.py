"""Peers that break the rules: refused or survived, and the host stays up."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.frames import Frame, FrameKind
from p2p.core.limits import (
    CONNECTIONS_PER_PEER_MAX,
    FRAME_MAX_BYTES,
    MUX_STREAMS_PER_CONNECTION_MAX,
    REQUESTS_IN_FLIGHT_MAX,
)
from p2p.net.host import Host, build_host, running
from p2p.net.identity import PeerIdentity
from p2p.net.peer import CONTROL_PROTOCOL, Call, Peer
from p2p.net.yamux import BoundedYamux
from p2p.net.yamux_stream import SYN, WINDOW_UPDATE
from p2p.wire.frames import encode_frame

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


async def echo(call: Call) -> bytes:
    return call.payload


@asynccontextmanager
async def raw_host() -> AsyncIterator[Host]:
    """Our host without our channel: speaks the protocol as the test likes."""
    host = build_host(PeerIdentity.ephemeral(), 16)
    async with running(host, []):
        yield host


async def raw_channel(host: Host, victim: Peer) -> INetStream:
    target = ID.from_base58(victim.peer_id)
    await host.swarm.dial_addr(Multiaddr(victim.addresses[0]), target)
    return await host.new_stream(target, [TProtocol(CONTROL_PROTOCOL)])


async def assert_serves(server: Peer, client: Peer) -> None:
    assert await client.call(server.peer_id, "echo", b"alive", addrs=server.addresses) == b"alive"


async def ended(stream: INetStream) -> bool:
    """Whether the other side has closed or reset the stream, waiting for it."""
    with trio.fail_after(5):
        try:
            while await stream.read(65536):
                pass
        except Exception:
            return True
    return True


def framed(frame: Frame) -> bytes:
    data = encode_frame(frame)
    return struct.pack("!I", len(data)) + data


BROKEN = {
    "oversized": struct.pack("!I", FRAME_MAX_BYTES + 1),
    "malformed": struct.pack("!I", 5) + b"\xff\xff\xff\xff\xff",
    "unknown kind": struct.pack("!I", 2) + b"\x10\x63",
    "wrong parity": framed(Frame(2, FrameKind.REQUEST, "echo")),
    "id not rising": framed(Frame(3, FrameKind.REQUEST, "echo"))
    + framed(Frame(1, FrameKind.REQUEST, "echo")),
    "reply to nothing": framed(Frame(2, FrameKind.REPLY)),
    "credit for nothing": framed(Frame(1, FrameKind.CREDIT, credit_bytes=1)),
    "too much credit": framed(Frame(1, FrameKind.STREAM, "echo", credit_bytes=2**40)),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_frame_ends_its_channel_and_nothing_else(
    server: Peer, client: Peer, data: bytes, eventually: Eventually
) -> None:
    server.serve("echo", echo)
    await assert_serves(server, client)
    async with raw_host() as attacker:
        stream = await raw_channel(attacker, server)
        await eventually(lambda: len(server.connected_peers()) == 2)
        await stream.write(data)
        assert await ended(stream)
        await eventually(lambda: server.connected_peers() == {client.peer_id})
        await assert_serves(server, client)


async def test_half_a_frame_waits_and_then_ends_with_its_connection(
    server: Peer, client: Peer, eventually: Eventually
) -> None:
    server.serve("echo", echo)
    async with raw_host() as attacker:
        stream = await raw_channel(attacker, server)
        await stream.write(struct.pack("!I", 1000) + bytes(10))
        await eventually(lambda: len(server.connected_peers()) == 1)
        await assert_serves(server, client)
    await eventually(lambda: server.connected_peers() == {client.peer_id})
    await assert_serves(server, client)


async def test_streams_of_unknown_protocols_and_resets_are_harmless(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    async with raw_host() as attacker:
        stream = await raw_channel(attacker, server)
        await stream.reset()
        target = ID.from_base58(server.peer_id)
        with pytest.raises(Exception, match=r"."):
            await attacker.new_stream(target, [TProtocol("/nobody/speaks/this")])
        for junk in (b"", b"\x00", b"\xff" * 100, b"\x13/multistream/1.0.0\nxx"):
            muxed = await attacker.swarm.get_connections(target)[0].muxed_conn.open_stream()
            await muxed.write(junk)
            await muxed.close()
        await assert_serves(server, client)


async def test_ten_thousand_streams_are_not_opened(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    async with raw_host() as attacker:
        await raw_channel(attacker, server)
        connection = attacker.swarm.get_connections(ID.from_base58(server.peer_id))[0].muxed_conn
        assert isinstance(connection, BoundedYamux)
        for number in range(10_000):
            connection.queue_control(WINDOW_UPDATE, SYN, 1001 + 2 * number, 0)
            if number % 500 == 0:
                await trio.lowlevel.checkpoint()
        await assert_serves(server, client)
        theirs = server.host.swarm.get_connections(attacker.get_id())
        for inbound in theirs:
            assert isinstance(inbound.muxed_conn, BoundedYamux)
            assert inbound.muxed_conn.streams_open <= MUX_STREAMS_PER_CONNECTION_MAX


async def test_too_many_requests_are_answered_busy_and_the_handlers_are_few(
    server: Peer, eventually: Eventually
) -> None:
    running_now = 0
    release = trio.Event()

    async def slow(call: Call) -> bytes:
        nonlocal running_now
        running_now += 1
        await release.wait()
        return b""

    server.serve("slow", slow)
    async with raw_host() as attacker:
        stream = await raw_channel(attacker, server)
        for number in range(2 * REQUESTS_IN_FLIGHT_MAX):
            await stream.write(framed(Frame(2 * number + 1, FrameKind.REQUEST, "slow")))
        received = b""
        with trio.fail_after(10):
            while received.count(b"peer_busy") < REQUESTS_IN_FLIGHT_MAX:
                received += await stream.read(65536)
        assert running_now == REQUESTS_IN_FLIGHT_MAX
        release.set()


async def test_a_peer_that_does_not_read_its_answers_loses_the_channel(
    server: Peer, client: Peer, eventually: Eventually
) -> None:
    async def large(call: Call) -> bytes:
        return bytes(1024 * 1024)

    server.serve("large", large)
    server.serve("echo", echo)
    async with raw_host() as attacker:
        stream = await raw_channel(attacker, server)
        peer_id = attacker.get_id().to_base58()
        await eventually(lambda: peer_id in server.connected_peers())

        async def ask() -> None:
            number = -1
            while True:
                number += 2
                await stream.write(framed(Frame(number, FrameKind.REQUEST, "large")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(swallow_errors, ask)
            await eventually(lambda: peer_id not in server.connected_peers())
            nursery.cancel_scope.cancel()
        await assert_serves(server, client)


async def swallow_errors(task: Callable[[], Awaitable[None]]) -> None:
    try:
        await task()
    except Exception as error:
        assert str(type(error).__name__) in ("StreamReset", "StreamClosed", "StreamError")  # noqa: PT017


async def test_a_plaintext_dial_is_refused(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    key_pair = create_new_key_pair()
    plain = new_host(
        key_pair=key_pair, sec_opt={TProtocol(PLAINTEXT_PROTOCOL_ID): InsecureTransport(key_pair)}
    )
    async with plain.run(listen_addrs=[]):
        with pytest.raises(Exception, match=r"(?i)unable to connect|fail"), trio.fail_after(10):
            await plain.connect(info_from_p2p_addr(Multiaddr(server.addresses[0])))
        assert not plain.get_live_peers()
    assert not server.host.get_live_peers()
    await assert_serves(server, client)


async def test_we_do_not_dial_plaintext(client: Peer) -> None:
    key_pair = create_new_key_pair()
    plain = new_host(
        key_pair=key_pair, sec_opt={TProtocol(PLAINTEXT_PROTOCOL_ID): InsecureTransport(key_pair)}
    )
    async with plain.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        address = str(plain.get_addrs()[0])
        with pytest.raises(EnvironmentFailure) as caught:
            await client.connect(plain.get_id().to_base58(), [address])
    assert caught.value.code == "peer_unreachable"


async def test_another_peer_at_the_address_is_noticed(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    expected = PeerIdentity.ephemeral().peer_id
    address = server.addresses[0].split("/p2p/")[0]
    with pytest.raises(EnvironmentFailure) as caught:
        await client.call(expected, "echo", b"secret", addrs=[address])
    assert caught.value.code == "wrong_peer"
    assert client.connected_peers() == frozenset()
    await assert_serves(server, client)


async def test_a_silent_peer_is_given_up(client: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.net.dialler.DIAL_TIMEOUT_S", 0.5)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with listeners[0]:
        with trio.fail_after(5), pytest.raises(EnvironmentFailure) as caught:
            await client.connect(PeerIdentity.ephemeral().peer_id, [f"/ip4/127.0.0.1/tcp/{port}"])
    assert caught.value.code == "peer_unreachable"


async def test_a_silent_address_does_not_hide_a_good_one(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with listeners[0]:
        addrs = [f"/ip4/127.0.0.1/tcp/{port}", *server.addresses]
        assert await client.call(server.peer_id, "echo", b"x", addrs=addrs) == b"x"


async def test_a_silent_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch, open_peer: Callable[[], Awaitable[Peer]]
) -> None:
    monkeypatch.setattr("p2p.net.host.HANDSHAKE_TIMEOUT_S", 1.0)
    server = await open_peer()
    stream = await trio.open_tcp_stream("127.0.0.1", port_of(server))
    async with stream:
        with trio.fail_after(10):
            while await stream.receive_some():  # the server's side of the negotiation, then the end
                pass


async def test_a_connection_that_nobody_uses_is_closed(
    monkeypatch: pytest.MonkeyPatch,
    open_peer: Callable[[], Awaitable[Peer]],
    client: Peer,
    eventually: Eventually,
) -> None:
    monkeypatch.setattr("p2p.net.host.CONNECTION_UNUSED_S", 0.05)
    server = await open_peer()
    server.serve("echo", echo)
    await assert_serves(server, client)
    async with raw_host() as attacker:
        await attacker.swarm.dial_addr(Multiaddr(server.addresses[0]), ID.from_base58(server.peer_id))
        await eventually(lambda: attacker.get_id() in server.host.get_live_peers())
        await eventually(lambda: attacker.get_id() not in server.host.get_live_peers())
    assert server.connected_peers() == {client.peer_id}
    await assert_serves(server, client)


MUX_JUNK = {
    "version": b"\x01" + bytes(11),
    "type": struct.pack("!BBHII", 0, 9, 0, 1, 0),
    "not ours to open": struct.pack("!BBHII", 0, WINDOW_UPDATE, SYN, 2, 0),
    "opened twice": 2 * struct.pack("!BBHII", 0, WINDOW_UPDATE, SYN, 1001, 0),
    "huge data frame": struct.pack("!BBHII", 0, 0, 0, 1, 2**31),
    "more than the window": struct.pack("!BBHII", 0, 0, SYN, 1001, 2**19) + bytes(2**19),
    "pings unread": 20_000 * struct.pack("!BBHII", 0, 2, SYN, 0, 7),
}


@pytest.mark.parametrize("junk", MUX_JUNK.values(), ids=MUX_JUNK.keys())
async def test_junk_in_the_multiplexer_costs_its_sender_the_connection(
    server: Peer, client: Peer, junk: bytes, eventually: Eventually
) -> None:
    server.serve("echo", echo)
    await assert_serves(server, client)
    async with raw_host() as attacker:
        await raw_channel(attacker, server)
        (connection,) = attacker.swarm.get_connections(ID.from_base58(server.peer_id))
        muxed = connection.muxed_conn
        assert isinstance(muxed, BoundedYamux)
        await eventually(lambda: len(server.connected_peers()) == 2)
        await muxed.secured_conn.write(junk)
        if not junk.startswith(MUX_JUNK["pings unread"][:12]):  # this one reads, so it may ping
            await eventually(lambda: attacker.get_id() not in server.host.get_live_peers())
        await assert_serves(server, client)


async def test_junk_instead_of_a_handshake_is_harmless(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
        b"\xff" * 100,
        b"\x13/multistream/1.0.0\n\x07/noise\n" + bytes(99),
    ):
        async with await trio.open_tcp_stream("127.0.0.1", port_of(server)) as stream:
            await stream.send_all(junk)
    await assert_serves(server, client)


async def test_one_peer_cannot_take_many_connections(server: Peer, client: Peer) -> None:
    server.serve("echo", echo)
    async with raw_host() as attacker:
        target = ID.from_base58(server.peer_id)
        for _ in range(3 * CONNECTIONS_PER_PEER_MAX):
            with trio.move_on_after(2), suppress(SwarmException):
                await attacker.swarm.dial_addr(Multiaddr(server.addresses[0]), target)
        assert len(server.host.swarm.get_connections(attacker.get_id())) <= CONNECTIONS_PER_PEER_MAX
        await assert_serves(server, client)


def port_of(peer: Peer) -> int:
    return int(Multiaddr(peer.addresses[0]).value_for_protocol("tcp"))


async def test_a_port_in_use_is_an_error_not_a_shared_port(server: Peer) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        async with Peer.open(PeerIdentity.ephemeral(), [f"/ip4/127.0.0.1/tcp/{port_of(server)}"]):
            pass
    assert caught.value.code == "cannot_listen"


@pytest.mark.parametrize(
    "address", ["", "localhost:4001", "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/300.0.0.1/tcp/1"]
)
async def test_a_malformed_address_is_an_error(client: Peer, address: str) -> None:
    with pytest.raises(UserError):
        await client.connect(PeerIdentity.ephemeral().peer_id, [address])
    with pytest.raises(UserError):
        async with Peer.open(PeerIdentity.ephemeral(), [address]):
            pass


@pytest.mark.parametrize("peer_id", ["", "nobody", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "0OIl"])
async def test_a_malformed_peer_id_is_an_error(client: Peer, peer_id: str) -> None:
    with pytest.raises(UserError):
        await client.connect(peer_id, ["/ip4/127.0.0.1/tcp/1"])
