from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.limits import LOG_RATE_MAX_BYTES_PER_S, LOG_RATE_WINDOW_S, LOG_TOTAL_MAX_BYTES
from p2p.node.runner.logs import (
    ENTRY_MAX_BYTES,
    PIECE_BYTES,
    STDERR,
    STDOUT,
    LogCursor,
    LogEntry,
    LogMeter,
    Unseen,
    parse_stamp,
    read_frames,
)


def frame(entry: LogEntry) -> bytes:
    seconds, rest = divmod(entry.ts_ns, 10**9)
    stamp = f"2026-01-01T00:00:{seconds:02}.{rest:09}Z ".encode()
    body = stamp + entry.data
    return bytes([entry.stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


@st.composite
def logs(draw: st.DrawFn) -> list[LogEntry]:
    """Entries whose times rise within each stream only, often standing still."""
    times = {STDOUT: 0, STDERR: 0}
    entries = []
    for index in range(draw(st.integers(0, 30))):
        stream = draw(st.sampled_from([STDOUT, STDERR]))
        times[stream] += draw(st.sampled_from([0, 0, 1, 5]))
        entries.append(LogEntry(stream, times[stream], f"{index}\n".encode()))
    return entries


@given(logs(), st.data())
def test_wherever_reading_is_cut_and_resumed_every_entry_comes_once(
    entries: list[LogEntry], data: st.DataObject
) -> None:
    taken: list[LogEntry] = []
    cursor = LogCursor()
    while len(taken) < len(entries):
        unseen = Unseen(LogCursor.parse(str(cursor)))
        left = data.draw(st.integers(1, 10))
        for entry in entries:  # Docker starts over from the beginning of the window each time
            if left and unseen.accept(entry):
                taken.append(entry)
                left -= 1
        cursor = unseen.cursor if left else cursor_after(taken)
        if left:
            break
    assert sorted(taken, key=lambda entry: int(entry.data)) == entries
    assert [e for e in taken if e.stream == STDOUT] == [e for e in entries if e.stream == STDOUT]
    assert [e for e in taken if e.stream == STDERR] == [e for e in entries if e.stream == STDERR]


def cursor_after(taken: list[LogEntry]) -> LogCursor:
    cursor = LogCursor()
    for entry in taken:
        cursor = cursor.after(entry)
    return cursor


@given(logs(), st.integers(1, 50))
def test_frames_are_read_however_the_stream_is_cut(entries: list[LogEntry], size: int) -> None:
    whole = b"".join(frame(entry) for entry in entries)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    base = parse_stamp(b"2026-01-01T00:00:00Z")
    found = [LogEntry(e.stream, e.ts_ns - base, e.data) for e in read_frames(pieces)]
    assert found == entries


def test_the_line_end_that_the_local_driver_drops_is_put_back() -> None:
    pieces = [b"a" * PIECE_BYTES, b"tail", b"next\n", b"b" * PIECE_BYTES, b""]
    whole = b"".join(frame(LogEntry(STDOUT, 0, piece)) for piece in pieces)
    text = b"".join(entry.data for entry in read_frames([whole]))
    assert text == b"a" * PIECE_BYTES + b"tail\nnext\n" + b"b" * PIECE_BYTES + b"\n"


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 500 oops.......", bytes([1, 0, 0, 0]) + (ENTRY_MAX_BYTES + 1).to_bytes(4, "big"),
     bytes([1, 0, 0, 0, 0, 0, 0, 3]) + b"x y", bytes([9, 0, 0, 0, 0, 0, 0, 0])],
)  # fmt: skip
def test_what_is_not_a_log_stream_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a"):
        list(read_frames([data]))


@given(st.binary(max_size=200))
def test_any_bytes_are_entries_or_a_value_error(data: bytes) -> None:
    try:
        found = list(read_frames([data]))
    except ValueError:
        return
    assert sum(len(entry.data) for entry in found) <= len(data) + len(found)


def test_time_stamps_are_exact_to_the_nanosecond() -> None:
    assert parse_stamp(b"1970-01-02T00:00:01.000000001Z") == 86_401 * 10**9 + 1
    assert parse_stamp(b"1970-01-01T00:00:01.5Z") == 1_500_000_000
    assert parse_stamp(b"1970-01-01T00:00:01Z") == 10**9


@pytest.mark.parametrize("text", ["1:2:3", "a:1:2:3", "1:2:3:4:5", "-1:0:0:0", "1:2:3:4\n"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        LogCursor.parse(text)


def test_the_meter_allows_bursts_but_neither_a_lasting_flood_nor_too_much_in_all() -> None:
    now = [0.0]
    meter = LogMeter(lambda: now[0])
    budget = int(LOG_RATE_MAX_BYTES_PER_S * LOG_RATE_WINDOW_S)
    assert not meter.add(budget // 2)
    now[0] += LOG_RATE_WINDOW_S + 1
    assert not meter.add(budget // 2)
    assert meter.add(budget)
    slow = LogMeter(lambda: now[0])
    over = False
    while not over:
        now[0] += 100
        over = slow.add(budget // 2)
    assert slow.total_bytes > LOG_TOTAL_MAX_BYTES


def test_empty_lines_count_too() -> None:
    meter = LogMeter(lambda: 0.0)
    assert any(meter.add(1) for _ in range(1_000_000))
