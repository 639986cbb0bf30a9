"""Jobs between a buyer's engine and the queue: quote, submit, show, cancel, events."""

from __future__ import annotations

from collections.abc import Callable

import trio

from coordinator.domain.matching import needs_of
from coordinator.domain.pricing import PriceList, make_terms
from coordinator.service.checks import check_addresses, check_spec
from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.service.escrow import Escrow
from coordinator.service.estimates import prospects
from coordinator.service.office import Office
from coordinator.service.prices import Prices
from coordinator.service.views import job_view
from coordinator.store import jobs, rates
from coordinator.store.database import Tx, UniqueBroken
from coordinator.store.jobs import NewJob
from coordinator.store.records import JobRow, LoginRow
from p2p.core.errors import Refused, UserError
from p2p.core.ids import parse_job_id
from p2p.core.limits import (
    BUYER_JOBS_MAX,
    EVENTS_PER_REPLY_MAX,
    EVENTS_POLL_S,
    EVENTS_WAIT_MAX_S,
    JOBS_LISTED_MAX,
)
from p2p.core.messages.jobs import (
    EventList,
    EventsRequest,
    JobEvent,
    JobList,
    JobRef,
    JobView,
    ListJobsRequest,
    Quote,
    QuoteRequest,
    SubmitRequest,
    Terms,
)
from p2p.core.money import Asset
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.net.identity import verify_peer_signature
from p2p.wire.codec import decode, encode


class Orders:
    """``job.quote``, ``job.submit``, ``job.list``, ``job.show``, ``job.events``."""

    def __init__(self, context: Context, escrow: Escrow, prices: Prices, office: Office) -> None:
        self._context = context
        self._office = office
        self._escrow = escrow
        self._prices = prices

    async def quote(self, login: LoginRow, request: QuoteRequest) -> Quote:
        """Signed terms, and who could run the job now.

        :raises UserError: the specification is wrong, or its GPU type is not known.
        :raises Refused: ``price_too_low``, ``sol_price_stopped``, ``paused``, ``asset_stopped``.
        """
        await self._office.check_open(request.spec.asset)
        job_id = parse_job_id(request.job_id)
        check_spec(request.spec)
        in_sol = request.spec.asset is Asset.SOL
        sol_usd_micros = await self._prices.sol_usd_micros() if in_sol else None
        now_s = self._context.now_s()
        spec_hash = statement_hash(Domain.SPEC, encode(request.spec))

        def work(tx: Tx) -> Quote:
            _check_open_jobs(tx, login.wallet)
            terms = make_terms(
                job_id=job_id,
                buyer=login.wallet,
                asset=request.spec.asset,
                config=request.spec.config,
                prices=PriceList(rates.hourly(tx), sol_usd_micros),
                fee_bps=self._context.on_chain.fee_bps,
                spec_hash=spec_hash,
                coordinator_wallet=self._context.on_chain.coordinator,
                now_s=now_s,
            )
            needs = needs_of(request.spec.config, request.spec.input_bytes, terms.rates)
            market = prospects(tx, needs, now_s, job_id)
            return Quote(
                terms=self.sign(terms),
                nodes_online=market.why.online,
                nodes_matching=market.why.matching,
                misfits=market.why.misfits,
                jobs_ahead=market.jobs_ahead,
            )

        return await self._context.run(work)

    def sign(self, terms: Terms) -> Signed:
        """Terms that this coordinator stands by."""
        payload = encode(terms)
        identity = self._context.identity
        return Signed(payload, identity.peer_id, identity.sign(signing_input(Domain.TERMS, payload)))

    async def submit(self, login: LoginRow, request: SubmitRequest) -> JobView:
        """Queue a job whose escrow is open. Idempotent by the job id in the terms.

        :raises Refused: terms, specification and escrow do not belong together.
        :raises EnvironmentFailure: ``escrow_not_seen``: try again with the same request.
        """
        terms = self._check_terms(login, request)
        known = await self._context.run(lambda tx: self._known(tx, terms, request.terms))
        if known is not None:
            return known
        await self._escrow.check_open(terms, request.terms.payload)
        await self._context.effect(Boundary.ESCROW_SEEN)
        order = NewJob(
            request.spec,
            terms,
            request.terms,
            login.peer_id,
            request.engine_addresses,
            request.open_signature,
        )
        view = await self._queue(order)
        await self._context.effect(Boundary.JOB_QUEUED)
        self._context.events.post(login.wallet)
        self._context.dispatch.set()
        return view

    def _check_terms(self, login: LoginRow, request: SubmitRequest) -> Terms:
        check_spec(request.spec)
        check_addresses(request.engine_addresses)
        terms = self.check_own_terms(login, request.terms)
        if terms.spec_hash != statement_hash(Domain.SPEC, encode(request.spec)):
            raise _bad_terms("are for another job specification")
        if len(request.open_signature) > 96:
            raise UserError("bad_message", "The transaction signature is malformed.")
        return terms

    def check_own_terms(self, login: LoginRow, signed: Signed) -> Terms:
        """Terms that we signed for this buyer.

        :raises Refused: ``bad_terms``.
        """
        own = self._context.identity.peer_id
        if signed.signer != own or not verify_peer_signature(
            own, signing_input(Domain.TERMS, signed.payload), signed.signature
        ):
            raise _bad_terms("were not signed by this coordinator")
        terms = decode(Terms, signed.payload)
        if terms.buyer != login.wallet:
            raise _bad_terms("are for another buyer")
        return terms

    def _known(self, tx: Tx, terms: Terms, signed: Signed) -> JobView | None:
        job = jobs.find(tx, terms.job_id)
        if job is None:
            return None
        if job.terms_payload != signed.payload:
            raise Refused("job_exists", "A job with this id was submitted before, on other terms.")
        return job_view(tx, job, self._context.now_s())

    async def _queue(self, order: NewJob) -> JobView:
        terms = order.terms
        now_s = self._context.now_s()

        def work(tx: Tx) -> JobView:
            _check_open_jobs(tx, terms.buyer)
            job = jobs.insert(tx, order, now_s)
            return job_view(tx, job, now_s)

        try:
            return await self._context.run(work)
        except UniqueBroken:
            known = await self._context.run(lambda tx: self._known(tx, terms, order.signed_terms))
            if known is None:
                raise
            return known

    async def list(self, login: LoginRow, request: ListJobsRequest) -> JobList:
        """The buyer's jobs, newest first, without statements and reasons."""
        limit = max(1, min(request.limit, JOBS_LISTED_MAX))

        def work(tx: Tx) -> JobList:
            rows = tx.all_as(JobRow, "jobs.of_buyer", buyer=login.wallet, limit=limit)
            now_s = self._context.now_s()
            return JobList(tuple(job_view(tx, row, now_s, whole=False) for row in rows))

        return await self._context.run(work)

    async def show(self, login: LoginRow, request: JobRef) -> JobView:
        """One job with everything known about it."""

        def work(tx: Tx) -> JobView:
            return job_view(tx, own_job(login, jobs.find(tx, request.job_id)), self._context.now_s())

        return await self._context.run(work)

    async def events(self, login: LoginRow, request: EventsRequest) -> EventList:
        """Events after a number; waits for the first one."""
        if request.job_id:
            await self._context.run(lambda tx: own_job(login, jobs.find(tx, request.job_id)))

        def look(tx: Tx) -> tuple[JobEvent, ...]:
            return jobs.events_after(
                tx, login.wallet, request.job_id, request.after_seq, EVENTS_PER_REPLY_MAX
            )

        # Also false for a wait that is not a number.
        wait_s = min(request.wait_s, EVENTS_WAIT_MAX_S) if request.wait_s > 0 else 0.0
        with self._context.events.watching(login.wallet):
            return EventList(await self._poll(login.wallet, look, wait_s))

    async def _poll(
        self, wallet: str, look: Callable[[Tx], tuple[JobEvent, ...]], wait_s: float
    ) -> tuple[JobEvent, ...]:
        deadline_s = self._context.clock.monotonic_s() + wait_s
        while True:
            posted = self._context.events.watch(wallet)
            found = await self._context.run(look)
            left_s = deadline_s - self._context.clock.monotonic_s()
            if found or left_s <= 0:
                return found
            with trio.move_on_after(min(left_s, EVENTS_POLL_S)):
                await posted.wait()


def _check_open_jobs(tx: Tx, buyer: str) -> None:
    row = tx.row("jobs.unfinished_of_buyer", buyer=buyer)
    if row is not None and row["jobs"] >= BUYER_JOBS_MAX:
        raise Refused(
            "too_many_jobs",
            f"{BUYER_JOBS_MAX} jobs of this wallet have not ended yet.",
            "This one was not queued and is not paid for.",
            "Wait for some of them, or cancel some.",
        )


def _bad_terms(problem: str) -> Refused:
    what = f"The terms {problem}."
    return Refused("bad_terms", what, "The job cannot be queued on them.", "Ask for a quote.")


def own_job(login: LoginRow, job: JobRow | None) -> JobRow:
    """The job, if it is the buyer's; a stranger's is as unknown as one that does not exist.

    :raises UserError: ``unknown_job``.
    """
    if job is None or job.buyer != login.wallet:
        raise UserError(
            "unknown_job", "The coordinator knows no such job of yours.", hint="`cyxwiz jobs` lists yours."
        )
    return job
