"""From a job's container into its spool: every byte once, in the order of arrival."""

from __future__ import annotations

import trio

from p2p.core.limits import REASON_MAX_CHARS
from p2p.core.text import clean_bytes
from p2p.node.runner import LogCursor, Runner, RunSpec
from p2p.node.runner.logs import STDERR
from p2p.node.spool import Commit, Spool, SpoolWriter
from p2p.node.tools import single_error

_LINE_SHOWN_MAX_CHARS = REASON_MAX_CHARS // 2
_TAIL_BYTES = 4096


class LogKeeper:
    """Keeps one job's log; remembers the last line on standard error for whoever explains a failure."""

    def __init__(self, runner: Runner, spec: RunSpec, spool: Spool, commit: Commit) -> None:
        self._runner = runner
        self._spec = spec
        self._spool = spool
        self._commit = commit
        self._last_error_line = b""

    async def follow(self, cursor_text: str) -> None:
        """Append everything after the persisted cursor, until the job has ended and all is certain.

        :raises EnvironmentFailure: the container is gone, Docker or the disk fails.
        """
        try:
            await self._follow(LogCursor.parse(cursor_text))
        except BaseExceptionGroup as group:
            raise single_error(group) or group from None

    async def _follow(self, cursor: LogCursor) -> None:
        async with SpoolWriter(self._spool, self._commit) as writer, trio.open_nursery() as nursery:
            nursery.start_soon(writer.commit_regularly)
            async with self._runner.follow_logs(self._spec, cursor) as entries:
                async for entry in entries:
                    cursor = cursor.after(entry)
                    await writer.add(entry.data, str(cursor))
                    if entry.stream == STDERR and not entry.data.isspace():
                        self._last_error_line = entry.data
            await writer.flush()
            nursery.cancel_scope.cancel()

    async def last_line(self) -> str:
        """The last thing that was printed on standard error, or at all; clean."""
        line = self._last_error_line
        if not line:
            tail = await self._spool.read(max(0, self._spool.size_bytes - _TAIL_BYTES))
            line = next((part for part in reversed(tail.splitlines()) if part.strip()), b"")
        return clean_bytes(line.strip(), _LINE_SHOWN_MAX_CHARS)
