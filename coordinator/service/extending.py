"""More time for a job that goes on: quoted, paid into its escrow by the buyer, then granted.

The hash on the chain stays that of the first terms. That is safe for both sides: whatever anybody says, no
verdict pays more than the escrow holds, and this coordinator has signed what the buyer paid for.
"""

from __future__ import annotations

from coordinator.domain.extending import EXTENDABLE, Deadline, extended, is_extension
from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.service.office import Office
from coordinator.service.orders import Orders, own_job
from coordinator.service.views import job_view
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import JobRow, LoginRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.config import FINALIZED
from p2p.core.durations import format_duration
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import EXTEND_MARGIN_S, TIMEOUT_MAX_S
from p2p.core.messages.extensions import ExtendedRequest, ExtendOffer, ExtendRequest
from p2p.core.messages.jobs import JobView, Terms


class Extending:
    """``job.extend``, ``job.extended``."""

    def __init__(self, context: Context, orders: Orders, office: Office) -> None:
        self._context = context
        self._orders = orders
        self._office = office

    async def extend(self, login: LoginRow, request: ExtendRequest) -> ExtendOffer:
        """Signed terms for so many seconds more; nothing changes by them.

        :raises Refused: ``not_extendable``, ``too_long``; of what locks money ``paused``, ``asset_stopped``.
        """
        if not 0 < request.seconds <= TIMEOUT_MAX_S:
            raise UserError("bad_duration", "The time to add must be more than nothing.", _NOTHING)
        job = await self._context.run(lambda tx: own_job(login, jobs.find(tx, request.job_id)))
        await self._office.check_open(job.money)
        on_chain = await self._context.chain.existing_job(Wallet(job.buyer), JobId(job.job_id))
        now_s = self._context.now_s()
        timeout_s = job.timeout_s + request.seconds
        _check(job, on_chain, timeout_s, now_s)
        return ExtendOffer(self._orders.sign(extended(job.agreed, timeout_s, now_s)))

    async def extended(self, login: LoginRow, request: ExtendedRequest) -> JobView:
        """Grant the time that is paid for; the node hears of it with its next lease. Idempotent.

        :raises EnvironmentFailure: ``deposit_not_seen``: try again with the same request.
        :raises Refused: ``bad_terms``; as :meth:`extend`: what was added comes back with the verdict.
        """
        terms = self._orders.check_own_terms(login, request.terms)
        payload = request.terms.payload

        def look(tx: Tx) -> tuple[JobRow, JobView | None]:
            job = own_job(login, jobs.find(tx, request.job_id))
            known = jobs.is_extended_by(tx, job.job_id, payload)
            return job, job_view(tx, job, self._context.now_s()) if known else None

        job, known = await self._context.run(look)
        if known is not None:
            return known
        _check_extension(terms, job)
        on_chain = await self._paid(job, terms)

        def work(tx: Tx) -> JobView:
            now_s = self._context.now_s()
            held = own_job(login, jobs.lock(tx, job.job_id))
            if not jobs.is_extended_by(tx, held.job_id, payload):
                _check_extension(terms, held)
                _check(held, on_chain, terms.timeout_s, now_s)
                _check_unpaid(tx, held)
                held = jobs.extend(tx, held, request.terms, _detail(held, terms), now_s)
            return job_view(tx, held, now_s)

        view = await self._context.run(work)
        await self._context.effect(Boundary.EXTENDED)
        self._context.events.post(job.buyer)
        return view

    async def _paid(self, job: JobRow, terms: Terms) -> OnChainJob:
        """The job on chain, once its escrow holds the deposit for good: nobody works for what may vanish."""
        chain = self._context.chain.at(FINALIZED)
        found = await chain.job(Wallet(job.buyer), JobId(job.job_id))
        if found is not None and found.deposit_units >= terms.deposit_units:
            return found
        if found is not None and found.status not in (JobStatus.OPEN, JobStatus.ASSIGNED):
            raise _not_extendable(f"its escrow is {found.status.name.lower()}")
        raise EnvironmentFailure(
            "deposit_not_seen",
            "The deposit for the longer time is not final on the chain yet.",
            "The job goes on with the limit that it had; what was added is safe in its escrow.",
            "Ask again in a moment.",
        )


def _check(job: JobRow, on_chain: OnChainJob, timeout_s: int, now_s: float) -> None:
    """Whether a job may run for ``timeout_s``, as it stands here and on the chain."""
    if job.status not in EXTENDABLE:
        raise _not_extendable(f"it is {job.state}")
    if on_chain.status not in (JobStatus.OPEN, JobStatus.ASSIGNED):
        raise _not_extendable(f"its escrow is {on_chain.status.name.lower()}")
    if job.running_at_s is not None and now_s > job.running_at_s + job.timeout_s - EXTEND_MARGIN_S:
        raise _not_extendable("its time is as good as over")
    at_s = on_chain.deadline_s if on_chain.status is JobStatus.ASSIGNED else None
    longest_s = Deadline(on_chain.run_s, at_s).longest_s(job.status, job.running_at_s, now_s)
    if timeout_s > longest_s:
        more_s = max(0, longest_s - job.timeout_s)
        raise Refused(
            "too_long",
            f"With {format_duration(timeout_s - job.timeout_s)} more the job could run into its escrow's "
            "deadline, which nothing moves.",
            _NOTHING,
            f"At most {format_duration(more_s)} can be added now." if more_s else "Nothing can be added now.",
        )


def _check_unpaid(tx: Tx, job: JobRow) -> None:
    if outbox.verdict_of(tx, job.job_id) is not None or outbox.claim_of(tx, job.job_id) is not None:
        raise _not_extendable("its pay is being settled")


def _check_extension(terms: Terms, job: JobRow) -> None:
    if not is_extension(terms, job.agreed):
        raise Refused(
            "bad_terms",
            "These terms are not those of the job with a longer limit.",
            "The job goes on as it was agreed; what was added comes back with the rest of the deposit.",
            "Ask for the time that it needs now.",
        )


def _detail(job: JobRow, terms: Terms) -> str:
    more_s = terms.timeout_s - job.timeout_s
    return f"{format_duration(more_s)} more, {format_duration(terms.timeout_s)} in all"


def _not_extendable(reason: str) -> Refused:
    return Refused(
        "not_extendable",
        f"The job gets no more time: {reason}.",
        "What was agreed stands. Anything that was added to its deposit comes back with what it did not use.",
        "`cyxwiz show JOB` tells how it stands.",
    )


_NOTHING = "Nothing was changed; the job goes on as it was agreed."
