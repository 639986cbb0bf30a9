"""One attempt's row of the journal, and whoever waits until it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import trio

from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.messages.nodes import Assignment
from p2p.node.keeping import kept_until_s
from p2p.store.node import JobRecord, NodeTables, Phase

_LOG = logging.getLogger(__name__)


def limit_of(job: Assignment, record: JobRecord) -> int:
    """How long an attempt's container may run: as it was assigned, or as its buyer has paid for since."""
    return record.timeout_s or job.limit_s


class Attempt:
    """``record`` is what the journal has, never anything newer."""

    def __init__(self, tables: NodeTables, clock: Clock, record: JobRecord) -> None:
        self.record = record
        self._tables = tables
        self._clock = clock
        self._lock = trio.Lock()
        self._changed = trio.Event()

    async def without_slot(self) -> None:
        """Wait until the attempt takes no slot any more."""
        while self.record.phase.takes_slot:
            await self._changed.wait()

    async def _advance(self, phase: Phase, event: str = "", **values: Any) -> None:
        async with self._lock:
            old = self.record.phase
            self.record = await self._tables.advance(self.record, phase, event, **values)
        _LOG.info("job %s epoch %d: %s -> %s", *self.record.key, old.value, phase.value)
        self._wake()

    async def _note(self, **values: Any) -> None:
        async with self._lock:
            self.record = await self._tables.note(self.record, **values)
        self._wake()

    async def _try_note(self, **values: Any) -> bool:
        """As :meth:`_note`; false if the journal cannot be written now, as on a full disk."""
        try:
            await self._note(**values)
        except EnvironmentFailure as failure:
            _LOG.warning("job %s: %s", self.record.job_id, failure.what)
            return False
        return True

    async def _commit_log(self, size_bytes: int, cursor: str) -> None:
        async with self._lock:
            self.record = await self._tables.note(self.record, log_bytes=size_bytes, log_cursor=cursor)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _wait_while_kept(self, done: Callable[[], bool]) -> None:
        """Wait for ``done``, at most until outputs have been kept long enough, which a dispute prolongs."""
        while not done() and (left_s := kept_until_s(self.record) - self._clock.now_s()) > 0:
            with trio.move_on_after(left_s):
                await self._changed.wait()
