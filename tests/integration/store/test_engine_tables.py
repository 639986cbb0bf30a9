"""The engine's tables on real SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2p.core.errors import Bug
from p2p.core.ids import new_job_id
from p2p.store.engine import EngineTables, EventRow, InputFile, JobRow, NewJob
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.stages import STAGES, Stage


class StepClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        return self.now


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[EngineTables]:
    async with Journal.open(tmp_path / "journal.db", migrations("engine")) as journal:
        yield EngineTables(journal, StepClock())


async def add(tables: EngineTables, job_id: str | None = None) -> JobRow:
    files = (InputFile("train.py", b"/x/train.py", 5), InputFile("data/a", b"/x/\xff/a", 7))
    return await tables.add(NewJob(job_id or new_job_id(), "wallet", b"spec", b"manifest", "/out", files))


async def test_a_job_is_kept_with_its_files(tables: EngineTables) -> None:
    job = await add(tables)
    assert (job.stage, job.revision, job.cancel_wanted) == (Stage.PACKAGED, 1, False)
    assert await tables.job(job.job_id) == job
    assert await tables.manifest(job.job_id) == b"manifest"
    assert {file.source for file in await tables.input_files(job.job_id)} == {b"/x/train.py", b"/x/\xff/a"}


async def test_a_stage_changes_once_and_leaves_an_event(tables: EngineTables) -> None:
    job = await add(tables)
    quoted = await tables.advance(job, Stage.QUOTED, "1 node", terms=b"t", signer="key")
    assert (quoted.stage, quoted.revision, quoted.terms) == (Stage.QUOTED, 2, b"t")
    with pytest.raises(Bug):
        await tables.advance(job, Stage.QUOTED)  # stale
    with pytest.raises(Bug):
        await tables.advance(quoted, Stage.SETTLED)  # no such step
    assert [event.state for event in await tables.events(job.job_id)] == ["packaged", "quoted"]


async def test_no_escrow_is_opened_before_its_transaction_is_kept(tables: EngineTables) -> None:
    job = await tables.advance(await add(tables), Stage.QUOTED, terms=b"t", signer="key")
    with pytest.raises(sqlite3.IntegrityError):
        await tables.advance(job, Stage.OPENING)
    opening = await tables.advance(job, Stage.OPENING, open_transaction=b"tx", open_signature="s")
    assert opening.open_transaction == b"tx"


async def test_terms_are_kept_before_anything_is_agreed(tables: EngineTables) -> None:
    job = await tables.advance(await add(tables), Stage.QUOTED)
    with pytest.raises(sqlite3.IntegrityError):
        await tables.advance(job, Stage.OPENING, open_transaction=b"tx")


async def test_notes_do_not_compete_with_steps(tables: EngineTables) -> None:
    job = await add(tables)
    await tables.note(job.job_id, cancel_wanted=True, problem="{}")
    quoted = await tables.advance(job, Stage.QUOTED)
    assert quoted.cancel_wanted
    assert quoted.problem is None
    with pytest.raises(Bug):
        await tables.note(job.job_id, stage=Stage.SETTLED)
    with pytest.raises(Bug):
        await tables.note(job.job_id, no_such_column=1)


async def test_remote_events_are_taken_once_and_sorted_by_time(tables: EngineTables) -> None:
    job = await add(tables)
    events = [EventRow(1002.0, "running", "", 12), EventRow(1001.0, "queued", "", 11)]
    await tables.add_events(job.job_id, events)
    await tables.add_events(job.job_id, events)
    assert [event.state for event in await tables.events(job.job_id)] == ["packaged", "queued", "running"]


async def test_prefixes_and_lists(tables: EngineTables) -> None:
    first = await add(tables, "ab" * 16)
    await add(tables, "ac" * 16)
    assert [job.job_id for job in await tables.by_prefix("abab")] == [first.job_id]
    assert len(await tables.by_prefix("a")) == 2
    assert await tables.by_prefix("%") == ()
    assert await tables.newest(10) == ()  # nobody has agreed to anything
    assert len(await tables.waiting()) == 2
    assert await tables.unfinished() == ()
    quoted = await tables.advance(first, Stage.QUOTED, terms=b"t", signer="key")
    await tables.advance(quoted, Stage.OPENING, open_transaction=b"tx")
    assert [job.job_id for job in await tables.newest(10)] == [first.job_id]
    assert [job.job_id for job in await tables.unfinished()] == [first.job_id]


async def test_dropped_jobs_are_forgotten(tables: EngineTables) -> None:
    job = await tables.advance(await add(tables), Stage.DROPPED)
    assert await tables.forget_dropped(1000.0) == ()
    assert await tables.forget_dropped(1000.5) == (job.job_id,)
    assert await tables.input_files(job.job_id) == ()


async def test_hashes_are_only_for_the_same_file_and_the_oldest_go(
    tables: EngineTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.store.engine.HASHED_FILES_MAX", 2)
    chunks = (b"a" * 32, b"b" * 32)
    await tables.keep_hashes([(b"/a", "1", chunks)])
    assert await tables.hashes([(b"/a", "1"), (b"/none", "1")]) == {b"/a": chunks}
    assert await tables.hashes([(b"/a", "2")]) == {}
    assert isinstance(tables._clock, StepClock)
    tables._clock.now += 1
    await tables.keep_hashes([(b"/b", "1", ()), (b"/c", "1", chunks)])
    assert await tables.hashes([(b"/a", "1"), (b"/b", "1")]) == {b"/b": ()}


async def test_settings(tables: EngineTables) -> None:
    assert await tables.setting("wallet") is None
    await tables.set_setting("wallet", "a")
    await tables.set_setting("wallet", "b")
    assert await tables.setting("wallet") == "b"
    await tables.set_setting("wallet", None)
    assert await tables.setting("wallet") is None


def test_every_stage_leads_to_an_end() -> None:
    final = {stage for stage in Stage if stage.is_final}
    assert final == {Stage.SETTLED, Stage.REFUNDED, Stage.DROPPED}
    for start in Stage:
        seen, edge = {start}, {start}
        while edge:
            edge = {new for old in edge for new in STAGES[old]} - seen
            seen |= edge
        assert seen & final


def test_money_that_may_have_moved_is_never_dropped() -> None:
    for stage in set(Stage) - {Stage.PACKAGED, Stage.QUOTED, Stage.OPENING, Stage.DROPPED}:
        assert Stage.DROPPED not in STAGES[stage]


async def test_two_coordinators_may_number_their_events_alike(tables: EngineTables) -> None:
    first, second = await add(tables), await add(tables)
    for job in (first, second):
        await tables.add_events(job.job_id, [EventRow(1001.0, "queued", "", 1)])
        assert [event.state for event in await tables.events(job.job_id)] == ["packaged", "queued"]
