"""Results in the buyer's folder: all of them, verified, or nothing; and never over other files."""

from __future__ import annotations

import json
import os
import resource
from hashlib import sha256
from pathlib import Path

import pytest

from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.engine.results import ResultFolder, check_out_folder, partial_folder, remove_partial, replace_file

JOB = "ab" * 16
FILES = {
    "model.pt": os.urandom(CHUNK_BYTES + 100),
    "logs/a.txt": b"same",
    "logs/b.txt": b"same",
    "empty": b"",
}


def entry(path: str, body: bytes) -> FileEntry:
    chunks = tuple(sha256(body[at : at + CHUNK_BYTES]).digest() for at in range(0, len(body), CHUNK_BYTES))
    return FileEntry(path, len(body), chunks)


def manifest_of(files: dict[str, bytes]) -> Manifest:
    return make_manifest([entry(path, body) for path, body in files.items()])


def chunks_of(files: dict[str, bytes]) -> dict[bytes, bytes]:
    found = {}
    for body in files.values():
        for at in range(0, len(body), CHUNK_BYTES):
            piece = body[at : at + CHUNK_BYTES]
            found[sha256(piece).digest()] = piece
    return found


def fill(folder: ResultFolder, files: dict[str, bytes]) -> int:
    chunks, missing = chunks_of(files), folder.prepare()
    for ref in missing:
        folder.write(ref.hash, memoryview(chunks[ref.hash]))
    return len(missing)


def finish(folder: ResultFolder, log: Path | None = None) -> None:
    folder.finish({"statement.json": json.dumps({"job_id": JOB}).encode()}, log)


def read(out: Path) -> dict[str, bytes]:
    outputs = out / "outputs"
    return {str(p.relative_to(outputs)): p.read_bytes() for p in outputs.rglob("*") if p.is_file()}


def test_everything_arrives_at_once(tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log.1"
    log.write_bytes(b"line\n")
    folder = ResultFolder(out, JOB, manifest_of(FILES))
    assert fill(folder, FILES) == 3  # the two equal files are one chunk
    assert not out.exists()
    finish(folder, log)
    assert read(out) == FILES
    assert (out / "log.txt").read_bytes() == b"line\n"
    assert not folder.partial.exists()
    assert sorted(os.listdir(tmp_path)) == ["log.1", "out"]


def test_what_was_there_is_hashed_again_and_only_the_rest_is_wanted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = ResultFolder(out, JOB, manifest_of(FILES))
    fill(first, FILES)
    model = first.partial / "outputs" / "model.pt"
    with model.open("r+b") as file:  # a write that a crash tore
        file.seek(10)
        file.write(b"\0\0\0\0\0\0\0\0")
    second = ResultFolder(out, JOB, manifest_of(FILES))
    assert [ref.hash for ref in second.prepare()] == [sha256(FILES["model.pt"][:CHUNK_BYTES]).digest()]
    fill(second, FILES)
    finish(second)
    assert read(out) == FILES


def test_another_attempts_leftovers_do_not_slip_in(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = ResultFolder(out, JOB, manifest_of({"a": b"1", "d/x": b"old", "c": b"file"}))
    fill(first, {"a": b"1", "d/x": b"old", "c": b"file"})
    (first.partial / "outputs" / "link").symlink_to("/etc/passwd")
    (first.partial / "outputs" / "a").unlink()
    (first.partial / "outputs" / "a").symlink_to("/etc/passwd")
    files = {"a": b"22", "d": b"now a file", "c/y": b"now a folder"}
    second = ResultFolder(out, JOB, manifest_of(files))
    fill(second, files)
    finish(second)
    assert read(out) == files
    assert Path("/etc/passwd").read_bytes() != b"22"


def test_a_crash_between_the_last_two_steps_is_mended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = ResultFolder(out, JOB, manifest_of(FILES))
    fill(first, FILES)
    finish(first)  # ... and the journal never heard of it
    second = ResultFolder(out, JOB, manifest_of(FILES))
    assert second.prepare() == ()
    finish(second)
    assert read(out) == FILES


HOSTILE = [
    "../up",
    "/abs",
    "a/../../b",
    "",
    "a//b",
    ".",
    "nul",
    "a\0b",
    "c:\\x",
    "a/./b",
    "x" * 300,
    "\x1b[2Jx",
    "a\u202eb",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names_never_reach_the_disk(path: str) -> None:
    with pytest.raises(UserError):
        make_manifest([entry(path, b"x")])


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    for action in (lambda: check_out_folder(out, JOB), ResultFolder(out, JOB, manifest_of(FILES)).prepare):
        with pytest.raises(UserError) as caught:
            action()
        assert caught.value.code == "out_not_empty"
    assert os.listdir(out) == ["mine.txt"]


def test_files_that_came_meanwhile_are_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = ResultFolder(out, JOB, manifest_of(FILES))
    fill(folder, FILES)
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    with pytest.raises(UserError):
        finish(folder)
    assert (out / "mine.txt").read_text() == "precious"
    (out / "mine.txt").unlink()
    finish(folder)
    assert read(out) == FILES


def test_another_jobs_results_are_other_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = ResultFolder(out, JOB, manifest_of(FILES))
    fill(folder, FILES)
    finish(folder)
    check_out_folder(out, JOB)
    for other in ("", "cd" * 16):
        with pytest.raises(UserError):
            check_out_folder(out, other)


@pytest.mark.parametrize("kind", ["file", "link", "under a file"])
def test_out_has_to_be_a_folder(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("x")
    elif kind == "link":
        (tmp_path / "real").mkdir()
        out.symlink_to("real")
    else:
        (tmp_path / "file").write_text("x")
        out = tmp_path / "file" / "out"
    with pytest.raises(UserError) as caught:
        check_out_folder(out)
    assert caught.value.code == "bad_out"


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr("p2p.engine.results.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(EnvironmentFailure) as caught:
        ResultFolder(tmp_path / "out", JOB, manifest_of(FILES)).prepare()
    assert caught.value.code == "disk_full"


def test_a_disk_that_fills_up_keeps_what_is_verified(tmp_path: Path) -> None:
    files = {"a": b"a" * 1000, "b": b"b" * 3000}
    folder = ResultFolder(tmp_path / "out", JOB, manifest_of(files))
    missing = folder.prepare()
    chunks = chunks_of(files)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        folder.write(missing[0].hash, memoryview(chunks[missing[0].hash]))
        with pytest.raises(EnvironmentFailure) as caught:
            folder.write(missing[1].hash, memoryview(chunks[missing[1].hash]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "disk_full"
    assert not (tmp_path / "out").exists()
    assert [ref.hash for ref in ResultFolder(tmp_path / "out", JOB, manifest_of(files)).prepare()] == [
        missing[1].hash
    ]


def test_a_failed_rename_leaves_the_former_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    folder = ResultFolder(out, JOB, manifest_of(FILES))
    fill(folder, FILES)
    real, calls = os.rename, []

    def rename(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr("p2p.engine.results.os.rename", rename)
    with pytest.raises(CyxWizError):
        finish(folder)
    assert out.is_dir()
    assert folder.partial.is_dir()
    finish(folder)
    assert read(out) == FILES


def test_partial_results_can_be_thrown_away(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "out", JOB, manifest_of(FILES))
    folder.prepare()
    assert partial_folder(tmp_path / "out", JOB).is_dir()
    remove_partial(tmp_path / "out", JOB)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    replace_file(path, b"1")
    replace_file(path, b"22")
    assert path.read_bytes() == b"22"
    assert os.listdir(tmp_path) == ["cost.json"]
