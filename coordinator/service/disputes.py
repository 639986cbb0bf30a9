"""Disputed claims: what buyer and node say, what the chain shows, and what the node has to know.

The chain decides whether a claim is disputed; a dispute is written down here only once it stands there. Until
its end the node, which is told, keeps the outputs and proves some: :mod:`coordinator.service.evidence`.
"""

from __future__ import annotations

import logging
import math

from coordinator.service.context import Context
from coordinator.service.orders import own_job
from coordinator.service.views import job_view
from coordinator.store import disputes, jobs
from coordinator.store.database import Tx
from coordinator.store.disputes import BUYER, NODE, DisputeRow
from coordinator.store.records import JobRow, LoginRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.config import FINALIZED
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import (
    DISPUTE_STATEMENT_MAX_BYTES,
    DISPUTE_TELL_AGAIN_S,
    DISPUTE_TOLD_MAX_S,
    SWEEP_BATCH_MAX,
)
from p2p.core.messages.auth import Ack
from p2p.core.messages.disputes import DisputeNotice, DisputeRequest, DisputeStatement, check_words
from p2p.core.messages.jobs import JobView
from p2p.core.signing import Domain, signing_input
from p2p.net.identity import verify_peer_signature
from p2p.wire.codec import decode, encode

logger = logging.getLogger(__name__)

_NOTICE_TIMEOUT_S = 10.0


class Disputes:
    """``job.dispute`` and ``dispute.answer``; opens disputes that the chain shows; tells nodes of them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # -- what the two sides say

    async def dispute(self, login: LoginRow, request: DisputeRequest) -> JobView:
        """Why the buyer disputes a claim. Idempotent; the first word stands.

        :raises EnvironmentFailure: ``dispute_not_seen``: the chain does not show the dispute yet.
        :raises Refused: ``not_disputed``: it never will.
        """
        _check_statement(login, request, Domain.DISPUTE)
        job = await self._context.run(lambda tx: own_job(login, jobs.find(tx, request.job_id)))
        if await self._context.run(lambda tx: disputes.find(tx, job.job_id)) is None:
            await self.open(job, await self._disputed(job))  # only then is the chain asked

        def work(tx: Tx) -> JobView:
            now_s = self._context.now_s()
            locked = own_job(login, jobs.lock(tx, job.job_id))
            open_still = disputes.is_open(tx, job.job_id)
            if open_still and disputes.say(tx, job.job_id, BUYER, request.statement, now_s):
                tx.execute("disputes.tell_again", job_id=job.job_id, now_s=now_s)
            return job_view(tx, locked, now_s)

        return await self._context.run(work)

    async def answer(self, login: LoginRow, request: DisputeRequest) -> Ack:
        """What the node says to a dispute. Idempotent; the first word stands.

        :raises Refused: ``not_disputed``, ``answered``.
        """
        _check_statement(login, request, Domain.ANSWER)

        def work(tx: Tx) -> JobRow:
            job, found = jobs.find(tx, request.job_id), disputes.find(tx, request.job_id)
            if job is None or found is None or job.node_peer_id != login.peer_id or found.status.is_final:
                raise Refused(
                    "not_disputed",
                    "No dispute about a job of this node is open under this id.",
                    "Nothing was passed on.",
                )
            if not disputes.say(tx, job.job_id, NODE, request.statement, self._context.now_s()):
                said = disputes.statements(tx, job.job_id)[NODE]
                if said.payload != request.statement.payload:
                    raise Refused(
                        "answered",
                        "This node has answered the dispute before.",
                        "The first answer stands.",
                    )
            return job

        job = await self._context.run(work)
        self._context.events.post(job.buyer)
        return Ack()

    async def _disputed(self, job: JobRow) -> OnChainJob:
        """The job, if its claim is disputed on chain."""
        on_chain = await self._context.chain.at(FINALIZED).seen_job(Wallet(job.buyer), JobId(job.job_id))
        if isinstance(on_chain, OnChainJob) and on_chain.status is JobStatus.DISPUTED:
            return on_chain
        if on_chain is None or not on_chain.status.final:  # or the node asked is behind
            raise EnvironmentFailure(
                "dispute_not_seen",
                "The chain does not show the dispute yet.",
                "What you said about it is not kept yet.",
                "Ask again in a moment.",
            )
        raise Refused("not_disputed", "No claim of this job is disputed on the chain.", "Nothing was done.")

    # -- what the chain shows

    async def open(self, job: JobRow, on_chain: OnChainJob) -> None:
        """Write down a dispute that stands on chain. Once is enough."""
        if await self._context.run(lambda tx: disputes.find(tx, job.job_id)) is not None:
            return
        left_s = on_chain.deadline_s - await self._context.chain.chain_time_s()
        now_s = self._context.now_s()
        opened = await self._context.run(
            lambda tx: disputes.open_dispute(
                tx, job, on_chain.arbiter, on_chain.used_units, now_s + max(0, left_s), now_s
            )
        )
        if opened:
            logger.info("job %s: its claim is disputed", job.job_id)
            self._context.events.post(job.buyer)

    # -- what the node has to know

    async def tell_nodes(self) -> int:
        """Tell nodes of disputes that began or ended; how many were told."""
        now_s = self._context.now_s()
        waiting = await self._context.run(
            lambda tx: tx.all_as(
                DisputeRow,
                "disputes.to_tell",
                now_s=now_s,
                ended_since_s=now_s - DISPUTE_TOLD_MAX_S,
                limit=SWEEP_BATCH_MAX,
            )
        )
        told = 0
        for row in waiting:
            try:
                await self.tell(row.job_id)
                told += 1
            except EnvironmentFailure as error:
                logger.info("dispute of job %s: its node was not told: %s", row.job_id, error.what)
        return told

    async def tell(self, job_id: str) -> None:
        """Tell the job's node how the dispute stands now.

        :raises EnvironmentFailure: it cannot be reached; it is told later.
        """
        until_s = self._context.now_s() + DISPUTE_TELL_AGAIN_S

        def look(tx: Tx) -> tuple[str, DisputeNotice]:
            tx.execute("disputes.tell_later", job_id=job_id, until_s=until_s)
            return _notice(tx, job_id)

        peer_id, notice = await self._context.run(look)
        try:
            raw = await self._context.network.call(
                peer_id, "job.disputed", encode(notice), timeout_s=_NOTICE_TIMEOUT_S
            )
            decode(Ack, raw)
        except EnvironmentFailure:
            raise
        except CyxWizError as error:
            # It has heard, and has nothing to keep: the evidence will say so.
            logger.info("dispute of job %s: its node answers: %s", job_id, error.what)
        await self._context.run(
            lambda tx: tx.execute("disputes.told", job_id=job_id, state=notice.state.value, until_s=until_s)
        )


def _notice(tx: Tx, job_id: str) -> tuple[str, DisputeNotice]:
    """The node's peer id, and what it should know."""
    job, row = jobs.find(tx, job_id), disputes.find(tx, job_id)
    assert job is not None  # the table of disputes refers to it
    assert row is not None  # it is never deleted
    return job.node_peer_id or "", DisputeNotice(
        job_id=job_id,
        epoch=row.epoch,
        state=row.status,
        reason=disputes.words(disputes.statements(tx, job_id), BUYER),
        keep_until_s=row.resolve_by_s,
        decided_units=row.decided_units,
    )


def _check_statement(login: LoginRow, request: DisputeRequest, domain: Domain) -> None:
    signed = request.statement
    if len(signed.payload) > DISPUTE_STATEMENT_MAX_BYTES:
        raise UserError("bad_statement", "The statement is too large.", "It was not kept.")
    if signed.signer != login.peer_id or not verify_peer_signature(
        login.peer_id, signing_input(domain, signed.payload), signed.signature
    ):
        raise UserError("bad_signature", "The statement is not signed by the peer that sends it.")
    statement = decode(DisputeStatement, signed.payload)
    if statement.job_id != request.job_id or not math.isfinite(statement.at_s):
        raise UserError("bad_statement", "The statement is about another job.")
    check_words(statement.text)
