"""Inputs over the real network: corrupt, already here, wrong, too large; an engine that is away."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import CHUNK_BYTES, STAGING_MAX_S
from p2p.core.messages.nodes import Assignment
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.node.chunk_store import ChunkStore
from p2p.node.staging import Progress, Staging
from p2p.node.url_fetch import FetchLimits

DATA = os.urandom(3 * CHUNK_BYTES + 1000)
FILES = {"train.py": b"print(1)", "data/a.bin": DATA, "data/copy/b.bin": DATA, "data/empty": b""}


@dataclass
class Clock:
    at_s: float = 1000.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_s(self) -> float:
        return self.at_s


@dataclass
class Node:
    """The staging side of a node."""

    staging: Staging
    folder: Path
    clock: Clock
    progress: Progress

    async def stage(self, job: Assignment) -> None:
        with trio.fail_after(60):
            await self.staging.stage(job, self.folder, self.progress, self.clock.at_s)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with Peer.open(PeerIdentity.ephemeral(), ["/ip4/127.0.0.1/tcp/0"]) as peer:
        clock = Clock()
        staging = Staging(peer, ChunkStore(tmp_path / "chunks"), clock, FetchLimits(private_addresses=True))
        yield Node(staging, tmp_path / "in", clock, Progress())


async def test_inputs_arrive_and_each_chunk_is_sent_once(engine: Any, node: Node) -> None:
    job = engine.job(FILES)
    await node.stage(job)
    assert node.files() == FILES
    assert len(engine.source.served) == len(set(engine.source.served)) == 5
    assert node.progress == Progress(job.spec.input_bytes, job.spec.input_bytes)


async def test_the_same_data_is_not_sent_again(engine: Any, node: Node) -> None:
    await node.stage(engine.job(FILES))
    engine.source.served.clear()
    changed = {**FILES, "train.py": b"print(2)"}
    await node.stage(engine.job(changed))
    assert node.files() == changed
    assert len(engine.source.served) == 1


async def test_a_flipped_bit_is_caught_and_the_chunk_fetched_again(engine: Any, node: Node) -> None:
    job = engine.job(FILES)
    corrupt = engine.manifest.files[0].chunks[1]
    engine.source.corrupt.add(corrupt)
    await node.stage(job)
    assert node.files() == FILES
    assert engine.source.served.count(corrupt) == 2


async def test_a_chunk_that_its_own_disk_damaged_is_fetched_again(engine: Any, node: Node) -> None:
    await node.stage(engine.job(FILES))
    path = max(node.staging.chunks.folder.glob("??/*"), key=lambda found: found.stat().st_size)
    path.write_bytes(bytes(path.stat().st_size))
    engine.source.served.clear()
    await node.stage(engine.job(FILES))
    assert node.files() == FILES
    assert [served.hex() for served in engine.source.served] == [path.name]


async def test_leftovers_of_an_earlier_try_are_gone(engine: Any, node: Node) -> None:
    node.folder.mkdir()
    (node.folder / "extra").write_bytes(b"x")
    (node.folder / "train.py").symlink_to("/etc/passwd")
    await node.stage(engine.job(FILES))
    assert node.files() == FILES
    assert not (node.folder / "train.py").is_symlink()


async def test_files_that_are_not_the_ones_named_are_refused(engine: Any, node: Node) -> None:
    job = engine.job(FILES)
    engine.job({"train.py": b"print('other')"})  # what the engine offers now
    with pytest.raises(UserError) as caught:
        await node.stage(job)
    assert caught.value.code == "input_mismatch"


async def test_an_engine_that_comes_back_is_asked_again(
    engine: Any, node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.2  # real traffic needs a moment now and then
    job = engine.job(FILES)
    calls = 0
    real = node.staging.peer.call

    async def call(*arguments: Any, **more: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise EnvironmentFailure("peer_unreachable", "away")
        return await real(*arguments, **more)

    node.staging.peer.call = call  # type: ignore[method-assign]
    await node.staging.stage(job, node.folder, node.progress, node.clock.at_s)
    assert node.files() == FILES
    assert calls > 4


async def test_an_engine_that_stays_away_is_given_up_as_the_buyers_affair(
    engine: Any, node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    job = engine.job(FILES)

    async def call(*arguments: Any, **more: Any) -> bytes:
        node.clock.at_s += STAGING_MAX_S / 3
        raise EnvironmentFailure("peer_unreachable", "away")

    node.staging.peer.call = call  # type: ignore[method-assign]
    with pytest.raises(UserError) as caught:
        await node.staging.stage(job, node.folder, node.progress, node.clock.at_s)
    assert caught.value.code == "engine_away"


async def test_what_does_not_fit_is_refused_before_a_byte_is_sent(
    engine: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = engine.job(FILES)
    total = shutil.disk_usage(node.folder.parent).total
    monkeypatch.setattr("p2p.node.staging.DISK_RESERVE_BYTES", total)
    with pytest.raises(EnvironmentFailure) as caught:
        await node.stage(job)
    assert caught.value.code == "disk_full"
    assert not engine.source.served


async def test_room_is_made_by_dropping_what_earlier_jobs_left(
    engine: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.stage(engine.job({"train.py": b"1", "data/old": os.urandom(1000)}))
    real = shutil.disk_usage(node.folder.parent)
    answers = iter([0, real.free])
    monkeypatch.setattr(
        "p2p.node.staging.shutil.disk_usage", lambda path: real._replace(free=next(answers, real.free))
    )
    await node.stage(engine.job({"train.py": b"2"}))
    assert len(list(node.staging.chunks.folder.glob("??/*"))) == 1


async def test_data_by_url_lies_beside_the_data_sent(engine: Any, node: Node) -> None:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def answer(stream: trio.SocketStream) -> None:
            await stream.receive_some(4096)
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndata")
            await stream.aclose()

        nursery.start_soon(trio.serve_listeners, answer, listeners)
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/sets/iris.csv"
        await node.stage(engine.job({"train.py": b"1"}, data_url=url))
        assert node.files() == {"train.py": b"1", "data/iris.csv": b"data"}
        assert (node.folder / "data/iris.csv").stat().st_mode & 0o777 == 0o644
        with pytest.raises(UserError) as caught:
            await node.stage(engine.job({"train.py": b"1", "data/iris.csv": b"x"}, data_url=url))
        assert caught.value.code == "input_mismatch"
        with pytest.raises(UserError) as caught:
            await node.stage(engine.job({"train.py": b"1"}, data_url=url, data_sha256=bytes(32)))
        assert caught.value.code == "data_hash_mismatch"
        nursery.cancel_scope.cancel()


async def test_an_engine_that_sends_too_slowly_does_not_hold_the_node_for_ever(
    engine: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chunk moves the transfer on, but all together do not come in time."""
    real = engine.source.read_chunk

    def slowly(grant: str, chunk_hash: bytes, into: memoryview) -> int:
        time.sleep(0.3)
        size: int = real(grant, chunk_hash, into)
        return size

    engine.source.read_chunk = slowly
    monkeypatch.setattr("p2p.node.staging.STAGING_MAX_S", 1.0)
    many = {"train.py": b"1"} | {f"data/{number}": os.urandom(1000) for number in range(100)}
    with pytest.raises(UserError) as caught:
        await node.stage(engine.job(many))
    assert caught.value.code == "inputs_late"
    assert all(caught.value.lines())
    assert node.staging.peer.bulk.transfers.borrowed_tokens == 0
