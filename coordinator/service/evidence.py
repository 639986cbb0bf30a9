"""Evidence in a dispute: the node proves outputs, drawn by us, against the root that it signed.

Of each file drawn, the node shows its entry with the audit path to the root, and serves one chunk, drawn as
well; the bytes are hashed and dropped. What came of it is kept, whatever it was.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator

import trio

from coordinator.service.context import Context
from coordinator.service.disputes import Disputes
from coordinator.service.loops import surviving
from coordinator.store import disputes, jobs
from coordinator.store.database import Tx
from coordinator.store.disputes import (
    DIFFERS,
    NOT_APPLICABLE,
    REFUSED,
    UNREACHABLE,
    VERIFIED,
    DisputeRow,
    Evidence,
)
from coordinator.store.records import JobRow
from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.limits import (
    DISPUTE_AGAIN_S,
    DISPUTE_CHECK_MAX_S,
    DISPUTE_CHECKS_AT_ONCE_MAX,
    DISPUTE_CHUNKS_MAX,
    DISPUTE_PROVE_TIMEOUT_S,
    DISPUTE_PULL_MAX_S,
    PATH_MAX_BYTES,
    REASON_MAX_CHARS,
)
from p2p.core.manifest import ChunkRef, check_entry, is_proven
from p2p.core.messages.disputes import ProofReply, ProofRequest
from p2p.core.messages.jobs import ResultStatement
from p2p.core.text import clean_name
from p2p.wire.codec import decode, encode

logger = logging.getLogger(__name__)

_BROKEN = ("chunk_corrupt", "outputs_damaged")
"""What says that the node no longer has what it signed."""

_RANDOM = secrets.SystemRandom()


class Examiner:
    """Checks the disputes that are due for it."""

    def __init__(self, context: Context, disputes_: Disputes) -> None:
        self._context = context
        self._disputes = disputes_

    async def sweep(self) -> int:
        """Check what is due, some at once; how many disputes."""
        now_s = self._context.now_s()
        due = await self._context.run(
            lambda tx: tx.all_as(
                DisputeRow, "disputes.to_check", now_s=now_s, limit=DISPUTE_CHECKS_AT_ONCE_MAX
            )
        )
        async with trio.open_nursery() as nursery:
            for row in due:
                nursery.start_soon(self._check, row)
        return len(due)

    async def _check(self, row: DisputeRow) -> None:
        with surviving("evidence"), trio.move_on_after(DISPUTE_CHECK_MAX_S):
            # Due again after a while, should this one not come to its end.
            again_at_s = self._context.now_s() + DISPUTE_AGAIN_S
            if not await self._context.run(lambda tx: _take(tx, row, again_at_s)):
                return
            job, statement, received = await self._context.run(lambda tx: _known(tx, row))
            asked = True
            if statement is None or received or not statement.output_files:
                await self._keep(row, self._nothing(NOT_APPLICABLE, _why_not(statement, received)))
            else:
                asked = await self._examine(row, job, statement)
            if asked:
                await self._context.run(lambda tx: _set_due(tx, row.job_id, again_at_s, None))

    async def _examine(self, row: DisputeRow, job: JobRow, statement: ResultStatement) -> bool:
        """Whether the node could be asked."""
        try:
            await self._disputes.tell(row.job_id)
        except EnvironmentFailure as error:
            await self._keep(row, self._nothing(UNREACHABLE, error.what))
            return False
        seen: set[tuple[int, int]] = set()
        for file_index in draw_files(statement.output_files):
            found = await self._prove(job, statement, file_index, seen)
            if found is not None:
                await self._keep(row, found)
                if found.result in (UNREACHABLE, REFUSED):
                    return found.result == REFUSED  # it would say the same of the others
        return True

    async def _prove(
        self, job: JobRow, statement: ResultStatement, file_index: int, seen: set[tuple[int, int]]
    ) -> Evidence | None:
        """One file and one chunk of it; None if that very chunk was checked in this round."""
        draw = _RANDOM.getrandbits(62)
        request = ProofRequest(job.job_id, job.epoch, file_index, draw)
        peer_id = job.node_peer_id or ""
        now_s = self._context.now_s()
        try:
            raw = await self._context.network.call(
                peer_id, "files.prove", encode(request), timeout_s=DISPUTE_PROVE_TIMEOUT_S
            )
            reply = decode(ProofReply, raw)
        except CyxWizError as error:
            return Evidence(now_s, _result_of(error), file_index, detail=_said(error))
        entry = reply.entry
        path = clean_name(entry.path, PATH_MAX_BYTES)
        problem = _problem(reply, file_index, statement)
        if problem:
            return Evidence(now_s, DIFFERS, file_index, path, detail=problem)
        if not entry.chunks:
            return Evidence(now_s, VERIFIED, file_index, path, size_bytes=0, detail="an empty file")
        index = draw % len(entry.chunks)
        if (file_index, index) in seen:
            return None
        seen.add((file_index, index))
        ref = list(entry.refs())[index]
        result, detail = await self._pull(peer_id, reply.grant, ref)
        return Evidence(now_s, result, file_index, path, index, ref.size_bytes, detail)

    async def _pull(self, peer_id: str, grant: str, ref: ChunkRef) -> tuple[str, str]:
        try:
            with trio.fail_after(DISPUTE_PULL_MAX_S):
                await self._context.pull(peer_id, grant, ref)
        except trio.TooSlowError:
            return UNREACHABLE, f"The chunk did not come within {DISPUTE_PULL_MAX_S:.0f} s."
        except CyxWizError as error:
            return _result_of(error), _said(error)
        return VERIFIED, ""

    def _nothing(self, result: str, detail: str) -> Evidence:
        return Evidence(self._context.now_s(), result, detail=clean_name(detail, REASON_MAX_CHARS))

    async def _keep(self, row: DisputeRow, found: Evidence) -> None:
        await self._context.run(lambda tx: disputes.add_evidence(tx, row.job_id, found))


def _take(tx: Tx, row: DisputeRow, again_at_s: float) -> bool:
    """Whether this check is ours to make: nobody has taken it, and there is room for what comes of it."""
    full = disputes.is_full(tx, row.job_id)
    return _set_due(tx, row.job_id, row.check_at_s, None if full else again_at_s) and not full


def _set_due(tx: Tx, job_id: str, was_s: float | None, next_s: float | None) -> bool:
    """Unless somebody has asked for another check meanwhile."""
    return bool(tx.execute("disputes.checked", job_id=job_id, asked_at_s=was_s, next_at_s=next_s))


def draw_files(count: int) -> Iterator[int]:
    """Which of ``count`` files to look at: different ones, as long as there are any."""
    different = min(count, DISPUTE_CHUNKS_MAX)
    yield from _RANDOM.sample(range(count), different)
    for _ in range(DISPUTE_CHUNKS_MAX - different):
        yield _RANDOM.randrange(count)


def _known(tx: Tx, row: DisputeRow) -> tuple[JobRow, ResultStatement | None, bool]:
    """The job, what its node swears to, and whether its buyer swore to have received it."""
    job = jobs.find(tx, row.job_id)
    assert job is not None  # the table refers to it
    signed = jobs.statement_of(tx, job)
    statement = None if signed is None else decode(ResultStatement, signed.payload)
    return job, statement, jobs.receipt_of(tx, row.job_id) is not None


def _why_not(statement: ResultStatement | None, received: bool) -> str:
    if received:
        return "The buyer's engine has signed that it received and verified every chunk."
    if statement is None:
        return "The job was cancelled while it ran: it has no result; the time that was metered is claimed."
    return "The signed result has no files."


def _problem(reply: ProofReply, file_index: int, statement: ResultStatement) -> str:
    """What is wrong with a proof; empty if nothing is."""
    try:
        check_entry(reply.entry)
    except UserError as error:
        return _said(error)
    proven = is_proven(reply.entry, file_index, statement.output_files, reply.path, statement.output_root)
    return "" if proven else "The file is not the one under the root that the node signed."


def _result_of(error: CyxWizError) -> str:
    if error.code in _BROKEN:
        return DIFFERS
    return UNREACHABLE if isinstance(error, EnvironmentFailure) else REFUSED


def _said(error: CyxWizError) -> str:
    return clean_name(error.what, REASON_MAX_CHARS)
