"""A running coordinator: the parts put together, and the methods that it serves."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import trio

from coordinator.service.accounts import Accounts
from coordinator.service.claims import Claims
from coordinator.service.context import Context
from coordinator.service.dispatcher import Dispatcher
from coordinator.service.disputes import Disputes
from coordinator.service.escrow import Escrow
from coordinator.service.estimates import Estimates
from coordinator.service.evidence import Examiner
from coordinator.service.extending import Extending
from coordinator.service.follower import Follower
from coordinator.service.login import Logins
from coordinator.service.loops import every
from coordinator.service.office import Office
from coordinator.service.orders import Orders
from coordinator.service.prices import Prices
from coordinator.service.reconciler import Reconciler
from coordinator.service.registry import Registry
from coordinator.service.rents import Rents
from coordinator.service.reports import Reports
from coordinator.service.settlement import Settlement
from coordinator.service.settler import Settler
from coordinator.service.sponsor import Sponsor
from coordinator.service.sweeps import Sweeps
from p2p.core.limits import CLOSE_SWEEP_S, DISPUTE_SWEEP_S, OFFICE_LOOK_S, PRICE_SWEEP_S
from p2p.core.messages.auth import Role
from p2p.core.messages.disputes import DisputeRequest
from p2p.core.messages.estimates import EstimateRequest
from p2p.core.messages.extensions import ExtendedRequest, ExtendRequest
from p2p.core.messages.jobs import (
    AccountRequest,
    CountersignRequest,
    EventsRequest,
    JobRef,
    ListJobsRequest,
    OffersRequest,
    QuoteRequest,
    ReceiptRequest,
    SubmitRequest,
)
from p2p.core.messages.nodes import (
    EarningsRequest,
    Heartbeat,
    LeaveRequest,
    RegisterRequest,
    StateReport,
)
from p2p.core.messages.sponsor import SponsorOfferRequest, SponsorRequest
from p2p.net.calls import Handler

logger = logging.getLogger(__name__)


class Coordinator:
    """Everything that one process runs; the database and the chain hold what matters."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.logins = Logins(context)
        self.escrow = Escrow(context)
        self.follower = Follower(context.db, context.chain, context.clock, context.effect)
        self.reconciler = Reconciler(context.db, context.chain, context.clock, self.follower)
        self.dispatcher = Dispatcher(context)
        self.registry = Registry(context, self.dispatcher.assign_soon)
        self.reports = Reports(context)
        self.prices = Prices(context)
        self.office = Office(context)
        self.orders = Orders(context, self.escrow, self.prices, self.office)
        self.estimates = Estimates(context, self.prices, self.office)
        self.extending = Extending(context, self.orders, self.office)
        self.sponsor = Sponsor(context, self.orders, self.office)
        self.rents = Rents(context)
        self.settlement = Settlement(context, self.dispatcher)
        self.accounts = Accounts(context, self.follower)
        self.settler = Settler(context)
        self.claims = Claims(context)
        self.disputes = Disputes(context)
        self.examiner = Examiner(context, self.disputes)
        self.sweeps = Sweeps(
            context, self.registry, self.claims, self.settler, self.disputes, self.reconciler
        )

    def methods(self) -> Iterable[tuple[str, Handler]]:
        """Every method with its handler; all but the first two need a login of the right role."""
        handler, engine, node = self.logins.handler, Role.ENGINE, Role.NODE
        yield "auth.challenge", self.logins.challenge
        yield "auth.login", self.logins.login
        # The work of a node whose login has ended goes on; see Registry.
        yield "node.register", handler(RegisterRequest, node, self.registry.register, ended=True)
        yield "node.heartbeat", handler(Heartbeat, node, self.registry.heartbeat, ended=True)
        yield "node.leave", handler(LeaveRequest, node, self.registry.leave, ended=True)
        yield "node.earnings", handler(EarningsRequest, node, self.registry.earnings)
        yield "node.rates", handler(OffersRequest, node, self.accounts.offers)
        yield "job.report", handler(StateReport, node, self.reports.report, ended=True)
        yield "job.quote", handler(QuoteRequest, engine, self.orders.quote)
        yield "job.submit", handler(SubmitRequest, engine, self.orders.submit)
        yield "job.list", handler(ListJobsRequest, engine, self.orders.list)
        yield "job.show", handler(JobRef, engine, self.orders.show)
        yield "job.events", handler(EventsRequest, engine, self.orders.events)
        yield "job.cancel", handler(JobRef, engine, self.settlement.cancel)
        yield "job.receipt", handler(ReceiptRequest, engine, self.settlement.receipt)
        yield "job.countersign", handler(CountersignRequest, engine, self.settlement.countersign)
        yield "job.extend", handler(ExtendRequest, engine, self.extending.extend)
        yield "job.extended", handler(ExtendedRequest, engine, self.extending.extended)
        yield "job.dispute", handler(DisputeRequest, engine, self.disputes.dispute)
        yield "dispute.answer", handler(DisputeRequest, node, self.disputes.answer)
        yield "chain.sponsor_offer", handler(SponsorOfferRequest, engine, self.sponsor.offer)
        yield "chain.sponsor", handler(SponsorRequest, engine, self.sponsor.sponsor)
        yield "offers.list", handler(OffersRequest, engine, self.accounts.offers)
        yield "offers.estimate", handler(EstimateRequest, engine, self.estimates.estimate)
        yield "account.show", handler(AccountRequest, engine, self.accounts.show)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; what came in until then is flushed."""
        await self.sweeps.refresh_leases()
        await self.prices.watch()
        for method, handler in self.methods():
            self.context.network.serve(method, handler)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.dispatcher.run)
                nursery.start_soon(self.settler.run)
                nursery.start_soon(self.sweeps.run)
                nursery.start_soon(every, OFFICE_LOOK_S, self.office.look, "the program's configuration")
                nursery.start_soon(every, PRICE_SWEEP_S, self.prices.watch, "prices")
                nursery.start_soon(every, DISPUTE_SWEEP_S, self.disputes.tell_nodes, "disputes")
                nursery.start_soon(every, DISPUTE_SWEEP_S, self.examiner.sweep, "evidence")
                nursery.start_soon(every, CLOSE_SWEEP_S, self.rents.sweep, "sponsored rents")
                task_status.started()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(5.0):
                await self.registry.flush()
