"""Chunks by their hash: verified in and out, deduplicated, trimmed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import ChunkRef, FileEntry, make_manifest
from p2p.node.chunk_store import ChunkStore, DamagedChunks


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    return ChunkStore(tmp_path / "chunks")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def parts(data: bytes) -> list[bytes]:
    return [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]


def entry_of(path: str, data: bytes) -> FileEntry:
    return FileEntry(path, len(data), tuple(sha256(part).digest() for part in parts(data)))


def put(store: ChunkStore, data: bytes) -> ChunkRef:
    ref = ChunkRef(sha256(data).digest(), len(data))
    store.put(ref, data)
    return ref


def stored(store: ChunkStore) -> Iterator[Path]:
    return store.folder.glob("??/*")


def test_a_file_is_assembled_from_its_chunks(store: ChunkStore, top: Path) -> None:
    data = os.urandom(CHUNK_BYTES) + b"tail"
    for part in parts(data):
        put(store, part)
    before = os.umask(0o077)  # whatever it is, the job's user must be able to read
    try:
        store.assemble(entry_of("data/deep/a", data), top / "data/deep/a", top)
    finally:
        os.umask(before)
    assert (top / "data/deep/a").read_bytes() == data
    assert (top / "data/deep/a").stat().st_mode & 0o777 == 0o644
    assert (top / "data").stat().st_mode & 0o777 == 0o755
    assert (top / "data/deep").stat().st_mode & 0o777 == 0o755


def test_an_empty_file_needs_no_chunk(store: ChunkStore, top: Path) -> None:
    store.assemble(entry_of("empty", b""), top / "empty", top)
    assert (top / "empty").read_bytes() == b""


def test_what_is_here_is_not_missing_and_each_chunk_is_wanted_once(store: ChunkStore) -> None:
    here = put(store, b"here")
    manifest = make_manifest([entry_of("a", b"here"), entry_of("b", b"there"), entry_of("c", b"there")])
    assert store.has(here)
    assert [ref.hash for ref in store.missing(manifest)] == [sha256(b"there").digest()]


@given(st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64))
def test_only_the_bytes_of_its_name_become_a_chunk(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, other: bytes
) -> None:
    store = ChunkStore(tmp_path_factory.getbasetemp() / "one-store")
    ref = ChunkRef(sha256(data).digest(), len(data))
    if data == other:
        store.put(ref, other)
        assert store.has(ref)
        return
    with pytest.raises(ValueError, match="does not match"):
        store.put(ref, other)


def test_a_damaged_chunk_is_dropped_and_named_and_no_file_is_left(store: ChunkStore, top: Path) -> None:
    data = os.urandom(CHUNK_BYTES) + os.urandom(CHUNK_BYTES) + b"x"
    refs = [put(store, part) for part in parts(data)]
    damaged = store.folder / refs[1].hash.hex()[:2] / refs[1].hash.hex()
    flipped = bytearray(damaged.read_bytes())
    flipped[1000] ^= 1
    damaged.write_bytes(flipped)
    with pytest.raises(DamagedChunks) as caught:
        store.assemble(entry_of("a", data), top / "a", top)
    assert caught.value.refs == (refs[1],)
    assert not (top / "a").exists()
    assert [store.has(ref) for ref in refs] == [True, False, True]


def test_a_target_that_is_a_link_is_not_followed(store: ChunkStore, top: Path, tmp_path: Path) -> None:
    put(store, b"new")
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    (top / "a").symlink_to(victim)
    store.assemble(entry_of("a", b"new"), top / "a", top)
    assert victim.read_bytes() == b"old"
    assert (top / "a").read_bytes() == b"new"


def test_the_chunks_used_longest_ago_are_trimmed_first_and_pinned_ones_stay(store: ChunkStore) -> None:
    refs = [put(store, bytes([number]) * 10) for number in range(4)]
    for age, ref in enumerate(refs):
        os.utime(store.folder / ref.hash.hex()[:2] / ref.hash.hex(), (1000 + age, 1000 + age))
    partial = store.folder / "00" / "x.1-1.partial"
    partial.parent.mkdir(exist_ok=True)
    partial.write_bytes(b"being written")
    with store.pinned(make_manifest([entry_of("a", bytes([0]) * 10)])):
        assert store.trim(20) == 20
        assert [store.has(ref) for ref in refs] == [True, False, False, True]
    assert store.trim(20) == 0
    assert store.trim(0) == 20
    assert list(stored(store)) == [partial]
    store.drop_partial()
    assert not list(stored(store))


def test_a_full_disk_is_an_environment_failure_and_leaves_nothing_half_written(store: ChunkStore) -> None:
    ref = ChunkRef(sha256(b"data").digest(), 4)
    (store.folder / ref.hash.hex()[:2]).write_bytes(b"")  # a file where the folder should be
    with pytest.raises(EnvironmentFailure) as caught:
        store.put(ref, b"data")
    assert caught.value.code == "disk_full"
