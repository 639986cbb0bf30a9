"""The agent's own log, ``<home>/node/agent.log``: written however the agent was started, of bounded size, and
read again for whoever looks for the cause of something.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import trio

from p2p.core.limits import AGENT_LOG_MAX_BYTES, AGENT_LOG_READ_BYTES, AGENT_LOG_TAIL_BYTES
from p2p.core.text import clean_bytes

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LINE_MAX_CHARS = 2000
_POLL_S = 0.5


def set_up_logging(log: Path) -> None:
    """Log to ``log``, and to standard error unless that is the same file already. What ``--debug`` has set up
    stays."""
    root = logging.getLogger()
    if not root.handlers:
        root.setLevel(logging.INFO)
        root.addHandler(logging.StreamHandler(sys.stderr))
    file = BoundedFileHandler(log)
    if _is_standard_error(log):
        root.handlers.clear()
    root.addHandler(file)
    for handler in root.handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))


def earlier(log: Path) -> Path:
    """What was in the log before it was begun anew."""
    return log.with_name(f"{log.name}.1")


class BoundedFileHandler(logging.FileHandler):
    """Appends; a log that has grown too long is copied aside and emptied in place, for a process that was
    started with this file as its standard error goes on writing to it."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        with suppress(OSError):
            log = Path(self.baseFilename)
            if log.stat().st_size > AGENT_LOG_MAX_BYTES:
                shutil.copyfile(log, earlier(log))
                earlier(log).chmod(0o600)
                os.truncate(log, 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of a log, clean; ``offset``: where the next ones begin. ``anew``: the log was emptied."""

    offset: int
    lines: tuple[str, ...]
    anew: bool = False


def read_piece(log: Path, offset: int | None) -> Piece:
    """The lines from ``offset`` on, a part at a time; without it from some way before the end. Blocks."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            anew = offset is not None and offset > size
            start = 0 if anew else max(0, size - AGENT_LOG_TAIL_BYTES) if offset is None else offset
            file.seek(start)
            data = file.read(AGENT_LOG_READ_BYTES)
    except FileNotFoundError:
        return Piece(0, ())
    end = data.rfind(b"\n") + 1
    if not end and len(data) == AGENT_LOG_READ_BYTES:
        end = len(data)  # a line without an end that would never be read else
    lines = data[:end].split(b"\n")[:-1] if data[:end].endswith(b"\n") else [data[:end]] if end else []
    if offset is None and start and lines:
        lines = lines[1:]  # which begins somewhere in the middle
    return Piece(start + end, tuple(clean_bytes(line, _LINE_MAX_CHARS) for line in lines), anew)


async def follow(log: Path, offset: int | None, *, forever: bool) -> AsyncGenerator[Piece, None]:
    """The log from ``offset`` on; ``forever``: and what comes."""
    while True:
        piece = await trio.to_thread.run_sync(read_piece, log, offset)
        if piece.lines or piece.anew:
            yield piece
        elif not forever:
            return
        else:
            await trio.sleep(_POLL_S)
        offset = piece.offset


def _is_standard_error(log: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(sys.stderr.fileno()), log.stat())
    except (OSError, ValueError, AttributeError):
        return False
