"""A file can be proven against a root, and nothing else can."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from p2p.core.manifest import FileEntry, Manifest, audit_path, is_proven, make_manifest


def manifest_of(count: int) -> Manifest:
    return make_manifest(
        [FileEntry(f"f{n:05d}", n % 7 + 1, (sha256(b"%d" % n).digest(),)) for n in range(count)]
    )


COUNTED = st.integers(1, 70).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1)))


@given(COUNTED)
def test_every_file_of_every_set_is_proven(counted: tuple[int, int]) -> None:
    count, index = counted
    manifest = manifest_of(count)
    path = manifest.prove(index)
    assert len(path) <= max(0, count - 1).bit_length()
    assert is_proven(manifest.files[index], index, count, path, manifest.root())


@given(COUNTED, st.data())
def test_nothing_else_is(counted: tuple[int, int], data: st.DataObject) -> None:
    count, index = counted
    manifest = manifest_of(count)
    entry, path, root = manifest.files[index], manifest.prove(index), manifest.root()
    changed = data.draw(
        st.sampled_from(
            [
                replace(entry, path=entry.path + "x"),
                replace(entry, size_bytes=entry.size_bytes + 1),
                replace(entry, chunks=(sha256(b"other").digest(),)),
                replace(entry, chunks=()),
            ]
        )
    )
    assert not is_proven(changed, index, count, path, root)
    assert not is_proven(entry, index, count, path, sha256(b"other").digest())
    assert not is_proven(entry, index, count, (*path, sha256(b"more").digest()), root)
    if path:
        assert not is_proven(entry, index, count, path[:-1], root)
        at = data.draw(st.integers(0, len(path) - 1))
        bent = (*path[:at], sha256(path[at]).digest(), *path[at + 1 :])
        assert not is_proven(entry, index, count, bent, root)
    other = data.draw(st.integers(0, count - 1))
    if other != index:
        assert not is_proven(entry, other, count, path, root)  # a place in the order is proven as well


def test_an_index_outside_is_not_proven() -> None:
    manifest = manifest_of(3)
    for index in (-1, 3):
        assert not is_proven(manifest.files[0], index, 3, manifest.prove(0), manifest.root())
    assert not is_proven(manifest.files[0], 0, 0, (), manifest.root())


def test_the_path_is_that_of_rfc_6962() -> None:
    """The example of section 2.1.3: the tree of seven leaves, and the paths of d0, d3, d4 and d6."""
    leaves = [sha256(b"\x00%d" % n).digest() for n in range(7)]

    def node(a: bytes, b: bytes) -> bytes:
        return sha256(b"\x01" + a + b).digest()

    g, h, i = node(leaves[0], leaves[1]), node(leaves[2], leaves[3]), node(leaves[4], leaves[5])
    k = node(g, h)
    assert audit_path(leaves, 0) == (leaves[1], h, node(i, leaves[6]))
    assert audit_path(leaves, 3) == (leaves[2], g, node(i, leaves[6]))
    assert audit_path(leaves, 4) == (leaves[5], leaves[6], k)
    assert audit_path(leaves, 6) == (i, k)
