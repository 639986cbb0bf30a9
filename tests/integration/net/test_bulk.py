"""Transfers between two real peers, over TLS and over libp2p streams, with faults."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.limits import CHUNK_BYTES, CHUNK_RETRIES_MAX
from p2p.net.bulk import BulkServer, Path, pull_chunks
from p2p.net.bulk_messages import OPEN_METHOD, OpenReply, OpenRequest
from p2p.net.bulk_threads import ChunkSource, ConnectionLost, provide, receive_exactly, send_all
from p2p.net.chunks import RecordKind, record
from p2p.net.peer import Peer
from p2p.testing.chunks import GRANT, Sink, Source

OpenPeer = Callable[..., Awaitable[Peer]]


@pytest.fixture
def source() -> Source:
    return Source([CHUNK_BYTES, 1, 70_000, CHUNK_BYTES - 1, *[5000] * 10])


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(params=list(Path), ids=lambda path: path.value)
def path(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


async def test_every_path_delivers_every_chunk_once(
    server: Peer, client: Peer, source: Source, sink: Sink, path: Path
) -> None:
    BulkServer(server, source)
    heard: list[int] = []
    stats = await pull_chunks(
        client,
        server.peer_id,
        GRANT,
        [*source.refs, *source.refs],  # the same content twice is sent once
        sink,
        addrs=server.addresses,
        progress=heard.append,
        paths=[path],
    )
    assert sink.chunks == source.chunks
    assert set(sink.writes.values()) == {1}
    assert (stats.bytes, stats.path, stats.resent_bytes) == (sum(map(len, source.chunks.values())), path, 0)
    assert heard == sorted(heard)
    assert heard[-1] == stats.bytes


async def test_nothing_wanted_is_nothing_done(server: Peer, client: Peer, sink: Sink) -> None:
    stats = await pull_chunks(client, server.peer_id, GRANT, [], sink)
    assert (stats.bytes, stats.path) == (0, None)


async def test_the_other_direction_is_tried_and_then_the_stream(
    open_peer: OpenPeer, source: Source, sink: Sink
) -> None:
    server, client = await open_peer(listen=()), await open_peer()
    BulkServer(server, source)
    await server.connect(client.peer_id, client.addresses)
    stats = await pull_chunks(client, server.peer_id, GRANT, source.refs, sink)
    assert stats.path is Path.REVERSE

    silent, behind_nat = await open_peer(listen=()), Sink()
    await silent.connect(server.peer_id if server.addresses else client.peer_id, client.addresses)
    BulkServer(client, source)
    client.bulk._listen_host = None  # a provider that nobody can dial, and a puller that does not listen
    client.bulk._port = 0
    stats = await pull_chunks(silent, client.peer_id, GRANT, source.refs, behind_nat)
    assert stats.path is Path.RELAYED
    assert behind_nat.chunks == source.chunks


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
async def test_ipv6_is_direct_too(open_peer: OpenPeer, source: Source, sink: Sink) -> None:
    server, client = await open_peer(listen=["/ip6/::1/tcp/0"]), await open_peer()
    BulkServer(server, source)
    stats = await pull_chunks(client, server.peer_id, GRANT, source.refs, sink, addrs=server.addresses)
    assert stats.path is Path.DIRECT


async def test_who_may_not_is_refused(server: Peer, client: Peer, source: Source, sink: Sink) -> None:
    BulkServer(server, source)
    with pytest.raises(Refused) as caught:
        await pull_chunks(client, server.peer_id, "of another", source.refs, sink, addrs=server.addresses)
    assert caught.value.code == "not_granted"
    assert not sink.chunks
    assert not source.reads


async def test_what_the_source_says_reaches_the_puller(
    server: Peer, client: Peer, source: Source, sink: Sink, path: Path
) -> None:
    class Changing(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            if chunk_hash == self.refs[2].hash:
                raise UserError("input_changed", "data/a.bin has changed since the job was packaged.")
            return super().read_chunk(grant, chunk_hash, into)

    changing = Changing([1000] * 5)
    BulkServer(server, changing)
    with pytest.raises(UserError, match=r"data/a\.bin has changed") as caught:
        await pull_chunks(
            client, server.peer_id, GRANT, changing.refs, sink, addrs=server.addresses, paths=[path]
        )
    assert caught.value.code == "input_changed"
    assert len(sink.chunks) == 2  # what came before is verified and kept


async def test_a_broken_source_tells_nothing(
    server: Peer, client: Peer, sink: Sink, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            raise ValueError("secret 4711")

    broken = Broken([1000])
    BulkServer(server, broken)
    with caplog.at_level(logging.CRITICAL, "p2p.net"), pytest.raises(EnvironmentFailure) as caught:
        await pull_chunks(
            client, server.peer_id, GRANT, broken.refs, sink, addrs=server.addresses, paths=[path]
        )
    assert caught.value.code == "peer_internal"
    assert "4711" not in "".join(caught.value.lines())


async def test_what_the_sink_raises_ends_the_transfer(
    server: Peer, client: Peer, source: Source, path: Path
) -> None:
    class Full:
        def write(self, chunk_hash: bytes, data: memoryview) -> None:
            raise EnvironmentFailure("disk_full", "No space left.", retryable=False)

    BulkServer(server, source)
    with pytest.raises(EnvironmentFailure, match="No space left"):
        await pull_chunks(
            client, server.peer_id, GRANT, source.refs, Full(), addrs=server.addresses, paths=[path]
        )


async def test_a_flipped_bit_is_caught_and_the_chunk_sent_again(
    server: Peer, client: Peer, sink: Sink, path: Path
) -> None:
    class Flipping(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            size = super().read_chunk(grant, chunk_hash, into)
            if chunk_hash == self.refs[1].hash and self.reads[chunk_hash] == 1:
                into[size // 2] ^= 1
            return size

    flipping = Flipping([4000] * 6)
    BulkServer(server, flipping)
    stats = await pull_chunks(
        client, server.peer_id, GRANT, flipping.refs, sink, addrs=server.addresses, paths=[path]
    )
    assert sink.chunks == flipping.chunks
    assert stats.resent_bytes == 4000


async def test_a_chunk_that_stays_corrupt_is_named(
    server: Peer, client: Peer, sink: Sink, path: Path
) -> None:
    class Corrupt(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            size = super().read_chunk(grant, chunk_hash, into)
            if chunk_hash == self.refs[1].hash:
                into[0] ^= 0x80
            return size

    corrupt = Corrupt([4000] * 4)
    BulkServer(server, corrupt)
    with pytest.raises(EnvironmentFailure, match=corrupt.refs[1].hash.hex()) as caught:
        await pull_chunks(
            client, server.peer_id, GRANT, corrupt.refs, sink, addrs=server.addresses, paths=[path]
        )
    assert caught.value.code == "chunk_corrupt"
    assert corrupt.reads[corrupt.refs[1].hash] == CHUNK_RETRIES_MAX + 1
    assert corrupt.refs[1].hash not in sink.chunks
    assert len(sink.chunks) == 3


class CutConnection:
    """A network fault: the connection is cut after so many bytes sent."""

    def __init__(self, connection: Any, after_bytes: int) -> None:
        self._connection = connection
        self._left_bytes = after_bytes

    def recv_into(self, buffer: memoryview) -> int:
        return int(self._connection.recv_into(buffer))

    def sendall(self, data: memoryview) -> None:
        self._connection.sendall(data[: self._left_bytes])
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
            raise ConnectionResetError("cut by the test")


@pytest.mark.parametrize("seed", range(5))
async def test_a_transfer_that_is_cut_goes_on_and_sends_again_at_most_the_chunk_in_flight(
    server: Peer, client: Peer, sink: Sink, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk_bytes = 50_000
    source = Source([chunk_bytes] * 40)
    chance = random.Random(seed)
    cuts = [chance.randrange(0, 8 * chunk_bytes) for _ in range(5)]
    expected_cuts = len(cuts)
    sessions = 0

    def cut_provide(connection: Any, *rest: Any) -> None:
        nonlocal sessions
        sessions += 1
        provide(CutConnection(connection, cuts.pop()) if cuts else connection, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("p2p.net.bulk_server.provide", cut_provide)
    monkeypatch.setattr("p2p.net.bulk.BULK_RETRY_FIRST_S", 0.001)
    BulkServer(server, source)
    stats = await pull_chunks(client, server.peer_id, GRANT, source.refs, sink, addrs=server.addresses)
    assert sessions == expected_cuts + 1
    assert sink.chunks == source.chunks
    assert set(sink.writes.values()) == {1}  # what had arrived was not asked for again
    assert stats.resent_bytes < expected_cuts * (chunk_bytes + 5)
    assert stats.path is Path.DIRECT


async def test_a_provider_that_vanishes_for_good_is_given_up(
    server: Peer, client: Peer, source: Source, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_provide(connection: Any, *rest: Any) -> None:
        provide(CutConnection(connection, 0), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("p2p.net.bulk_server.provide", cut_provide)
    monkeypatch.setattr("p2p.net.bulk.BULK_RETRY_FIRST_S", 0.001)
    BulkServer(server, source)
    with pytest.raises(EnvironmentFailure) as caught:
        await pull_chunks(
            client, server.peer_id, GRANT, source.refs, sink, addrs=server.addresses, paths=[Path.DIRECT]
        )
    assert caught.value.code == "transfer_lost"
    assert caught.value.retryable


def drip(connection: Any, source: ChunkSource, grant: str) -> None:
    """A provider that keeps the connection alive with a byte now and then."""
    try:
        connection.sendall(record(RecordKind.CHUNK, bytes(CHUNK_BYTES))[:5])
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)
    except OSError as error:
        raise ConnectionLost(str(error)) from error


async def test_bytes_that_never_become_a_chunk_are_no_progress(
    server: Peer, client: Peer, source: Source, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.net.bulk_server.provide", drip)
    monkeypatch.setattr("p2p.net.bulk.BULK_CHUNK_MAX_S", 0.5)
    monkeypatch.setattr("p2p.net.bulk.CHUNK_RETRIES_MAX", 1)
    BulkServer(server, source)
    with trio.fail_after(20), pytest.raises(EnvironmentFailure) as caught:
        await pull_chunks(
            client, server.peer_id, GRANT, source.refs, sink, addrs=server.addresses, paths=[Path.DIRECT]
        )
    assert caught.value.code == "transfer_lost"
    assert "no chunk came" in caught.value.what
    assert not sink.chunks
    assert client.bulk.transfers.borrowed_tokens == 0


async def test_a_transfer_may_last_as_long_as_it_moves(
    server: Peer, client: Peer, sink: Sink, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            time.sleep(0.2)
            return super().read_chunk(grant, chunk_hash, into)

    monkeypatch.setattr("p2p.net.bulk.BULK_CHUNK_MAX_S", 1.5)
    monkeypatch.setattr("p2p.net.bulk.CHUNK_RETRIES_MAX", 0)
    slow = Slow([1000] * 12)
    BulkServer(server, slow)
    await pull_chunks(client, server.peer_id, GRANT, slow.refs, sink, addrs=server.addresses, paths=[path])
    assert sink.chunks == slow.chunks


async def test_one_peer_cannot_take_all_sessions(
    server: Peer, client: Peer, open_peer: OpenPeer, sink: Sink, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, release = threading.Event(), threading.Event()

    class Stuck(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            if chunk_hash == self.refs[0].hash:
                reading.set()
                release.wait(20)
            return super().read_chunk(grant, chunk_hash, into)

    monkeypatch.setattr("p2p.net.bulk_server.BULK_SESSIONS_PER_PEER_MAX", 1)
    monkeypatch.setattr("p2p.net.bulk.CHUNK_RETRIES_MAX", 0)
    stuck = Stuck([1000, 2000])
    BulkServer(server, stuck)
    addrs = server.addresses
    reply = OpenReply.decode(
        await client.call(server.peer_id, OPEN_METHOD, await opening(client), addrs=addrs)
    )
    try:
        async with trio.open_nursery() as nursery:

            async def first() -> None:
                await pull_chunks(client, server.peer_id, GRANT, stuck.refs, sink, addrs=addrs, paths=[path])

            nursery.start_soon(first)
            await trio.to_thread.run_sync(reading.wait)
            with pytest.raises(EnvironmentFailure) as caught:
                await pull_chunks(client, server.peer_id, GRANT, stuck.refs[1:], Sink(), addrs=addrs)
            assert caught.value.code == "bulk_busy"
            connection = await client.bulk.dial("127.0.0.1", reply.port, reply.certificate)
            with connection:  # a ticket from before does not help
                send_all(connection, record(RecordKind.HELLO, reply.token))
                with pytest.raises(ConnectionLost):
                    await trio.to_thread.run_sync(receive_exactly, connection, memoryview(bytearray(1)))
            other, others = await open_peer(), Sink()
            await pull_chunks(other, server.peer_id, GRANT, stuck.refs[1:], others, addrs=addrs)
            assert len(others.chunks) == 1
            release.set()
    finally:
        release.set()
    assert sink.chunks == stuck.chunks
    monkeypatch.setattr("p2p.net.bulk.CHUNK_RETRIES_MAX", 8)  # the provider notices the end in its own time
    again = Sink()
    await pull_chunks(client, server.peer_id, GRANT, stuck.refs[1:], again, addrs=addrs)
    assert len(again.chunks) == 1


async def opening(puller: Peer) -> bytes:
    return OpenRequest(GRANT, (await puller.bulk.tls()).certificate).encode()


async def test_cancelling_ends_the_transfer_and_its_thread_at_once(
    server: Peer, client: Peer, sink: Sink, path: Path
) -> None:
    reading, release, waited_out = threading.Event(), threading.Event(), threading.Event()

    class Stuck(Source):
        def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
            reading.set()
            if not release.wait(20):
                waited_out.set()
            return super().read_chunk(grant, chunk_hash, into)

    stuck = Stuck([1000])
    BulkServer(server, stuck)
    try:
        async with trio.open_nursery() as nursery:

            async def pull_it() -> None:
                await pull_chunks(
                    client, server.peer_id, GRANT, stuck.refs, sink, addrs=server.addresses, paths=[path]
                )

            nursery.start_soon(pull_it)
            await trio.to_thread.run_sync(reading.wait)
            nursery.cancel_scope.cancel()
        assert not waited_out.is_set()  # the puller did not wait for the provider, which is stuck still
        assert client.bulk.transfers.borrowed_tokens == 0
    finally:
        release.set()
    assert not sink.chunks
