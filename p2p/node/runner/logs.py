"""A container's output, every line exactly once, across restarts of the agent.

Docker stamps each entry with its time. Standard output and standard error are stamped by two copiers, so
that the times rise only within each stream: a cursor holds, for each, the last time and how many entries
with it were taken. Reading resumes a little earlier and skips what the cursor has seen.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import docker
import requests
import urllib3

from p2p.core.errors import UserError
from p2p.core.limits import (
    DOCKER_IDLE_READ_S,
    LOG_RATE_MAX_BYTES_PER_S,
    LOG_RATE_WINDOW_S,
    LOG_TOTAL_MAX_BYTES,
)

STDOUT, STDERR = 1, 2
FRAME_HEAD_BYTES = 8
PIECE_BYTES = 16 << 10  # Docker splits longer lines into pieces of exactly this
ENTRY_MAX_BYTES = 1 << 20  # Docker splits at 16 KiB; anything longer than this is not a log
ENTRY_COST_BYTES = 256
RESUME_MARGIN_NS = 10 * 10**9

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z\Z")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One piece of output as Docker kept it: a line with its end, or 16 KiB of a longer one."""

    stream: int  # STDOUT or STDERR
    ts_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LogCursor:
    """Up to where the output has been taken. ``str()`` is its persisted form."""

    stdout_ns: int = 0
    stdout_count: int = 0
    stderr_ns: int = 0
    stderr_count: int = 0

    def __str__(self) -> str:
        return f"{self.stdout_ns}:{self.stdout_count}:{self.stderr_ns}:{self.stderr_count}"

    @classmethod
    def parse(cls, text: str) -> LogCursor:
        """Read back what ``str()`` gave; an empty text is the beginning.

        :raises UserError: it is something else.
        """
        if not text:
            return cls()
        if not re.fullmatch(r"\d{1,20}:\d{1,12}:\d{1,20}:\d{1,12}", text):
            raise UserError("bad_cursor", f"{text[:80]!r} is not a log cursor.")
        return cls(*(int(part) for part in text.split(":")))

    def at(self, stream: int) -> tuple[int, int]:
        if stream == STDOUT:
            return self.stdout_ns, self.stdout_count
        return self.stderr_ns, self.stderr_count

    def after(self, entry: LogEntry) -> LogCursor:
        """The cursor once ``entry`` has been taken."""
        last, count = self.at(entry.stream)
        count = count + 1 if entry.ts_ns == last else 1
        if entry.stream == STDOUT:
            return LogCursor(entry.ts_ns, count, self.stderr_ns, self.stderr_count)
        return LogCursor(self.stdout_ns, self.stdout_count, entry.ts_ns, count)

    def since_ns(self) -> int:
        """From when to read again: before anything that could still be missing."""
        return max(0, max(self.stdout_ns, self.stderr_ns) - RESUME_MARGIN_NS)


class Unseen:
    """Passes on the entries that a cursor has not seen, and moves the cursor."""

    def __init__(self, cursor: LogCursor) -> None:
        self.cursor = cursor
        self._skip = {stream: cursor.at(stream)[1] for stream in (STDOUT, STDERR)}

    def restart(self) -> None:
        """The same entries will come again from :meth:`LogCursor.since_ns` on."""
        self._skip = {stream: self.cursor.at(stream)[1] for stream in (STDOUT, STDERR)}

    def accept(self, entry: LogEntry) -> bool:
        """Whether ``entry`` is new; if so it counts as taken."""
        last, _ = self.cursor.at(entry.stream)
        if entry.ts_ns < last:
            return False
        if entry.ts_ns == last and self._skip[entry.stream] > 0:
            self._skip[entry.stream] -= 1
            return False
        self._skip[entry.stream] = 0
        self.cursor = self.cursor.after(entry)
        return True


class LogMeter:
    """Notices a job that prints faster than a log may grow, or more than it may hold."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now_s = monotonic_s
        self._window_start_s = monotonic_s()
        self._window_bytes = 0
        self.total_bytes = 0

    def add(self, size_bytes: int) -> bool:
        """Count output; True once it is too much: over the rate for a whole window, or over the total."""
        now = self._now_s()
        if now - self._window_start_s > LOG_RATE_WINDOW_S:
            self._window_start_s, self._window_bytes = now, 0
        # What an empty line costs Docker: otherwise a flood of line ends would go unseen.
        self._window_bytes += size_bytes + ENTRY_COST_BYTES
        self.total_bytes += size_bytes
        too_fast = self._window_bytes > LOG_RATE_MAX_BYTES_PER_S * LOG_RATE_WINDOW_S
        return too_fast or self.total_bytes > LOG_TOTAL_MAX_BYTES


def read_frames(pieces: Iterable[bytes]) -> Iterator[LogEntry]:
    """The entries of Docker's multiplexed stream: an 8-byte head (stream, length), then time and data.

    ``pieces`` may be cut anywhere; whole HTTP chunks are six times as fast as reading frame by frame.

    :raises ValueError: it is not such a stream.
    """
    buffer = bytearray()
    seconds = _Seconds()
    for piece in pieces:
        buffer += piece
        start = 0
        while len(buffer) - start >= FRAME_HEAD_BYTES:
            stream, size = buffer[start], int.from_bytes(buffer[start + 4 : start + FRAME_HEAD_BYTES], "big")
            if stream not in (STDOUT, STDERR) or size > ENTRY_MAX_BYTES:
                raise ValueError(f"not a log frame: {bytes(buffer[start : start + 8])!r}")
            end = start + FRAME_HEAD_BYTES + size
            if end > len(buffer):
                break
            stamp, _, data = bytes(buffer[start + FRAME_HEAD_BYTES : end]).partition(b" ")
            if len(data) < PIECE_BYTES and not data.endswith(b"\n"):
                # The last piece of a line that was split; the `local` log driver drops its line end.
                data += b"\n"
            yield LogEntry(stream, seconds.parse(stamp), data)
            start = end
        del buffer[:start]


class _Seconds:
    """Reads time stamps; neighbours share their second, whose calendar is worked out once."""

    def __init__(self) -> None:
        self._text, self._unix_s = b"", 0

    def parse(self, stamp: bytes) -> int:
        found = _STAMP.match(stamp)
        if not found:
            raise ValueError(f"not a time stamp: {stamp[:40]!r}")
        if found[1] != self._text:
            self._text = found[1]
            self._unix_s = calendar.timegm(time.strptime(found[1].decode(), "%Y-%m-%dT%H:%M:%S"))
        return self._unix_s * 10**9 + int((found[2] or b"0").ljust(9, b"0"))


def parse_stamp(stamp: bytes) -> int:
    """RFC 3339 with nanoseconds to nanoseconds since the epoch, exactly.

    :raises ValueError: it is something else.
    """
    return _Seconds().parse(stamp)


def open_log(client: docker.APIClient, container: str, since_ns: int, *, follow: bool) -> requests.Response:
    """The raw log stream. The caller closes it; closing also ends a read in another thread.

    :raises docker.errors.NotFound: no such container.
    """
    parameters: dict[str, str] = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
    if since_ns:
        parameters["since"] = f"{since_ns // 10**9}.{since_ns % 10**9:09d}"
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/logs"
    response = client.get(url, params=parameters, stream=True, timeout=DOCKER_IDLE_READ_S)
    if response.status_code == 404:
        response.close()
        raise docker.errors.NotFound(f"no container {container[:12]}")
    response.raise_for_status()
    return response


IDLE = (urllib3.exceptions.ReadTimeoutError, requests.exceptions.ReadTimeout, TimeoutError)
"""What reading a log raises when nothing was printed for ``DOCKER_IDLE_READ_S``."""
