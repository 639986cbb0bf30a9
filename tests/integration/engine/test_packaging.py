"""Packaging real files: what is taken, and in which words everything else is refused."""

from __future__ import annotations

import json
import os
import string
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2p.core.clock import Clock
from p2p.core.errors import UserError
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import CHUNK_BYTES, MIB
from p2p.core.manifest import make_manifest
from p2p.core.money import Asset
from p2p.engine import hashing
from p2p.engine.hashing import FoundFile, hash_file, identity_of
from p2p.engine.packaging import PackageRequest, package
from p2p.store.engine import EngineTables
from p2p.store.journal import Journal
from p2p.store.migrations import migrations

GOOD = "import torch\nprint('ok')\n"


def write(path: Path, body: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return path


def request(tmp_path: Path, **fields: object) -> PackageRequest:
    values = {"script": write(tmp_path / "train.py", GOOD), "asset": Asset.USDC, **fields}
    return PackageRequest(**values)  # type: ignore[arg-type]


async def test_a_whole_job(tmp_path: Path, tables: EngineTables, clock: Clock) -> None:
    big = os.urandom(CHUNK_BYTES + 7)
    write(tmp_path / "d" / "a.bin", big)
    write(tmp_path / "d" / "sub" / "empty", b"")
    config = write(
        tmp_path / "config.json", json.dumps({"gpu_type": "RTX4090", "min_vram": 8, "timeout": 60})
    )
    asked = request(
        tmp_path,
        data=tmp_path / "d",
        requirements=write(tmp_path / "reqs.txt", "einops==0.8.0\n"),
        config=config,
        overrides={"timeout": 90, "network": "outbound"},
    )
    done = await package(asked, tables, clock)
    assert [entry.path for entry in done.manifest.files] == [
        "data/a.bin",
        "data/sub/empty",
        "requirements.txt",
        "train.py",
    ]
    assert done.manifest.files[0].chunks == (sha256(big[:CHUNK_BYTES]).digest(), sha256(big[-7:]).digest())
    assert done.spec.input_root == make_manifest(list(done.manifest.files)).root()
    assert (done.spec.script, done.spec.has_requirements, done.spec.name) == ("train.py", True, "train")
    assert (done.spec.config.gpu_type, done.spec.config.timeout_s) == ("rtx4090", 90)
    assert done.spec.config.network is NetworkMode.OUTBOUND
    assert done.sources == {"data/a.bin": tmp_path / "d/a.bin", "data/sub/empty": tmp_path / "d/sub/empty"}
    assert set(done.copies) == {"train.py", "requirements.txt"}


async def test_the_second_time_nothing_is_read(
    tmp_path: Path, tables: EngineTables, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "d" / "a", b"x" * 100)
    asked = request(tmp_path, data=tmp_path / "d")
    first = await package(asked, tables, clock)
    read: list[Path] = []

    def counted(found: FoundFile, between: object = None) -> tuple[bytes, ...]:
        read.append(found.source)
        return hash_file(found)

    monkeypatch.setattr(hashing, "hash_file", counted)
    second = await package(asked, tables, clock)
    assert (first.known_bytes, second.known_bytes, read) == (0, 100, [])
    assert second.manifest == first.manifest
    write(file, b"y" * 100)
    third = await package(asked, tables, clock)
    assert read == [file]
    assert third.manifest != first.manifest


async def test_a_file_written_to_just_now_is_not_trusted_next_time(
    tmp_path: Path, tables: EngineTables, clock: Clock
) -> None:
    file = write(tmp_path / "d" / "a", b"x" * 100)
    os.utime(file, (clock.now_s(), clock.now_s()))
    asked = request(tmp_path, data=tmp_path / "d")
    await package(asked, tables, clock)
    assert (await package(asked, tables, clock)).known_bytes == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"def f(:\n", "line 1"),
        (b"ok = 1\nprint('a'\n", "line 2"),
        (b"x = 1\n\xff\n", "line 2: not UTF-8"),
        (b"x = 1\0\n", "null bytes"),
        (b"#" * (4 * MIB + 1), "larger than"),
    ],
)
async def test_scripts_that_python_cannot_read(
    tmp_path: Path, tables: EngineTables, clock: Clock, body: bytes, words: str
) -> None:
    with pytest.raises(UserError) as caught:
        await package(request(tmp_path, script=write(tmp_path / "bad.py", body)), tables, clock)
    assert words in caught.value.what
    assert "Nothing was sent" in caught.value.meaning
    assert "bad.py" in caught.value.what


async def test_a_script_is_never_run(tmp_path: Path, tables: EngineTables, clock: Clock) -> None:
    trap = tmp_path / "trap"
    await package(
        request(tmp_path, script=write(tmp_path / "s.py", f"open({str(trap)!r}, 'w')")), tables, clock
    )
    assert not trap.exists()


def link(tmp_path: Path) -> dict[str, object]:
    write(tmp_path / "d" / "a", b"1")
    (tmp_path / "d" / "b").symlink_to("/etc/passwd")
    return {"data": tmp_path / "d"}


def link_to_folder(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "up").symlink_to("..")
    return {"data": tmp_path / "d"}


def pipe(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "p")
    return {"data": tmp_path / "d"}


def nested(tmp_path: Path) -> dict[str, object]:
    write(tmp_path / "d" / "/".join("x" * 20) / "a", b"1")
    return {"data": tmp_path / "d"}


def reserved(tmp_path: Path) -> dict[str, object]:
    write(tmp_path / "d" / "con.txt", b"1")
    return {"data": tmp_path / "d"}


def clash(tmp_path: Path) -> dict[str, object]:
    write(tmp_path / "d" / "a", b"1")
    write(tmp_path / "d" / "A", b"1")
    return {"data": tmp_path / "d"}


def not_utf8(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "d").mkdir()
    Path(os.fsdecode(bytes(tmp_path / "d") + b"/\xff")).write_bytes(b"1")
    return {"data": tmp_path / "d"}


def empty(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "d").mkdir()
    return {"data": tmp_path / "d"}


WRONG = {
    "missing script": (lambda p: {"script": p / "none.py"}, "no_script", "none.py"),
    "script is a folder": (lambda p: {"script": p}, "unreadable", "directory"),
    "script called data": (lambda p: {"script": write(p / "DATA", GOOD)}, "bad_script", "DATA"),
    "missing data": (lambda p: {"data": p / "none"}, "no_data", "none"),
    "empty data": (empty, "no_data", "no file"),
    "link": (link, "link_in_data", "d/b is a link"),
    "link to a folder": (link_to_folder, "link_in_data", "d/up is a link"),
    "pipe": (pipe, "bad_data", "d/p"),
    "too deep": (nested, "bad_path", "nested"),
    "reserved": (reserved, "bad_path", "con.txt"),
    "case clash": (clash, "bad_manifest", "Windows"),
    "not utf-8": (not_utf8, "bad_path", "UTF-8"),
    "missing config": (lambda p: {"config": p / "c.json"}, "no_config", "c.json"),
    "config": (lambda p: {"config": write(p / "c.json", '{"gpu": 1}')}, "bad_config", "'gpu'"),
    "config no json": (lambda p: {"config": write(p / "c.json", "{")}, "bad_config", "JSON"),
    "timeout": (lambda p: {"overrides": {"timeout": 0}}, "bad_config", "timeout"),
    "requirements": (
        lambda p: {"requirements": write(p / "r.txt", "a @ http://x")},
        "bad_requirement",
        "line 1",
    ),
    "url": (lambda p: {"data_url": "ftp://x/y"}, "bad_data_url", "ftp"),
}


@pytest.mark.parametrize("case", list(WRONG))
async def test_everything_wrong_is_said_in_three_parts(
    tmp_path: Path, tables: EngineTables, clock: Clock, case: str
) -> None:
    make, code, words = WRONG[case]
    with pytest.raises(UserError) as caught:
        await package(request(tmp_path, **make(tmp_path)), tables, clock)
    assert caught.value.code == code
    assert words in caught.value.what
    assert "Nothing was sent and nothing was paid." in caught.value.meaning
    assert caught.value.exit_code == 2


async def test_what_is_excluded_is_not_looked_at(tmp_path: Path, tables: EngineTables, clock: Clock) -> None:
    link(tmp_path)
    write(tmp_path / "d" / ".git" / "x", b"1")
    asked = request(tmp_path, data=tmp_path / "d", exclude=("b", ".git"))
    assert list((await package(asked, tables, clock)).sources) == ["data/a"]


async def test_the_named_folder_itself_may_be_a_link(
    tmp_path: Path, tables: EngineTables, clock: Clock
) -> None:
    write(tmp_path / "real" / "a", b"1")
    (tmp_path / "d").symlink_to("real")
    done = await package(request(tmp_path, data=tmp_path / "d"), tables, clock)
    assert done.sources == {"data/a": tmp_path / "real" / "a"}


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of POSIX")
async def test_an_unreadable_file_is_named(tmp_path: Path, tables: EngineTables, clock: Clock) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    (file := write(tmp_path / "d" / "secret", b"1")).chmod(0)
    asked = request(tmp_path, data=tmp_path / "d")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(UserError) as caught:
            await package(asked, tables, clock)
    finally:
        os.seteuid(before)
    assert caught.value.code == "unreadable"
    assert str(file) in caught.value.what


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a", b"x" * (CHUNK_BYTES + 1))
    status = file.stat()
    found = FoundFile("data/a", file, status.st_size, identity_of(status), status.st_mtime)

    def grow() -> None:
        with file.open("ab") as handle:
            handle.write(b"!")

    with pytest.raises(UserError) as caught:
        hash_file(found, grow)
    assert caught.value.code == "changed"
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(UserError):
        hash_file(found)


NAMES = st.text(string.ascii_lowercase + string.digits + "_-é", min_size=1, max_size=8).map("f".__add__)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.binary(max_size=300), min_size=1, max_size=8
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=TREES)
def test_a_manifest_says_exactly_what_lies_in_the_folder(tree: dict[tuple[str, ...], bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        kept: dict[str, bytes] = {}
        for parts, body in tree.items():
            path = root / "d" / Path(*parts)
            if path.is_dir() or any(parent.is_file() for parent in path.parents):
                continue
            write(path, body)
            kept["data/" + "/".join(parts)] = body

        async def run() -> None:
            async with Journal.open(root / "j.db", migrations("engine")) as journal:
                tables = EngineTables(journal)
                done = await package(request(root, data=root / "d"), tables, hashing_clock)
                entries = {entry.path: entry for entry in done.manifest.files if entry.path != "train.py"}
                assert set(entries) == set(kept)
                for path, body in kept.items():
                    assert entries[path].size_bytes == len(body)
                    assert entries[path].chunks == ((sha256(body).digest(),) if body else ())

        trio.run(run)


class _Clock:
    def now_s(self) -> float:
        return 2_000_000_000.0

    monotonic_s = now_s


hashing_clock = _Clock()
