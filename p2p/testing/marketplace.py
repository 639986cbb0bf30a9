"""Engines and nodes as a coordinator sees them: scripted peers with real keys, and the wire between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import trio

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.core.agreement import run_limit_s
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, PeerId, new_job_id
from p2p.core.jobspec import JobConfig, JobSpec, NetworkMode
from p2p.core.limits import CALL_TIMEOUT_S, GIB
from p2p.core.messages.auth import Ack, Challenge, ChallengeRequest, LoginReply, LoginRequest, Role
from p2p.core.messages.extensions import ExtendedRequest, ExtendOffer, ExtendRequest
from p2p.core.messages.jobs import (
    CountersignRequest,
    JobRef,
    JobView,
    Quote,
    QuoteRequest,
    Receipt,
    ReceiptRequest,
    ResultStatement,
    SettleOffer,
    SubmitRequest,
    Terms,
)
from p2p.core.messages.nodes import (
    Assignment,
    AssignReply,
    GpuInfo,
    Hardware,
    Heartbeat,
    HeartbeatReply,
    HeldJob,
    NodeAdvert,
    RegisterReply,
    RegisterRequest,
    ResourceReading,
    StateReport,
    StopOrder,
)
from p2p.core.money import Asset
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import FailureCode, JobState
from p2p.net.calls import Call, Handler
from p2p.net.identity import PeerIdentity
from p2p.wire.codec import decode, encode

T = TypeVar("T")

DEADLINE_S = 30.0


class MovableClock:
    """The system's clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return SYSTEM_CLOCK.now_s() + self.ahead_s

    def monotonic_s(self) -> float:
        return SYSTEM_CLOCK.monotonic_s() + self.ahead_s


class Wire:
    """Calls between coordinator and peers, without sockets. Who is not in ``peers`` cannot be reached."""

    def __init__(self) -> None:
        self.served: dict[str, Handler] = {}
        self.peers: dict[str, dict[str, Callable[[bytes], Awaitable[bytes]]]] = {}

    def serve(self, method: str, handler: Handler) -> None:
        self.served[method] = handler

    async def call(
        self, peer_id: str, method: str, payload: bytes, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> bytes:
        if peer_id not in self.peers:
            raise EnvironmentFailure("peer_unreachable", "There is no connection.")
        with trio.fail_after(timeout_s):
            return await self.peers[peer_id][method](payload)

    def connected_peers(self) -> frozenset[PeerId]:
        return frozenset(PeerId(peer_id) for peer_id in self.peers)


class World(Protocol):
    """What scripted peers need of their surroundings."""

    @property
    def wire(self) -> Wire: ...

    @property
    def chain(self) -> EscrowClient: ...

    async def until(self, look: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T: ...


@dataclass
class Person:
    """A peer with its wallet."""

    world: World
    role: Role
    identity: PeerIdentity = field(default_factory=PeerIdentity.ephemeral)
    signer: Signer = field(default_factory=Signer.generate)

    async def call(self, method: str, request: object, reply: type[T]) -> T:
        raw = await self.world.wire.served[method](Call(self.identity.peer_id, method, encode(request)))
        return decode(reply, raw)

    async def challenge(self) -> Challenge:
        return await self.call("auth.challenge", ChallengeRequest(self.signer.address, self.role), Challenge)

    async def login(self) -> LoginReply:
        text = (await self.challenge()).text
        return await self.answer(text)

    async def answer(self, text: str) -> LoginReply:
        signature = self.signer.sign(text.encode())
        request = LoginRequest(self.signer.address, self.role, text, signature)
        return await self.call("auth.login", request, LoginReply)

    def sign(self, domain: Domain, payload: bytes) -> Signed:
        return Signed(payload, self.identity.peer_id, self.identity.sign(signing_input(domain, payload)))


@dataclass
class Node(Person):
    """A node agent as the coordinator sees it; takes every job unless told otherwise."""

    role: Role = Role.NODE
    gpus: tuple[GpuInfo, ...] = ()
    min_price: int = 0
    refusal: str = ""
    assigned: list[Assignment] = field(default_factory=list)
    stopped: list[StopOrder] = field(default_factory=list)
    heard: trio.Event = field(default_factory=trio.Event)

    def advert(self, **changes: Any) -> NodeAdvert:
        advert = NodeAdvert(
            peer_id=self.identity.peer_id,
            wallet=self.signer.address,
            addresses=("/ip4/127.0.0.1/tcp/1",),
            hardware=Hardware(self.gpus, 8, 16 * GIB, 100 * GIB),
            min_price_usd_micros_per_hour=self.min_price,
            available=True,
            networks=(NetworkMode.NONE, NetworkMode.OUTBOUND),
            image_digest="sha256:1",
            version="0.1.0",
        )
        return replace(advert, **changes)

    async def join(self, *held: HeldJob, **changes: Any) -> RegisterReply:
        await self.login()
        self.connect()
        return await self.call("node.register", RegisterRequest(self.advert(**changes), held), RegisterReply)

    def connect(self) -> None:
        peer_id = self.identity.peer_id
        self.world.wire.peers[peer_id] = {"job.assign": self._assign, "job.stop": self._stop}

    def vanish(self) -> None:
        self.world.wire.peers.pop(self.identity.peer_id, None)

    async def beat(self, *held: HeldJob, available: bool = True) -> HeartbeatReply:
        beat = Heartbeat(available, held, ResourceReading(10.0, GIB), 100 * GIB)
        return await self.call("node.heartbeat", beat, HeartbeatReply)

    async def report(self, job_id: str, epoch: int, state: JobState, run_s: float = 0.0, **more: Any) -> None:
        await self.call("job.report", StateReport(job_id, epoch, state, run_s, **more), Ack)

    async def fail(self, job: Assignment, code: FailureCode, detail: str = "") -> None:
        await self.report(job.job_id, job.epoch, JobState.FAILED, failure=code, detail=detail)

    def statement(self, job: Assignment, run_s: float, **changes: Any) -> ResultStatement:
        statement = ResultStatement(
            job_id=job.job_id,
            epoch=job.epoch,
            input_root=job.spec.input_root,
            image_digest="sha256:1",
            output_root=sha256(b"outputs").digest(),
            output_bytes=7,
            output_files=1,
            log_sha256=sha256(b"log").digest(),
            log_bytes=3,
            exit_code=0,
            started_at_s=1.0,
            finished_at_s=1.0 + run_s,
            run_seconds=run_s,
            cpu_seconds=run_s,
            memory_peak_bytes=GIB,
        )
        return replace(statement, **changes)

    async def deliver(self, job: Assignment, run_s: float, **changes: Any) -> Signed:
        signed = self.sign(Domain.RESULT, encode(self.statement(job, run_s, **changes)))
        await self.report(job.job_id, job.epoch, JobState.DELIVERING, run_s, statement=signed)
        return signed

    async def next_job(self) -> Assignment:
        with trio.fail_after(DEADLINE_S):
            while not self.assigned:
                await self.heard.wait()
        return self.assigned.pop(0)

    async def next_stop(self) -> StopOrder:
        with trio.fail_after(DEADLINE_S):
            while not self.stopped:
                await self.heard.wait()
        return self.stopped.pop(0)

    async def _assign(self, payload: bytes) -> bytes:
        if self.refusal:
            return encode(AssignReply(False, self.refusal))
        self.assigned.append(decode(Assignment, payload))
        self._notify()
        return encode(AssignReply(True))

    async def _stop(self, payload: bytes) -> bytes:
        self.stopped.append(decode(StopOrder, payload))
        self._notify()
        return encode(Ack())

    def _notify(self) -> None:
        self.heard.set()
        self.heard = trio.Event()


@dataclass
class Buyer(Person):
    """An engine as the coordinator sees it. Its wallet signs for itself."""

    role: Role = Role.ENGINE

    def spec(self, **config: Any) -> JobSpec:
        config.setdefault("timeout_s", 3600)
        asset = config.pop("asset", Asset.USDC)
        return JobSpec("digits", "train.py", JobConfig(**config), sha256(b"in").digest(), 10, 2, False, asset)

    async def quote(self, spec: JobSpec, job_id: str | None = None) -> Quote:
        return await self.call("job.quote", QuoteRequest(job_id or new_job_id(), spec), Quote)

    async def open_escrow(self, terms: Signed, *, run_s: int | None = None, **changes: Any) -> str:
        """Open it on chain as the terms say, but for ``changes``."""
        longest_s = (await self.world.chain.config()).longest_job_s
        agreed = replace(decode(Terms, terms.payload), **changes)
        transaction = await self.world.chain.prepare_open(
            self.signer,
            self.signer.address,
            JobId(agreed.job_id),
            agreed.asset,
            agreed.deposit_units,
            statement_hash(Domain.TERMS, terms.payload),
            run_s or run_limit_s(agreed.timeout_s, longest_s),
        )
        return await self.world.chain.send_and_confirm(transaction)

    def submission(self, spec: JobSpec, terms: Signed, signature: str) -> SubmitRequest:
        return SubmitRequest(spec, terms, signature, ("/ip4/127.0.0.1/tcp/2",))

    async def submit(self, **config: Any) -> JobView:
        """Quote, open, submit."""
        spec = self.spec(**config)
        terms = (await self.quote(spec)).terms
        signature = await self.open_escrow(terms)
        return await self.call("job.submit", self.submission(spec, terms, signature), JobView)

    async def show(self, job_id: str) -> JobView:
        return await self.call("job.show", JobRef(job_id), JobView)

    async def ask_extension(self, job_id: str, seconds: int) -> Signed:
        """The terms for more time."""
        return (await self.call("job.extend", ExtendRequest(job_id, seconds), ExtendOffer)).terms

    async def top_up(self, job_id: str, seconds: int) -> JobView:
        """Ask, pay, have it granted."""
        terms = await self.ask_extension(job_id, seconds)
        await self.pay_extension(terms)
        return await self.extended(terms)

    async def pay_extension(self, terms: Signed) -> None:
        """Put what is missing into the escrow."""
        agreed, owner, chain = decode(Terms, terms.payload), self.signer.address, self.world.chain
        held = (await chain.existing_job(owner, JobId(agreed.job_id))).deposit_units
        units = agreed.deposit_units - held
        await chain.send_and_confirm(
            await chain.prepare_top_up(self.signer, owner, JobId(agreed.job_id), units)
        )

    async def extended(self, terms: Signed) -> JobView:
        job_id = decode(Terms, terms.payload).job_id
        return await self.call("job.extended", ExtendedRequest(job_id, terms), JobView)

    async def cancel(self, job_id: str) -> SettleOffer:
        return await self.call("job.cancel", JobRef(job_id), SettleOffer)

    async def until(self, job_id: str, *states: JobState) -> JobView:
        return await self.world.until(lambda: self.show(job_id), lambda view: view.state in states)

    async def until_assigned_on_chain(self, job_id: str) -> None:
        """The settlement can be built only when the chain knows the node."""

        async def look() -> bool:
            view = await self.show(job_id)
            return any(entry.action == "assign" and entry.status == "confirmed" for entry in view.chain)

        await self.world.until(look, bool)

    async def accept(self, job_id: str, statement: Signed) -> SettleOffer:
        """Sign the receipt."""
        epoch = decode(ResultStatement, statement.payload).epoch
        payload = encode(Receipt(job_id, epoch, statement_hash(Domain.RESULT, statement.payload)))
        return await self.offer(job_id, self.sign(Domain.RECEIPT, payload))

    async def offer(self, job_id: str, receipt: Signed | None = None) -> SettleOffer:
        request = ReceiptRequest(job_id, receipt, self.signer.address)
        return await self.call("job.receipt", request, SettleOffer)

    async def countersign(self, job_id: str, offer: SettleOffer) -> JobView:
        request = CountersignRequest(job_id, offer.message, self.signer.sign(offer.message))
        return await self.call("job.countersign", request, JobView)
