"""The series of a job's metrics, read from its log: from where the last look ended, a piece at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from p2p.core.limits import (
    KIB,
    LINE_CHARS_FOR_METRICS,
    METRICS_READ_MAX_BYTES,
    METRICS_VALUES_PER_REPLY_MAX,
)
from p2p.core.metrics import RESERVED, parse_line
from p2p.engine.context import Engine
from p2p.engine.joblog import JobLog, LineSplitter
from p2p.engine.metric_tables import Row
from p2p.engine.parameters import Params, count_of
from p2p.store.engine import JobRow

_BLOCK_BYTES = 64 * KIB


def metrics_of(line: bytes) -> dict[str, float]:
    """What a line of a log says."""
    return parse_line(line.decode("utf-8", "replace")[:LINE_CHARS_FOR_METRICS])


@dataclass
class Piece:
    """What a look at a log found, and where the next one goes on: at byte ``offset``, after so many lines."""

    offset: int
    line: int
    rows: list[Row] = field(default_factory=list)
    ended: bool = False


def read_piece(log: JobLog, offset: int, line: int, *, whole: bool) -> Piece:
    """The rows from ``offset`` on, as far as one look goes. ``whole``: nothing more will come, so that the
    last line counts though it has no end. Blocks."""
    piece, splitter = Piece(offset, line), LineSplitter()
    read = values = 0

    def take(lines: Iterable[bytes]) -> int:
        count = 0
        for text in lines:
            piece.line += 1
            if found := metrics_of(text):
                piece.rows.append((piece.line, found))
                count += len(found)
        return count

    while read < METRICS_READ_MAX_BYTES and values < METRICS_VALUES_PER_REPLY_MAX:
        data = log.read(offset + read, _BLOCK_BYTES)
        read += len(data)
        values += take(splitter.feed(data))
        if len(data) < _BLOCK_BYTES:
            if whole:
                take(splitter.rest())
            piece.ended = True
            break
    piece.offset = offset + read - splitter.pending
    return piece


async def read_metrics(engine: Engine, job: JobRow, params: Params) -> Params:
    """``metrics``: from the cursor ``epoch``, ``offset``, ``line`` of an earlier answer, else from the start.

    A cursor of another attempt begins anew, for so does the log.
    """
    log = engine.log(job.job_id, job.epoch)
    size = await trio.to_thread.run_sync(log.size_bytes)
    offset, line = count_of(params, "offset", 0, size), count_of(params, "line", 0, size)
    if params.get("epoch") not in (None, job.epoch):
        offset = line = 0
    whole = job.log_complete or job.stage.is_final
    piece = await trio.to_thread.run_sync(lambda: read_piece(log, offset, line, whole=whole))
    return {
        "job_id": job.job_id,
        "epoch": job.epoch,
        "offset": piece.offset,
        "line": piece.line,
        "more": not piece.ended,
        "complete": whole and piece.ended,
        "rows": [_row_to_json(number, values) for number, values in piece.rows],
    }


def _row_to_json(line: int, values: Mapping[str, float]) -> dict[str, Any]:
    return {
        "line": line,
        "epoch": _finite(values.get("epoch")),
        "step": _finite(values.get("step")),
        "values": {name: _number(value) for name, value in values.items() if name not in RESERVED},
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinity: these are texts that ``float`` understands."""
    return value if math.isfinite(value) else str(value)


def log_rows(log: JobLog) -> Iterable[Row]:
    """Of a whole log. Blocks."""
    numbered = ((number, metrics_of(line)) for number, line in enumerate(log.lines(), start=1))
    return ((number, values) for number, values in numbered if values)
