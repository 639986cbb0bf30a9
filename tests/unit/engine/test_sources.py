"""Inputs are served to the job's node alone, and only while they are what was agreed."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from p2p.core.errors import Refused, UserError
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.engine.sources import InputSource

BODY = os.urandom(CHUNK_BYTES + 50)


@pytest.fixture
def served(tmp_path: Path) -> tuple[InputSource, str, Path, Manifest]:
    path = tmp_path / "secret-place" / "data.bin"
    path.parent.mkdir()
    path.write_bytes(BODY)
    hashes = (sha256(BODY[:CHUNK_BYTES]).digest(), sha256(BODY[CHUNK_BYTES:]).digest())
    manifest = make_manifest([FileEntry("data/data.bin", len(BODY), hashes)])
    source = InputSource()
    return source, source.grant("job", "node", manifest, {"data/data.bin": path}), path, manifest


def read(source: InputSource, grant: str, digest: bytes) -> bytes:
    buffer = memoryview(bytearray(CHUNK_BYTES))
    return bytes(buffer[: source.read_chunk(grant, digest, buffer)])


def test_chunks_are_read_from_where_they_lie(served) -> None:
    source, grant, _, manifest = served
    source.authorise("node", grant)
    assert b"".join(read(source, grant, digest) for digest in manifest.files[0].chunks) == BODY
    assert source.served_bytes("job") == len(BODY)
    assert source.changed("job") is None


def test_nobody_else_and_no_other_chunk(served) -> None:
    source, grant, _, _ = served
    with pytest.raises(Refused):
        source.authorise("another", grant)
    with pytest.raises(Refused):
        source.authorise("node", "0" * 32)
    with pytest.raises(UserError) as caught:
        read(source, grant, b"x" * 32)
    assert caught.value.code == "no_chunk"


def test_a_new_grant_ends_the_older_one(served) -> None:
    source, grant, path, manifest = served
    again = source.grant("job", "other node", manifest, {"data/data.bin": path})
    source.authorise("other node", again)
    with pytest.raises(Refused):
        source.authorise("node", grant)
    source.revoke("job")
    with pytest.raises(Refused):
        source.authorise("other node", again)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes([BODY[0] ^ 1]))


def truncate(path: Path) -> None:
    os.truncate(path, CHUNK_BYTES - 1)


def relink(path: Path) -> None:
    twin = path.with_name("twin")
    os.rename(path, twin)
    path.symlink_to(twin)


@pytest.mark.parametrize("change", [flip, truncate, Path.unlink, relink])
def test_a_change_is_noticed_named_to_the_buyer_and_not_sent(served, change) -> None:
    source, grant, path, manifest = served
    change(path)
    with pytest.raises(UserError) as caught:
        read(source, grant, manifest.files[0].chunks[0])
    assert caught.value.code == "input_changed"
    assert "data/data.bin" in caught.value.what
    assert "secret-place" not in " ".join(caught.value.lines())
    known = source.changed("job")
    assert known is not None
    assert str(path) in known.what
    assert len(known.lines()) == 3
    assert source.served_bytes("job") == 0
