"""What every part of the agent works with, and how a job's row reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2p.chain.escrow import EscrowClient
from p2p.chain.transaction import SignedTransaction
from p2p.core.clock import Clock
from p2p.core.errors import Bug, CyxWizError
from p2p.core.jobspec import JobSpec
from p2p.core.limits import BUDGET_LOW
from p2p.core.messages.jobs import JobRef, JobView, ResultStatement, Terms
from p2p.core.paths import Home
from p2p.core.signing import Signed
from p2p.core.states import JobState
from p2p.engine.joblog import JobLog
from p2p.engine.link import CoordinatorLink
from p2p.engine.live import LiveJobs
from p2p.engine.sources import InputSource
from p2p.engine.wallets import Wallets
from p2p.local.protocol import error_to_json
from p2p.net.peer import Peer
from p2p.store.engine import EngineTables, EventRow, JobRow
from p2p.wire.codec import decode, encode

LOW_BUDGET = "low_budget"
"""The event of a job that has used most of what it may."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The agent's parts."""

    home: Home
    clock: Clock
    tables: EngineTables
    peer: Peer
    wallets: Wallets
    link: CoordinatorLink
    source: InputSource
    live: LiveJobs

    @asynccontextmanager
    async def chain(self) -> AsyncIterator[EscrowClient]:
        """A client of the configured chain."""
        async with EscrowClient(self.link.chain_config(), self.clock) as client:
            yield client

    def folder(self, job_id: str) -> Path:
        """The job's own folder: its small inputs and its logs."""
        return self.home.engine.job(job_id)

    def log(self, job_id: str, epoch: int) -> JobLog:
        """The log of an attempt."""
        return JobLog(self.folder(job_id), epoch)

    async def job(self, job_id: str) -> JobRow:
        """The job's row as it is now."""
        row = await self.tables.job(job_id)
        if row is None:
            raise Bug(f"job {job_id} is not in the journal")
        return row

    async def refresh(self, job_id: str) -> JobView:
        """The job as the coordinator has it now; kept in the journal.

        :raises CyxWizError: as :meth:`CoordinatorLink.call`.
        """
        view = await self.link.call("job.show", JobRef(job_id), JobView)
        await self.keep_view(job_id, view)
        return view

    async def keep_view(self, job_id: str, view: JobView) -> None:
        """Keep what the coordinator said about a job, unless something newer is known already."""
        old = view_of(await self.job(job_id))
        if old is not None and old.revision > view.revision:
            return
        if old != view:
            await self._warn(await self.job(job_id), old, view)
            await self.tables.note(job_id, view=encode(view))
            self.live.ring(job_id)

    async def _warn(self, job: JobRow, old: JobView | None, view: JobView) -> None:
        """Write down that most of what a job may use is used, once for each attempt."""
        before = 0.0 if old is None or old.epoch != view.epoch else budget_used(old)
        if view.state is JobState.RUNNING and before < BUDGET_LOW <= budget_used(view):
            detail = f"{view.used_seconds} s of {view.timeout_s} s"
            event = EventRow(self.clock.now_s(), LOW_BUDGET, detail)
            await self.tables.add_events(job.job_id, [event])

    async def note_problem(self, job_id: str, error: CyxWizError | None) -> None:
        """Keep what stops a job from going on; None clears it."""
        text = None if error is None else problem_to_json(error)
        if (await self.job(job_id)).problem != text:
            await self.tables.note(job_id, problem=text)
            self.live.ring(job_id)


def spec_of(job: JobRow) -> JobSpec:
    """The job's specification."""
    return decode(JobSpec, job.spec)


def terms_of(job: JobRow) -> tuple[Signed, Terms]:
    """The newest terms that both sides agreed to, signed and read."""
    if job.terms is None:
        raise Bug(f"job {job.job_id} has no terms")
    signed = decode(Signed, job.terms)
    return signed, decode(Terms, signed.payload)


def deposit_of(job: JobRow, terms: Terms) -> int:
    """What the escrow holds: as agreed, or more if something was added for which no time was granted."""
    return max(terms.deposit_units, job.escrow_units)


def view_of(job: JobRow) -> JobView | None:
    """The job as the coordinator last showed it."""
    return None if job.view is None else decode(JobView, job.view)


def statement_of(job: JobRow) -> tuple[Signed, ResultStatement] | None:
    """The result statement that was checked."""
    if job.statement is None:
        return None
    signed = decode(Signed, job.statement)
    return signed, decode(ResultStatement, signed.payload)


def open_transaction_of(job: JobRow) -> SignedTransaction:
    """The signed Open."""
    return SignedTransaction(job.open_transaction or b"", job.open_signature, job.open_last_valid)


def budget_used(view: JobView) -> float:
    """How much of what a job may use is used, from 0 to 1: of its time, at whose end it is stopped.

    The deposit is worth that time at the dearest rate, so it lasts at least as long.
    """
    return min(1.0, view.used_seconds / view.timeout_s) if view.timeout_s > 0 else 0.0


def problem_to_json(error: CyxWizError) -> str:
    """An error as it is kept with a job."""
    return json.dumps(error_to_json(error))


def problem_of(job: JobRow) -> dict[str, Any] | None:
    """The problem kept with a job."""
    if job.problem is None:
        return None
    found: dict[str, Any] = json.loads(job.problem)
    return found
