"""A manifest means the same files everywhere, and its root means nothing else."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.limits import CHUNK_BYTES, MANIFEST_FILES_MAX
from p2p.core.manifest import EMPTY_ROOT, FileEntry, Manifest, check_path, make_manifest, merkle_root

NAMES = st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z0-9]{1,3})?\Z").filter(lambda name: not _reserved(name))


def _reserved(name: str) -> bool:
    try:
        check_path(name)
    except UserError:
        return True
    return False


def _entry(path: str, content: bytes) -> FileEntry:
    pieces = [content[i : i + CHUNK_BYTES] for i in range(0, len(content), CHUNK_BYTES)]
    return FileEntry(path, len(content), tuple(sha256(piece).digest() for piece in pieces))


FILES = st.dictionaries(NAMES, st.binary(max_size=30), min_size=1, max_size=9)


@given(FILES, st.randoms())
def test_the_root_does_not_depend_on_the_order_of_finding(files: dict[str, bytes], random: object) -> None:
    entries = [_entry(path, content) for path, content in files.items()]
    root = make_manifest(entries).root()
    random.shuffle(entries)  # type: ignore[attr-defined]
    assert make_manifest(entries).root() == root


@given(FILES, st.data())
def test_any_change_changes_the_root(files: dict[str, bytes], data: st.DataObject) -> None:
    root = make_manifest([_entry(p, c) for p, c in files.items()]).root()
    victim = data.draw(st.sampled_from(sorted(files)))
    changed = dict(files)
    what = data.draw(st.sampled_from(["content", "name", "gone"]))
    content = changed.pop(victim)
    if what == "content":
        changed[victim] = content + b"!"
    elif what == "name":
        name = data.draw(NAMES)
        assume(name not in files)
        changed[name] = content
    assert make_manifest([_entry(p, c) for p, c in changed.items()]).root() != root


def test_an_empty_manifest_has_the_hash_of_nothing() -> None:
    assert Manifest(()).root() == EMPTY_ROOT == sha256(b"").digest()


def test_the_tree_is_that_of_rfc_6962() -> None:
    a, b, c = (sha256(bytes([n])).digest() for n in range(3))
    left = sha256(b"\x01" + a + b).digest()
    assert merkle_root([a, b, c]) == sha256(b"\x01" + left + c).digest()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "./a",
        "a\\b",
        "C:x",
        "a\x00b",
        "a\x1b[31m",
        "a\nb",
        "con",
        "data/NUL.txt",
        "COM1",
        "trailing.",
        "trailing ",
        " leading",
        "x" * 256,
        "/".join("d" * 20),
        "e\u0301",  # not NFC
        "evil\u202egpj.exe",
        "\udcff",
    ],
)
def test_names_that_mean_different_files_somewhere_are_refused(path: str) -> None:
    with pytest.raises(UserError):
        check_path(path)


@pytest.mark.parametrize("path", ["a", "data/train/0001.png", ".hidden", "naïve/文件.txt", "a b/c-d_e+f=g"])
def test_ordinary_names_are_accepted(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "entries",
    [
        [_entry("A.txt", b"1"), _entry("a.TXT", b"2")],
        [_entry("a", b"1"), _entry("a/b", b"2")],
        [replace(_entry("a", b"1"), size_bytes=CHUNK_BYTES + 1)],
        [replace(_entry("a", b"1"), size_bytes=-1)],
        [FileEntry("a", 1, (b"short",))],
        [_entry(f"f{n}", b"") for n in range(MANIFEST_FILES_MAX + 1)],
    ],
    ids=["case", "file-and-folder", "chunk-count", "negative", "hash-length", "too-many"],
)
def test_impossible_manifests_are_refused(entries: list[FileEntry]) -> None:
    with pytest.raises(UserError):
        make_manifest(entries)


def test_only_the_last_chunk_may_be_short() -> None:
    entry = FileEntry("a", 2 * CHUNK_BYTES + 5, (b"a" * 32, b"b" * 32, b"c" * 32))
    assert [ref.size_bytes for ref in entry.refs()] == [CHUNK_BYTES, CHUNK_BYTES, 5]
