"""Nodes: join, heartbeat, leave; leases are renewed and meters tick here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from coordinator.domain.metering import used_seconds, used_units
from coordinator.service.checks import check_advert, check_heartbeat, check_held
from coordinator.service.context import Context
from coordinator.service.login import not_logged_in
from coordinator.store import jobs, nodes
from coordinator.store.database import Row, Tx
from coordinator.store.nodes import Beat
from coordinator.store.records import JobRow, LoginRow
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.limits import HEARTBEAT_S, JOBS_LISTED_MAX, LEASE_S
from p2p.core.messages.auth import Ack, Role
from p2p.core.messages.nodes import (
    PAID_UNFETCHED,
    Earning,
    EarningsReply,
    EarningsRequest,
    Heartbeat,
    HeartbeatReply,
    HeldJob,
    LeaseGrant,
    LeaveRequest,
    RegisterReply,
    RegisterRequest,
    StopOrder,
)
from p2p.core.money import fee_of
from p2p.core.states import JobState

Resend = Callable[[JobRow], None]

_AFTER_ALL = 2**63 - 1
"""A place in the queue behind every job."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lease renewed and a meter reading, until they are flushed."""

    job_id: str
    epoch: int
    peer_id: str
    until_s: float
    used_seconds: int
    used_units: int


@dataclass(frozen=True, slots=True)
class Review:
    """What the jobs that a node says it holds come to."""

    leases: tuple[LeaseGrant, ...]
    stop: tuple[StopOrder, ...]
    renewals: tuple[Renewal, ...]
    missing: tuple[JobRow, ...]


def review(tx: Tx, peer_id: str, held: tuple[HeldJob, ...], now_s: float) -> Review:
    """Renew what the node rightly holds, stop the rest; ``missing`` was assigned but has not arrived."""
    mine = {job.job_id: job for job in tx.all_as(JobRow, "jobs.held_by", peer_id=peer_id)}
    leases, stop, renewals = [], [], []
    for claim in held:
        job = mine.pop(claim.job_id, None)
        if job is None or job.epoch != claim.epoch:
            stop.append(StopOrder(claim.job_id, claim.epoch, _why_not(tx, claim)))
            continue
        leases.append(LeaseGrant(job.job_id, job.epoch, LEASE_S, job.timeout_s))
        renewals.append(_renewal(job, claim, peer_id, now_s))
    missing = tuple(job for job in mine.values() if job.status is JobState.ASSIGNED)
    return Review(tuple(leases), tuple(stop), tuple(renewals), missing)


def _why_not(tx: Tx, claim: HeldJob) -> str:
    job = jobs.find(tx, claim.job_id)
    if job is None:
        return "unknown"
    if job.epoch == claim.epoch and job.status.is_over:
        return PAID_UNFETCHED if _is_unfetched(tx, job) else job.state
    return "superseded"


def _is_unfetched(tx: Tx, job: JobRow) -> bool:
    """Whether a node should keep the outputs of a paid job for a while, for no receipt ever came."""
    paid = job.status is JobState.SETTLED and job.used_units > 0 and jobs.statement_of(tx, job) is not None
    return paid and jobs.receipt_of(tx, job.job_id) is None


def _renewal(job: JobRow, claim: HeldJob, peer_id: str, now_s: float) -> Renewal:
    seconds = units = 0
    if job.status is JobState.RUNNING and job.running_at_s is not None:
        seconds = used_seconds(claim.run_seconds, now_s - job.running_at_s, job.timeout_s)
        units = used_units(job.rate_units_per_hour or 0, seconds, job.deposit_units)
    return Renewal(job.job_id, job.epoch, peer_id, now_s + LEASE_S, seconds, units)


class Registry:
    """Heartbeats are held here and flushed in batches; everything else goes to the database at once.

    A node whose login has ended keeps what it holds until that is over, and gets no new jobs.
    """

    def __init__(self, context: Context, resend: Resend) -> None:
        self._context = context
        self._resend = resend
        self._known: set[str] = set()
        self._beats: dict[str, Beat] = {}
        self._renewals: dict[str, Renewal] = {}
        self._flushing = trio.Lock()

    async def register(self, login: LoginRow, request: RegisterRequest) -> RegisterReply:
        """``node.register``."""
        advert = request.advert
        check_advert(advert)
        check_held(request.held)
        if advert.peer_id != login.peer_id or advert.wallet != login.wallet:
            raise Refused("wrong_advert", "The advert names another peer or wallet than the one logged in.")
        now_s = self._context.now_s()
        advert = replace(advert, available=self._may_take(login, request.held, advert.available))

        def work(tx: Tx) -> Review:
            nodes.register(tx, advert, now_s)
            return review(tx, login.peer_id, request.held, now_s)

        found = await self._context.run(work)
        self._known.add(login.peer_id)
        self._beats.pop(login.peer_id, None)
        self._take(found)
        self._context.dispatch.set()
        return RegisterReply(HEARTBEAT_S, LEASE_S, found.leases, found.stop)

    async def heartbeat(self, login: LoginRow, beat: Heartbeat) -> HeartbeatReply:
        """``node.heartbeat``: touches the database only if the node holds jobs."""
        check_heartbeat(beat)
        available = self._may_take(login, beat.held, beat.available)
        now_s = self._context.now_s()
        known = login.peer_id in self._known
        if known:
            before = self._beats.get(login.peer_id)
            self._beats[login.peer_id] = Beat(
                login.peer_id,
                now_s,
                available,
                beat.disk_free_bytes,
                beat.reading.cpu_percent,
                beat.reading.memory_used_bytes,
            )
            if available and (before is None or not before.available):
                self._context.dispatch.set()
        if not beat.held:
            return HeartbeatReply((), (), register_again=not known)
        found = await self._context.run(lambda tx: review(tx, login.peer_id, beat.held, now_s))
        self._take(found)
        return HeartbeatReply(found.leases, found.stop, register_again=not known)

    def _may_take(self, login: LoginRow, held: tuple[HeldJob, ...], wants: bool) -> bool:
        """Whether a node may get jobs, if it wants to.

        :raises Refused: ``not_logged_in``: its login has ended, and so has everything that it held.
        """
        if login.lasts(self._context.now_s()):
            return wants
        if not held:
            raise not_logged_in(Role.NODE)
        return False

    def _take(self, found: Review) -> None:
        for renewal in found.renewals:
            self._renewals[renewal.job_id] = renewal
        for job in found.missing:
            self._resend(job)

    async def leave(self, login: LoginRow, request: LeaveRequest) -> Ack:
        """``node.leave``: no new jobs; those it holds it keeps for as long as it beats."""
        now_s = self._context.now_s()
        self._known.discard(login.peer_id)
        self._beats.pop(login.peer_id, None)
        await self._context.run(lambda tx: tx.execute("nodes.leave", peer_id=login.peer_id, now_s=now_s))
        return Ack()

    async def earnings(self, login: LoginRow, request: EarningsRequest) -> EarningsReply:
        """``node.earnings``."""
        rows = await self._context.run(
            lambda tx: tx.rows(
                "jobs.earnings",
                wallet=login.wallet,
                before_seq=request.before_seq if request.before_seq > 0 else _AFTER_ALL,
                since_s=request.since_s,
                limit=max(1, min(request.limit, JOBS_LISTED_MAX)),
            )
        )
        return EarningsReply(tuple(_earning(row) for row in rows))

    def forget(self, peer_id: str) -> None:
        """The connection is gone; what the node said last is still flushed."""
        self._known.discard(peer_id)

    async def flush(self) -> None:
        """Write what has come in until now, and return when all of it is written.

        :raises EnvironmentFailure: it cannot be; it is kept for the next time.
        """
        async with self._flushing:  # what another task is writing is not written yet
            await self._flush()

    async def _flush(self) -> None:
        beats, self._beats = self._beats, {}
        renewals, self._renewals = self._renewals, {}
        if not beats and not renewals:
            return

        def work(tx: Tx) -> None:
            if renewals:
                _write_renewals(tx, [renewals[job_id] for job_id in sorted(renewals)])
            if beats:
                nodes.flush_beats(tx, list(beats.values()))

        try:
            await self._context.run(work)
        except EnvironmentFailure:
            self._beats = {**beats, **self._beats}
            self._renewals = {**renewals, **self._renewals}
            raise


def _earning(row: Row) -> Earning:
    fee_units = fee_of(row["used_units"], row["fee_bps"])
    return Earning(
        job_id=row["job_id"],
        at_s=row["updated_at_s"],
        asset=row["asset"],
        net_units=row["used_units"] - fee_units,
        fee_units=fee_units,
        state=JobState(row["state"]),
        signature=row["signature"],
        name=row["name"],
        used_seconds=row["used_seconds"],
        review_ends_at_s=row["review_ends_at_s"],
        seq=row["queue_seq"],
        disputed=row["disputed"],
    )


def _write_renewals(tx: Tx, renewals: list[Renewal]) -> None:
    tx.execute(
        "jobs.renew",
        job_ids=[renewal.job_id for renewal in renewals],
        epochs=[renewal.epoch for renewal in renewals],
        peer_ids=[renewal.peer_id for renewal in renewals],
        until=[renewal.until_s for renewal in renewals],
        used_seconds=[renewal.used_seconds for renewal in renewals],
        used_units=[renewal.used_units for renewal in renewals],
    )
