from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2p.core.limits import PATH_DEPTH_MAX
from p2p.node.runner import Collected
from p2p.node.runner.collect import SKIPPED_LISTED_MAX, collect


def taken(collected: Collected) -> list[str]:
    return [file.path for file in collected.files]


def test_caps_on_bytes_and_files_leave_the_rest_with_a_reason(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in "abcd":
        (source / name).write_bytes(b"x" * 10)
    collected = collect(source, tmp_path / "one", bytes_max=25)
    assert taken(collected) == ["a", "b"]
    assert collected.size_bytes == 20
    assert all("exceeds" in skipped.reason for skipped in collected.skipped)
    assert taken(collect(source, tmp_path / "two", files_max=3)) == ["a", "b", "c"]


def test_nothing_is_overwritten_at_the_destination(tmp_path: Path) -> None:
    source, target, secret = tmp_path / "source", tmp_path / "target", tmp_path / "secret"
    source.mkdir()
    target.mkdir()
    secret.write_text("keep")
    (source / "model").write_text("evil")
    (target / "model").symlink_to(secret)
    with pytest.raises(FileExistsError):
        collect(source, target)
    assert secret.read_text() == "keep"


def test_a_source_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(OSError):
        collect(tmp_path / "link", tmp_path / "target")


def test_a_file_that_becomes_a_link_or_a_pipe_between_look_and_open_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, secret = tmp_path / "source", tmp_path / "secret"
    source.mkdir()
    secret.write_text("secret")
    (source / "a").write_text("a")
    (source / "b").write_text("b")
    honest = os.stat

    def racing_stat(name: str, **options: object) -> os.stat_result:
        found = honest(name, **options)  # type: ignore[arg-type]
        path = source / name
        path.unlink()
        if name == "a":
            path.symlink_to(secret)
        else:
            os.mkfifo(path)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", racing_stat)
        collected = collect(source, tmp_path / "target")
    assert collected.files == ()
    assert [skipped.name for skipped in collected.skipped] == ["a", "b"]
    assert list((tmp_path / "target").iterdir()) == []


def test_folders_deeper_than_the_limit_are_left(tmp_path: Path) -> None:
    deep = tmp_path / "source"
    for _ in range(PATH_DEPTH_MAX + 2):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    collected = collect(tmp_path / "source", tmp_path / "target")
    assert collected.files == ()
    assert collected.skipped[0].reason == "is nested too deeply"


def test_more_entries_than_allowed_end_the_listing_and_the_list_of_reasons_is_bounded(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for index in range(SKIPPED_LISTED_MAX + 50):
        (source / f"{index:04}").symlink_to("x")
    collected = collect(source, tmp_path / "target")
    assert len(collected.skipped) == SKIPPED_LISTED_MAX
    assert collected.skipped_count == SKIPPED_LISTED_MAX + 50
    few = collect(source, tmp_path / "other", files_max=10)
    assert few.skipped_count == 21


def test_it_can_be_stopped_between_blocks(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("x")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(source, tmp_path / "target", checkpoint=stop)
