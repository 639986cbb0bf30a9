"""Series are read once each, whatever the pieces in which the log and the looks come."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.limits import LOG_LINE_MAX_BYTES, METRICS_READ_MAX_BYTES
from p2p.engine.joblog import JobLog
from p2p.engine.metric_reading import log_rows, read_piece
from p2p.engine.metric_tables import Row, metrics_csv

LINES = (b"Epoch 1/2", b"loss=0.5", b"nothing here", b"", b"acc: nan", b"\xff\xfe loss=1", b"x" * 70_000)


def written(folder: Path, body: bytes) -> JobLog:
    log = JobLog(folder, 1)
    log.path.write_bytes(body)
    return log


def all_rows(log: JobLog, *, whole: bool = True) -> list[Row]:
    rows: list[Row] = []
    offset = line = 0
    while True:
        piece = read_piece(log, offset, line, whole=whole)
        rows += piece.rows
        offset, line = piece.offset, piece.line
        if piece.ended:
            return rows


@given(
    lines=st.lists(st.sampled_from(LINES), max_size=8),
    ended=st.booleans(),
    cuts=st.lists(st.integers(0, 10**6)),
)
def test_following_gives_what_the_whole_log_gives(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, cuts: list[int]
) -> None:
    body = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    log = JobLog(tmp_path_factory.getbasetemp() / "log", 1)
    log.path.parent.mkdir(exist_ok=True)
    rows: list[Row] = []
    offset = line = 0
    for cut in [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]:
        log.path.write_bytes(body[:cut])
        piece = read_piece(log, offset, line, whole=cut == len(body))
        assert piece.ended
        rows += piece.rows
        offset, line = piece.offset, piece.line
    assert repr(rows) == repr(list(log_rows(log)))
    assert offset == len(body)


def test_a_long_log_comes_in_pieces(tmp_path: Path) -> None:
    count = 1 + METRICS_READ_MAX_BYTES // len(b"loss=0.00001\n")
    log = written(tmp_path, b"".join(b"loss=%.5f\n" % (n / 1e5) for n in range(count)))
    first = read_piece(log, 0, 0, whole=False)
    assert not first.ended
    assert len(first.rows) < count
    assert [number for number, _ in all_rows(log)] == list(range(1, count + 1))


def test_a_line_that_never_ends_is_waited_for_no_longer_than_a_line_may_be(tmp_path: Path) -> None:
    log = written(tmp_path, b"y" * (LOG_LINE_MAX_BYTES + 10))
    piece = read_piece(log, 0, 0, whole=False)
    assert (piece.line, piece.offset) == (1, LOG_LINE_MAX_BYTES)


def test_as_csv_no_name_is_a_formula() -> None:
    rows: list[Row] = [(3, {"loss": 0.5}), (7, {"=cmd()": 1.0, "loss": math.inf})]
    assert metrics_csv(rows) == "line,loss,'=cmd()\r\n3,0.5,\r\n7,inf,1.0\r\n"
