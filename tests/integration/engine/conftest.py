"""A journal of the engine, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2p.store.engine import EngineTables
from p2p.store.journal import Journal
from p2p.store.migrations import migrations


class StillClock:
    """Shows what it is set to."""

    def __init__(self, now_s: float = 2_000_000_000.0) -> None:
        self.value_s = now_s

    def now_s(self) -> float:
        return self.value_s

    def monotonic_s(self) -> float:
        return self.value_s


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def tables(tmp_path: Path, clock: StillClock) -> AsyncIterator[EngineTables]:
    async with Journal.open(tmp_path / "home" / "journal.db", migrations("engine")) as journal:
        yield EngineTables(journal, clock)
