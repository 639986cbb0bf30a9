"""The real engine on the real chain and the real network, between a scripted coordinator and node.

The scripts do what honest ones do until a test tells them otherwise; the money is real (localnet).
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.chain.config import ChainConfig
from p2p.chain.deploy import Operator, bootstrap
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer, create_keypair
from p2p.chain.localnet import open_localnet
from p2p.chain.transaction import assemble, sign_message
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.core.messages.auth import Ack, Challenge, ChallengeRequest, LoginReply, LoginRequest
from p2p.core.messages.jobs import (
    CountersignRequest,
    EventList,
    EventsRequest,
    JobEvent,
    JobRef,
    JobView,
    Quote,
    QuoteRequest,
    RateTerm,
    ReceiptRequest,
    ResultStatement,
    SettleOffer,
    SubmitRequest,
    Terms,
)
from p2p.core.messages.transfer import LogItem, LogRequest, ManifestReply, ManifestRequest
from p2p.core.money import Asset, cost_units
from p2p.core.paths import Home
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import JobState
from p2p.engine import serving
from p2p.engine.agent import open_engine
from p2p.engine.api import Api
from p2p.engine.context import Engine
from p2p.engine.events import watch_events
from p2p.engine.sources import InputSource
from p2p.engine.supervisor import Supervisors
from p2p.engine.wallets import Account
from p2p.net.bulk import BulkServer
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Call, Peer
from p2p.store.engine import EngineTables, JobRow
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.wire.codec import decode, encode

RATE = RateTerm("cpu", 40_000, 40_000)
WAIT_S = 30.0


class StillClock:
    """Shows what it is set to."""

    def __init__(self, now_s: float = 2_000_000_000.0) -> None:
        self.value_s = now_s

    def now_s(self) -> float:
        return self.value_s

    def monotonic_s(self) -> float:
        return self.value_s


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def tables(tmp_path: Path, clock: StillClock) -> AsyncIterator[EngineTables]:
    async with Journal.open(tmp_path / "home" / "journal.db", migrations("engine")) as journal:
        yield EngineTables(journal, clock)


@dataclass
class Deployed:
    """A running localnet with the escrow program."""

    config: ChainConfig
    keys: Operator


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("chain")
    server, chain = open_localnet(folder / "net", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        config = trio.run(bootstrap, server.url, folder)
        yield Deployed(config, Operator.in_folder(folder))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        with server.lock:
            chain.close()


@dataclass
class ScriptedNode:
    """A node that has run a job; serves its log and outputs."""

    peer: Peer
    files: Path
    log: bytes = b"Epoch 1/2 loss=0.5\nEpoch 2/2 loss=0.25\n"
    log_ended: bool = True
    cut_log_after: list[int] = field(default_factory=list)
    asked_offsets: list[int] = field(default_factory=list)
    outputs: dict[str, bytes] = field(
        default_factory=lambda: {"model.pt": b"weights" * 1000, "a/b.txt": b"x"}
    )
    lie: Callable[[Manifest], Manifest] = lambda manifest: manifest

    def attach(self) -> None:
        self.source = InputSource()
        self.peer.serve("files.manifest", self._manifest)
        self.peer.serve("job.received", self._received)
        self.peer.serve_stream("logs.follow", self._follow)
        BulkServer(self.peer, self.source)

    def manifest(self) -> Manifest:
        entries = [FileEntry(p, len(b), (sha256(b).digest(),) if b else ()) for p, b in self.outputs.items()]
        return make_manifest(entries)

    async def _manifest(self, call: Call) -> bytes:
        request = decode(ManifestRequest, call.payload)
        for path, body in self.outputs.items():
            (self.files / path).parent.mkdir(parents=True, exist_ok=True)
            (self.files / path).write_bytes(body)
        sources = {path: self.files / path for path in self.outputs}
        grant = self.source.grant(request.job_id, call.peer_id, self.manifest(), sources)
        return encode(ManifestReply(encode(self.lie(self.manifest())), grant))

    async def _received(self, call: Call) -> bytes:
        return encode(Ack())

    async def _follow(self, call: Call) -> Any:
        offset = decode(LogRequest, call.payload).offset
        self.asked_offsets.append(offset)
        cut = self.cut_log_after.pop(0) if self.cut_log_after else len(self.log)
        while offset < min(cut, len(self.log)):
            piece = self.log[offset : offset + 7][: max(1, cut - offset)]
            ended = self.log_ended and offset + len(piece) == len(self.log)
            yield encode(LogItem(offset, piece, ended))
            offset += len(piece)

    def statement(self, view: JobView, spec: Any, run_seconds: float = 9.5) -> Signed:
        manifest = self.manifest()
        statement = ResultStatement(
            job_id=view.job_id,
            epoch=view.epoch,
            input_root=spec.input_root,
            image_digest="sha256:00",
            output_root=manifest.root(),
            output_bytes=manifest.size_bytes,
            output_files=len(manifest.files),
            log_sha256=sha256(self.log).digest(),
            log_bytes=len(self.log),
            exit_code=0,
            started_at_s=1.0,
            finished_at_s=1.0 + run_seconds,
            run_seconds=run_seconds,
            cpu_seconds=1.0,
            memory_peak_bytes=1,
        )
        payload = encode(statement)
        signature = self.peer.identity.sign(signing_input(Domain.RESULT, payload))
        return Signed(payload, self.peer.peer_id, signature)


class ScriptedCoordinator:
    """Answers an engine; ``fail[method]`` makes a method raise."""

    def __init__(self, peer: Peer, chain: EscrowClient, signer: Signer, node: ScriptedNode) -> None:
        self.peer, self.chain, self.signer, self.node = peer, chain, signer, node
        self.node_wallet = Signer.generate().address
        self.fail: dict[str, CyxWizError] = {}
        self.calls: list[str] = []
        self.views: dict[str, JobView] = {}
        self.specs: dict[str, Any] = {}
        self.events: list[JobEvent] = []
        self.wallet = ""
        self.challenge_text = ""
        self.overcharge = 0
        self._news = trio.Event()
        handlers = {
            "auth.challenge": self._challenge,
            "auth.login": self._login,
            "job.quote": self._quote,
            "job.submit": self._submit,
            "job.show": self._show,
            "job.events": self._events,
            "job.cancel": self._cancel,
            "job.receipt": self._receipt,
            "job.countersign": self._countersign,
        }
        for method, handler in handlers.items():
            peer.serve(method, self._guarded(method, handler))

    def _guarded(self, method: str, handler: Any) -> Any:
        async def guarded(call: Call) -> bytes:
            self.calls.append(method)
            if method in self.fail:
                raise self.fail[method]
            if not method.startswith("auth.") and not self.wallet:
                raise Refused("not_logged_in", "Not logged in.")
            return encode(await handler(call))

        return guarded

    def move(self, job_id: str, state: JobState, **changes: Any) -> JobView:
        """A job's next state, as the engine will hear of it."""
        old = self.views[job_id]
        view = replace(old, state=state, revision=old.revision + 1, **changes)
        self.views[job_id] = view
        seq = len(self.events) + 1
        event = JobEvent(seq, job_id, SYSTEM_CLOCK.now_s(), old.state, state, view.attempt, "", "")
        self.events.append(event)
        self._news.set()
        self._news = trio.Event()
        return view

    async def run(self, job_id: str, epoch: int = 1) -> JobView:
        """Assign the job on chain and let it run on the node."""
        view = self.views[job_id]
        transaction = await self.chain.prepare_assign(
            self.signer, Wallet(view.buyer), JobId(job_id), self.node_wallet
        )
        await self.chain.send_and_confirm(transaction)
        return self.move(
            job_id,
            JobState.RUNNING,
            epoch=epoch,
            attempt=epoch,
            gpu_class="cpu",
            rate_units_per_hour=RATE.units_per_hour,
            node_peer_id=self.node.peer.peer_id,
            node_addresses=self.node.peer.addresses,
            node_wallet=self.node_wallet,
        )

    def deliver(self, job_id: str, **bent: Any) -> JobView:
        """The node has delivered; ``bent`` changes its statement before it is passed on."""
        statement = self.node.statement(self.views[job_id], self.specs[job_id])
        return self.move(job_id, JobState.DELIVERING, statement=replace(statement, **bent), used_seconds=10)

    async def refund(self, job_id: str) -> JobView:
        view = self.views[job_id]
        transaction = await self.chain.prepare_refund(self.signer, Wallet(view.buyer), JobId(job_id))
        await self.chain.send_and_confirm(transaction)
        return self.move(job_id, JobState.REFUNDED)

    # -- handlers

    async def _challenge(self, call: Call) -> Challenge:
        wallet = decode(ChallengeRequest, call.payload).wallet
        text = "\n".join(
            (
                "cyxwiz wants you to sign in with your Solana account:",
                wallet,
                "",
                f"Log in to CyxWiz as engine from peer {call.peer_id}. This moves no money.",
            )
        )
        return Challenge(self.challenge_text or text, "nonce", 2**40)

    async def _login(self, call: Call) -> LoginReply:
        self.wallet = decode(LoginRequest, call.payload).wallet
        chain = self.chain.chain
        return LoginReply(2**40, chain.cluster, chain.program_id, chain.usdc_mint, self.signer.address)

    async def _quote(self, call: Call) -> Quote:
        request = decode(QuoteRequest, call.payload)
        timeout_s = request.spec.config.timeout_s
        terms = Terms(
            job_id=request.job_id,
            buyer=self.wallet,
            asset=request.spec.asset,
            rates=(RATE,),
            timeout_s=timeout_s,
            deposit_units=cost_units(RATE.units_per_hour, timeout_s),
            fee_bps=(await self.chain.config()).fee_bps,
            spec_hash=statement_hash(Domain.SPEC, encode(request.spec)),
            coordinator_wallet=self.signer.address,
            expires_at_s=int(SYSTEM_CLOCK.now_s()) + 900,
        )
        payload = encode(terms)
        signature = self.peer.identity.sign(signing_input(Domain.TERMS, payload))
        return Quote(Signed(payload, self.peer.peer_id, signature), 1, 1, (), 0)

    async def _submit(self, call: Call) -> JobView:
        request = decode(SubmitRequest, call.payload)
        terms = decode(Terms, request.terms.payload)
        now_s = SYSTEM_CLOCK.now_s()
        if terms.job_id not in self.views:
            self.specs[terms.job_id] = request.spec
            self.views[terms.job_id] = JobView(
                job_id=terms.job_id,
                name=request.spec.name,
                buyer=terms.buyer,
                state=JobState.QUEUED,
                revision=1,
                epoch=0,
                attempt=1,
                created_at_s=now_s,
                updated_at_s=now_s,
                asset=terms.asset,
                deposit_units=terms.deposit_units,
                fee_bps=terms.fee_bps,
                timeout_s=terms.timeout_s,
                gpu_type="any",
            )
        return self.views[terms.job_id]

    async def _show(self, call: Call) -> JobView:
        return self.views[decode(JobRef, call.payload).job_id]

    async def _events(self, call: Call) -> EventList:
        request = decode(EventsRequest, call.payload)
        with trio.move_on_after(request.wait_s):
            while len(self.events) <= request.after_seq:
                await self._news.wait()
        return EventList(tuple(self.events[request.after_seq :]))

    async def _cancel(self, call: Call) -> SettleOffer:
        job_id = decode(JobRef, call.payload).job_id
        view = self.move(job_id, JobState.CANCELLED)
        return SettleOffer(b"", 0, b"", view)

    async def _receipt(self, call: Call) -> SettleOffer:
        request = decode(ReceiptRequest, call.payload)
        view = self.views[request.job_id]
        if view.state is JobState.DELIVERING:
            view = self.move(request.job_id, JobState.COMPLETED, receipt=request.receipt)
        assert view.statement is not None
        used = cost_units(RATE.units_per_hour, 10) + self.overcharge
        result = statement_hash(Domain.RESULT, view.statement.payload)
        terms = await self.chain.settle_terms(
            Wallet(view.buyer), JobId(view.job_id), Wallet(request.signer), used, result
        )
        message = await self.chain.build_settle(terms)
        self._settling = (terms.actor, message.last_valid_height, used)
        return SettleOffer(message.message, used, result, view)

    async def _countersign(self, call: Call) -> JobView:
        request = decode(CountersignRequest, call.payload)
        actor, height, used = self._settling
        signatures = {
            actor: request.signature,
            self.signer.address: sign_message(request.message, self.signer),
        }
        await self.chain.send_and_confirm(assemble(request.message, signatures, height))
        return self.move(request.job_id, JobState.SETTLED, used_units=used)


@dataclass
class RunningEngine:
    """The engine under test, as it runs now."""

    engine: Engine
    api: Api

    async def until(self, job_id: str, condition: Callable[[JobRow], object]) -> JobRow:
        """Wait until ``condition`` holds of the job's row."""
        live = self.engine.live
        with trio.fail_after(WAIT_S):
            while True:
                since = live.any.count
                job = await self.engine.job(job_id)
                if condition(job):
                    return job
                await live.any.wait(since, 0.2)


@dataclass
class World:
    """Chain, coordinator, node, and a buyer with 1 USDC in escrow."""

    home: Home
    coordinator: ScriptedCoordinator
    node: ScriptedNode
    chain: EscrowClient
    buyer: Wallet
    keypair: Path
    folder: Path

    @asynccontextmanager
    async def engine(self, *, resume: bool = True) -> AsyncIterator[RunningEngine]:
        """Run the engine for the length of the block; leaving it is as sudden as a crash."""
        async with open_engine(self.home, SYSTEM_CLOCK) as engine, trio.open_nursery() as nursery:
            supervisors = Supervisors(engine, nursery)
            api = Api(engine, supervisors, nursery, nursery.cancel_scope.cancel, "0")
            await serving.attach(engine)
            nursery.start_soon(watch_events, engine)
            if resume:
                await supervisors.resume()
            yield RunningEngine(engine, api)
            nursery.cancel_scope.cancel()

    async def plan(self, running: RunningEngine, **fields: Any) -> dict[str, Any]:
        """Package and quote a small job."""
        script = self.folder / "train.py"
        script.write_text("print('hello')\n")
        params = {
            "script": str(script),
            "out": str(self.folder / "out"),
            "overrides": {"timeout": 600},
            **fields,
        }
        async with aclosing(running.api.plan(params)) as items:
            async for item in items:
                if "plan" in item:
                    plan: dict[str, Any] = item["plan"]
                    return plan
        raise AssertionError("no plan came")

    async def submit(self, running: RunningEngine, **fields: Any) -> str:
        """Plan and agree; returns once the coordinator has the job."""
        job_id = str((await self.plan(running, **fields))["job_id"])
        await running.api.start({"job": job_id})
        await running.until(job_id, lambda job: job.stage.value == "following")
        return job_id

    async def balance(self) -> int:
        """The buyer's escrow balance in USDC base units."""
        return await self.chain.balance(self.buyer, Asset.USDC)


@pytest.fixture
async def world(deployed: Deployed, tmp_path: Path) -> AsyncIterator[World]:
    home = Home(tmp_path / "cyxwiz")
    home.engine.folder.mkdir(parents=True)
    keypair = tmp_path / "buyer.json"
    buyer = create_keypair(keypair)
    url = deployed.config.rpc_urls[0]
    await faucet(url, buyer.address, Asset.SOL, 10**9)
    await faucet(url, buyer.address, Asset.USDC, 10**6)
    loopback = ("/ip4/127.0.0.1/tcp/0",)
    async with (
        EscrowClient(deployed.config) as chain,
        Peer.open(PeerIdentity.ephemeral(), loopback) as coordinator_peer,
        Peer.open(PeerIdentity.ephemeral(), loopback) as node_peer,
    ):
        node = ScriptedNode(node_peer, tmp_path / "node")
        node.attach()
        coordinator = ScriptedCoordinator(coordinator_peer, chain, deployed.keys.coordinator, node)
        text = f'[coordinator]\naddress = "{coordinator_peer.addresses[0]}"\n\n{deployed.config.to_toml()}'
        home.config.write_text(text)
        made = World(home, coordinator, node, chain, buyer.address, keypair, tmp_path)
        async with made.engine(resume=False) as running:
            await running.engine.link.login_account(Account(buyer.address, keypair))
            await chain.deposit(buyer, Asset.USDC, 10**6)
            await running.engine.wallets.authorise(chain, buyer, Asset.USDC)
        yield made
