"""The buyer's copy of a log: every byte once, whatever is repeated."""

from __future__ import annotations

import resource
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import LOG_LINE_MAX_BYTES
from p2p.engine.joblog import JobLog, LineSplitter


def test_pieces_that_overlap_are_written_once(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "job", 1)
    assert log.append(0, b"hello ") == b"hello "
    assert log.append(0, b"hello world") == b"world"
    assert log.append(3, b"lo") == b""
    assert log.append(11, b"\n") == b"\n"
    assert log.path.read_bytes() == b"hello world\n"
    assert log.sha256() == sha256(b"hello world\n").digest()


def test_another_object_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    JobLog(tmp_path, 1).append(0, b"abc")
    again = JobLog(tmp_path, 1)
    assert again.size_bytes() == 3
    again.append(1, b"bcd")
    assert again.path.read_bytes() == b"abcd"
    assert JobLog(tmp_path, 2).size_bytes() == 0


def test_a_gap_is_noticed_and_nothing_written(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1)
    log.append(0, b"abc")
    with pytest.raises(EnvironmentFailure) as caught:
        log.append(4, b"e")
    assert caught.value.code == "log_gap"
    assert log.size_bytes() == 3


def test_a_log_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.engine.joblog.LOG_TOTAL_MAX_BYTES", 4)
    log = JobLog(tmp_path, 1)
    log.append(0, b"abcd")
    with pytest.raises(EnvironmentFailure) as caught:
        log.append(4, b"e")
    assert caught.value.code == "log_too_long"
    assert not caught.value.retryable


def test_a_full_disk_is_said_in_three_parts_and_what_is_here_stays(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1)
    log.append(0, b"x" * 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(EnvironmentFailure) as caught:
            log.append(1000, b"y" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "disk_full"
    assert len(caught.value.lines()) == 3
    assert log.append(1000, b"z") == b"z"
    assert log.path.read_bytes() == b"x" * 1000 + b"z"


@given(
    data=st.binary(max_size=400),
    cuts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=20),
)
def test_any_order_of_repeats_gives_the_same_bytes(
    tmp_path_factory, data: bytes, cuts: list[tuple[int, int]]
) -> None:
    log = JobLog(tmp_path_factory.mktemp("log"), 1)
    for offset, length in cuts:
        if offset <= log.size_bytes():
            log.append(min(offset, len(data)), data[offset : offset + length])
    log.append(log.size_bytes(), data[log.size_bytes() :])
    assert b"".join(log.blocks(0)) == data


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_lines_do_not_depend_on_how_they_arrive(pieces: list[bytes]) -> None:
    whole, split = LineSplitter(), LineSplitter()
    data = b"".join(pieces)
    expected = [*whole.feed(data), *whole.rest()]
    found = [line for piece in pieces for line in split.feed(piece)] + list(split.rest())
    assert found == expected
    assert b"\n".join(expected) == data.removesuffix(b"\n")


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    splitter = LineSplitter()
    lines = list(splitter.feed(b"x" * (2 * LOG_LINE_MAX_BYTES + 5))) + list(splitter.rest())
    assert [len(line) for line in lines] == [LOG_LINE_MAX_BYTES, LOG_LINE_MAX_BYTES, 5]
