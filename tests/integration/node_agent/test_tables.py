"""The node's tables over a real journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2p.core.errors import Bug, Refused
from p2p.core.states import FailureCode, JobState
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import PHASES, NodeTables, Phase, Place

JOB, OTHER = "a" * 32, "b" * 32
CPU = Place("", "sha256:1", 2.0, 1 << 30)


class Clock:
    def __init__(self) -> None:
        self.at_s = 1000.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_s(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tables(tmp_path: Path, clock: Clock) -> AsyncIterator[NodeTables]:
    async with Journal.open(tmp_path / "journal.db", migrations("node")) as journal:
        yield NodeTables(journal, clock)


async def walk(tables: NodeTables, job_id: str, *phases: Phase, epoch: int = 1) -> None:
    record = await tables.find(job_id, epoch)
    assert record is not None
    for phase in phases:
        record = await tables.advance(record, phase)


TO_CLEANED = (Phase.FAILED, Phase.CLEANED)


async def test_a_job_is_taken_once(tables: NodeTables, clock: Clock) -> None:
    first = await tables.accept(JOB, 1, b"assignment", CPU)
    assert (first.phase, first.revision, first.image, first.cpus) == (Phase.ASSIGNED, 1, "sha256:1", 2.0)
    await tables.advance(first, Phase.STAGING)
    clock.at_s = 2000
    again = await tables.accept(JOB, 1, b"other", CPU)
    assert (again.phase, again.assignment, again.accepted_at_s) == (Phase.STAGING, b"assignment", 1000)


async def test_a_slot_takes_one_job_until_it_is_over(tables: NodeTables) -> None:
    await tables.accept(JOB, 1, b"", CPU)
    with pytest.raises(Refused):
        await tables.accept(OTHER, 1, b"", CPU)
    await tables.accept(OTHER, 1, b"", Place("GPU-1", "i", 1, 1))  # another slot
    await walk(tables, JOB, Phase.FAILED)
    await tables.accept(OTHER, 2, b"", CPU)


async def test_a_step_that_the_table_does_not_have_is_a_bug(tables: NodeTables) -> None:
    record = await tables.accept(JOB, 1, b"", CPU)
    with pytest.raises(Bug):
        await tables.advance(record, Phase.DELIVERING)
    with pytest.raises(Bug):
        await tables.note(record, no_such_column=1)


async def test_a_stale_record_cannot_move_a_job(tables: NodeTables) -> None:
    stale = await tables.accept(JOB, 1, b"", CPU)
    await tables.advance(stale, Phase.STAGING)
    with pytest.raises(Bug):
        await tables.advance(stale, Phase.FAILED)
    found = await tables.find(JOB, 1)
    assert found is not None
    assert found.phase is Phase.STAGING


async def test_columns_come_back_as_they_were_set_and_steps_leave_events(
    tables: NodeTables, clock: Clock
) -> None:
    record = await tables.accept(JOB, 1, b"", CPU)
    record = await tables.note(record, reported=JobState.STAGING, log_bytes=5, log_cursor="1:1:0:0")
    clock.at_s = 1005
    record = await tables.advance(
        record, Phase.FAILED, "why", failure=FailureCode.INPUT, detail="gone", stop_reason="x"
    )
    assert (record.reported, record.failure, record.detail) == (JobState.STAGING, FailureCode.INPUT, "gone")
    assert (record.log_bytes, record.log_cursor, record.updated_at_s) == (5, "1:1:0:0", 1005)
    events = await tables.events(JOB, 1)
    assert [(event.at_s, event.old, event.new, event.detail) for event in events] == [
        (1000, None, Phase.ASSIGNED, ""),
        (1005, Phase.ASSIGNED, Phase.FAILED, "why"),
    ]


async def test_open_jobs_latest_attempt_and_newest(tables: NodeTables, clock: Clock) -> None:
    await tables.accept(JOB, 1, b"", CPU)
    await walk(tables, JOB, *TO_CLEANED)
    clock.at_s = 1001
    await tables.accept(JOB, 3, b"", CPU)
    latest = await tables.latest(JOB)
    assert latest is not None
    assert latest.epoch == 3
    assert await tables.latest(OTHER) is None
    assert [record.key for record in await tables.open_jobs()] == [(JOB, 3)]
    assert [record.key for record in await tables.newest(1)] == [(JOB, 3)]


async def test_finished_jobs_are_forgotten_once_their_log_is_gone(tables: NodeTables, clock: Clock) -> None:
    for number, job_id in enumerate((JOB, OTHER, "c" * 32)):
        clock.at_s = 1000 + number
        await tables.accept(job_id, 1, b"", CPU)
        await walk(tables, job_id, *TO_CLEANED)
    kept = await tables.kept_logs()
    assert [record.job_id for record in kept] == [JOB, OTHER, "c" * 32]
    assert await tables.forget(0) == 0
    await tables.note(kept[0], log_kept=False)
    await tables.note(kept[2], log_kept=False)
    assert await tables.forget(1) == 1  # the newest stays
    assert [record.job_id for record in await tables.newest(9)] == ["c" * 32, OTHER]
    assert await tables.events(JOB, 1) == ()


async def test_every_phase_but_the_last_leads_on(tables: NodeTables) -> None:
    assert set(PHASES) == set(Phase)
    assert [phase for phase in Phase if not PHASES[phase]] == [Phase.CLEANED]
    reachable = {Phase.ASSIGNED}
    while (more := set().union(*(PHASES[phase] for phase in reachable)) | reachable) != reachable:
        reachable = more
    assert reachable == set(Phase)
