"""Who gets through to a peer's chunks: tickets and certificates, over real TLS."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from hashlib import sha256

import pytest
import trio

from p2p.core.limits import BULK_HANDSHAKES_MAX
from p2p.net.bulk import BulkServer, ChunkRef, Path, pull_chunks
from p2p.net.bulk_messages import OPEN_METHOD, OpenReply, OpenRequest
from p2p.net.bulk_threads import ConnectionLost, receive_exactly, send_all
from p2p.net.chunks import RecordKind, record
from p2p.net.peer import Peer

OpenPeer = Callable[..., Awaitable[Peer]]

GRANT = "inputs of 42"
CONTENT = b"the only chunk"
CHUNK = ChunkRef(sha256(CONTENT).digest(), len(CONTENT))


class Source:
    """One chunk, for everybody with a ticket."""

    def authorise(self, peer_id: str, grant: str) -> None:
        assert grant == GRANT

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        assert chunk_hash == CHUNK.hash
        into[: len(CONTENT)] = CONTENT
        return len(CONTENT)


class Sink:
    def __init__(self) -> None:
        self.received = b""

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        self.received += bytes(data)


@pytest.fixture
def source() -> Source:
    return Source()


async def ticket_of(puller: Peer, provider: Peer) -> OpenReply:
    tls = await puller.bulk.tls()
    request = OpenRequest(GRANT, tls.certificate).encode()
    return OpenReply.decode(
        await puller.call(provider.peer_id, OPEN_METHOD, request, addrs=provider.addresses)
    )


async def try_token(puller: Peer, reply: OpenReply, wanted: bytes) -> bool:
    """Whether a session with this token gets a chunk."""
    connection = await puller.bulk.dial("127.0.0.1", reply.port, reply.certificate)

    def work() -> bool:
        try:
            send_all(connection, record(RecordKind.HELLO, reply.token) + record(RecordKind.WANT, wanted))
            receive_exactly(connection, memoryview(bytearray(5)))
        except ConnectionLost:
            return False
        return True

    with connection:
        return await trio.to_thread.run_sync(work)


async def test_a_token_is_good_once(server: Peer, client: Peer, source: Source) -> None:
    BulkServer(server, source)
    reply = await ticket_of(client, server)
    assert await try_token(client, reply, CHUNK.hash)
    assert not await try_token(client, reply, CHUNK.hash)


async def test_a_stolen_token_is_useless_and_burnt(
    server: Peer, client: Peer, open_peer: OpenPeer, source: Source
) -> None:
    BulkServer(server, source)
    thief = await open_peer()
    await ticket_of(thief, server)  # its own certificate is known to the server, so TLS lets it in
    reply = await ticket_of(client, server)
    assert not await try_token(thief, reply, CHUNK.hash)
    assert not await try_token(client, reply, CHUNK.hash)


async def test_a_certificate_that_nobody_announced_does_not_get_through_tls(
    server: Peer, client: Peer, open_peer: OpenPeer, source: Source
) -> None:
    BulkServer(server, source)
    stranger = await open_peer()
    reply = await ticket_of(client, server)
    assert not await try_token(stranger, reply, CHUNK.hash)
    assert await try_token(client, reply, CHUNK.hash)  # the stranger never got to the token


async def test_a_provider_with_another_certificate_is_not_trusted(
    server: Peer, client: Peer, open_peer: OpenPeer, source: Source
) -> None:
    BulkServer(server, source)
    impostor = await open_peer()
    (await client.bulk.tls()).trust((await impostor.bulk.tls()).certificate)
    (await impostor.bulk.tls()).trust((await client.bulk.tls()).certificate)
    reply = await ticket_of(client, server)
    port = await impostor.bulk.port()
    with pytest.raises(ConnectionLost, match="another certificate"):
        await client.bulk.dial("127.0.0.1", port, reply.certificate)


async def test_a_token_over_a_stream_counts_only_for_its_peer(
    server: Peer, client: Peer, open_peer: OpenPeer, source: Source
) -> None:
    BulkServer(server, source)
    thief = await open_peer()
    reply = await ticket_of(client, server)
    await thief.connect(server.peer_id, server.addresses)
    assert server.bulk.tickets.redeem(reply.token, thief.peer_id) is None
    assert server.bulk.tickets.redeem(reply.token, client.peer_id) is None


async def test_junk_on_the_bulk_port_is_harmless(server: Peer, client: Peer, source: Source) -> None:
    sink = Sink()
    BulkServer(server, source)
    port = await server.bulk.port()
    for junk in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(500)):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(junk)
    stats = await pull_chunks(client, server.peer_id, GRANT, [CHUNK], sink, addrs=server.addresses)
    assert stats.path is Path.DIRECT
    assert sink.received == CONTENT


async def test_strangers_who_dial_and_say_nothing_do_not_keep_us_from_dialling(
    server: Peer, client: Peer, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    BulkServer(server, source)
    port = await client.bulk.port()
    monkeypatch.setattr("p2p.net.bulk_endpoint.BULK_CONNECT_TIMEOUT_S", 30)
    sink = Sink()
    async with AsyncExitStack() as stack:
        for _ in range(BULK_HANDSHAKES_MAX):
            await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
        with trio.fail_after(20):
            while client.bulk.handshakes_in.available_tokens:
                await trio.sleep(0.01)
            stats = await pull_chunks(client, server.peer_id, GRANT, [CHUNK], sink, addrs=server.addresses)
    assert stats.path is Path.DIRECT
    assert sink.received == CONTENT


async def test_a_process_without_file_descriptors_refuses_the_connection_and_lives(
    server: Peer, client: Peer, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    BulkServer(server, source)
    port = await server.bulk.port()
    refused = trio.Event()

    def none_left(*_: object) -> None:
        refused.set()
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("p2p.net.bulk_threads.socket.fromfd", none_left)
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            with trio.fail_after(10):
                await refused.wait()
                assert await stream.receive_some(1) == b""
    sink = Sink()
    await pull_chunks(client, server.peer_id, GRANT, [CHUNK], sink, addrs=server.addresses)
    assert sink.received == CONTENT
