"""A scripted coordinator and a scripted engine, over the real network, around a real node agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import Refused, UserError
from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, JobSpec
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.core.messages.auth import Ack, Challenge, ChallengeRequest, LoginReply, LoginRequest
from p2p.core.messages.jobs import Offer, OfferList
from p2p.core.messages.nodes import (
    Assignment,
    AssignReply,
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
    StateReport,
    StopOrder,
)
from p2p.core.messages.transfer import (
    LogItem,
    LogRequest,
    ManifestReply,
    ManifestRequest,
    ReceivedNotice,
    Side,
)
from p2p.core.messages.usage import UsageReply, UsageRequest
from p2p.core.money import Asset
from p2p.core.paths import Home
from p2p.core.states import JobState
from p2p.net.bulk import BulkServer, pull_chunks
from p2p.net.bulk import ChunkRef as BulkRef
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Call, Peer
from p2p.node.agent import NodeAgent, NodePaths
from p2p.node.runner import Runner
from p2p.node.settings import NodeSettings, save_settings, settings_path
from p2p.wire.codec import decode, encode

HEARTBEAT_S = 0.2
DEADLINE_S = 60.0


@dataclass
class Coordinator:
    """Grants what it is told to; remembers what it heard."""

    peer: Peer
    node: str = ""
    reports: list[StateReport] = field(default_factory=list)
    registered: list[RegisterRequest] = field(default_factory=list)
    beats: int = 0
    held: tuple[HeldJob, ...] = ()
    left: bool = False
    leases: set[tuple[str, int]] = field(default_factory=set)
    limits: dict[tuple[str, int], int] = field(default_factory=dict)
    stop: list[StopOrder] = field(default_factory=list)
    logins: int = 0
    must_log_in: bool = True
    challenge: str = ""
    refused_states: set[JobState] = field(default_factory=set)
    earned: list[Earning] = field(default_factory=list)
    silent: bool = False  # to heartbeats, as through a connection that died without a word
    changed: trio.Event = field(default_factory=trio.Event)

    @property
    def address(self) -> str:
        return self.peer.addresses[0]

    def attach(self) -> None:
        handlers = {
            "auth.challenge": self._challenge,
            "auth.login": self._login,
            "node.register": self._register,
            "node.heartbeat": self._heartbeat,
            "node.leave": self._leave,
            "node.earnings": self._earnings,
            "node.rates": self._rates,
            "job.report": self._report,
        }
        for method, handler in handlers.items():
            self.peer.serve(method, handler)

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(DEADLINE_S):
            while not condition():
                await self.changed.wait()

    async def until_state(self, state: JobState) -> StateReport:
        await self.until(lambda: any(report.state is state for report in self.reports))
        return next(report for report in self.reports if report.state is state)

    async def assign(self, job: Assignment) -> AssignReply:
        await self.until(lambda: bool(self.registered))
        self.leases.add((job.job_id, job.epoch))
        addrs = self.registered[-1].advert.addresses
        return decode(AssignReply, await self.peer.call(self.node, "job.assign", encode(job), addrs=addrs))

    async def order_stop(self, order: StopOrder) -> None:
        await self.peer.call(self.node, "job.stop", encode(order))

    def _notify(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def _challenge(self, call: Call) -> bytes:
        wallet = decode(ChallengeRequest, call.payload).wallet
        text = (
            "cyxwiz wants you to sign in with your Solana account:\n"
            f"{wallet}\n\nLog in to CyxWiz as node from peer {call.peer_id}. This moves no money.\n\nNonce: 1"
        )
        return encode(Challenge(self.challenge or text, "1", 2**33))

    async def _login(self, call: Call) -> bytes:
        request = decode(LoginRequest, call.payload)
        assert len(request.signature) == 64
        self.logins += 1
        self.must_log_in = False
        self.node = call.peer_id
        return encode(LoginReply(2**33, "localnet", "program", "mint", "wallet"))

    def _check_login(self) -> None:
        if self.must_log_in:
            raise Refused("not_logged_in", "Log in first.")

    async def _register(self, call: Call) -> bytes:
        self._check_login()
        request = decode(RegisterRequest, call.payload)
        self.registered.append(request)
        self.held = request.held
        self._notify()
        return encode(RegisterReply(HEARTBEAT_S, 45.0, self._leases(request.held), tuple(self.stop)))

    async def _rates(self, call: Call) -> bytes:
        self._check_login()
        return encode(OfferList((Offer("cpu", 3, 1, 0, 60_000), Offer("rtx4090", 1, 0, 2**34, 400_000))))

    async def _heartbeat(self, call: Call) -> bytes:
        self._check_login()
        if self.silent:
            await trio.sleep_forever()
        beat = decode(Heartbeat, call.payload)
        self.beats += 1
        self.held = beat.held
        self._notify()
        return encode(HeartbeatReply(self._leases(beat.held), tuple(self.stop), not self.registered))

    def _leases(self, held: tuple[HeldJob, ...]) -> tuple[LeaseGrant, ...]:
        keys = [(job.job_id, job.epoch) for job in held]
        return tuple(LeaseGrant(*key, 45.0, self.limits.get(key)) for key in keys if key in self.leases)

    async def _leave(self, call: Call) -> bytes:
        decode(LeaveRequest, call.payload)
        self.left = True
        self._notify()
        return encode(Ack())

    async def _earnings(self, call: Call) -> bytes:
        self._check_login()
        request = decode(EarningsRequest, call.payload)
        page = [
            each
            for each in sorted(self.earned, key=lambda each: each.seq, reverse=True)
            if each.at_s >= request.since_s and (not request.before_seq or each.seq < request.before_seq)
        ]
        return encode(EarningsReply(tuple(page[: request.limit])))

    async def _report(self, call: Call) -> bytes:
        self._check_login()
        report = decode(StateReport, call.payload)
        if report.state in self.refused_states:
            raise UserError("bad_statement", "Not one of a success of this job.")
        self.reports.append(report)
        self._notify()
        return encode(Ack())


class MemorySource:
    """Chunks of inputs, from memory."""

    def __init__(self) -> None:
        self.chunks: dict[bytes, bytes] = {}
        self.served: list[bytes] = []
        self.corrupt: set[bytes] = set()

    def authorise(self, peer_id: str, grant: str) -> None:
        if grant != "inputs":
            raise Refused("not_granted", "No.")

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        data = self.chunks[chunk_hash]
        self.served.append(chunk_hash)
        into[: len(data)] = data
        if chunk_hash in self.corrupt:
            self.corrupt.discard(chunk_hash)
            into[0] ^= 1
        return len(data)


class MemorySink:
    """Outputs, into memory."""

    def __init__(self) -> None:
        self.chunks: dict[bytes, bytes] = {}

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        self.chunks[chunk_hash] = bytes(data)


@dataclass
class Engine:
    """Serves one job's files and takes its logs and outputs."""

    peer: Peer
    source: MemorySource
    manifest: Manifest = field(default_factory=lambda: Manifest(()))
    manifests_asked: int = 0

    def attach(self) -> None:
        self.peer.serve("files.manifest", self._manifest)
        BulkServer(self.peer, self.source)

    async def _manifest(self, call: Call) -> bytes:
        request = decode(ManifestRequest, call.payload)
        assert request.side is Side.INPUTS
        self.manifests_asked += 1
        return encode(ManifestReply(encode(self.manifest), "inputs"))

    def job(
        self, files: dict[str, bytes], *, config: JobConfig | None = None, epoch: int = 1, **spec: object
    ) -> Assignment:
        """An assignment of the script ``train.py`` among ``files``."""
        entries = []
        for path, data in files.items():
            parts = [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]
            self.source.chunks |= {sha256(part).digest(): part for part in parts}
            entries.append(FileEntry(path, len(data), tuple(sha256(part).digest() for part in parts)))
        self.manifest = make_manifest(entries)
        fields: dict[str, object] = {
            "name": "test",
            "script": "train.py",
            "config": config or JobConfig(timeout_s=60),
            "input_root": self.manifest.root(),
            "input_bytes": self.manifest.size_bytes,
            "input_files": len(entries),
            "has_requirements": "requirements.txt" in files,
            "asset": Asset.USDC,
        }
        return Assignment(
            job_id=new_job_id(),
            epoch=epoch,
            spec=JobSpec(**{**fields, **spec}),  # type: ignore[arg-type]
            engine_peer_id=self.peer.peer_id,
            engine_addresses=self.peer.addresses,
            lease_s=45.0,
            gpu_class="cpu",
            rate_units_per_hour=10,
        )

    async def log(self, node: str, addrs: tuple[str, ...], job: Assignment, offset: int = 0) -> bytes:
        """The log from ``offset`` to its end."""
        request = LogRequest(job.job_id, job.epoch, offset)
        collected = bytearray()
        with trio.fail_after(DEADLINE_S):
            async with self.peer.stream(node, "logs.follow", encode(request), addrs=addrs) as items:
                async for raw in items:
                    item = decode(LogItem, raw)
                    assert item.offset == offset + len(collected)
                    collected += item.data
                    if item.ended:
                        break
        return bytes(collected)

    async def outputs(self, node: str, addrs: tuple[str, ...], job: Assignment) -> dict[str, bytes]:
        """Every output file, verified."""
        request = ManifestRequest(job.job_id, job.epoch, Side.OUTPUTS)
        reply = decode(
            ManifestReply, await self.peer.call(node, "files.manifest", encode(request), addrs=addrs)
        )
        manifest = decode(Manifest, reply.manifest)
        refs = [ref for entry in manifest.files for ref in entry.refs()]
        sink = MemorySink()
        await pull_chunks(
            self.peer, node, reply.grant, [BulkRef(r.hash, r.size_bytes) for r in refs], sink, addrs=addrs
        )
        return {entry.path: b"".join(sink.chunks[h] for h in entry.chunks) for entry in manifest.files}

    async def usage(self, node: str, addrs: tuple[str, ...], job: Assignment) -> UsageReply:
        """What its container used, once there is something."""
        request = encode(UsageRequest(job.job_id, job.epoch, 0))
        with trio.fail_after(DEADLINE_S):
            while True:
                reply = decode(UsageReply, await self.peer.call(node, "job.usage", request, addrs=addrs))
                if reply.samples:
                    return reply
                await trio.sleep(0.2)

    async def received(self, node: str, addrs: tuple[str, ...], job: Assignment) -> None:
        notice = ReceivedNotice(job.job_id, job.epoch)
        await self.peer.call(node, "job.received", encode(notice), addrs=addrs)


@pytest.fixture
async def coordinator() -> AsyncIterator[Coordinator]:
    async with Peer.open(PeerIdentity.ephemeral(), ["/ip4/127.0.0.1/tcp/0"]) as peer:
        found = Coordinator(peer)
        found.attach()
        yield found


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Peer.open(PeerIdentity.ephemeral(), ["/ip4/127.0.0.1/tcp/0"]) as peer:
        found = Engine(peer, MemorySource())
        found.attach()
        yield found


@pytest.fixture
async def home(tmp_path: Path, coordinator: Coordinator) -> AsyncIterator[Home]:
    """A home that knows the coordinator."""
    found = Home(tmp_path / "home")
    found.node.folder.mkdir(parents=True, mode=0o700)
    found.config.write_text(f'[coordinator]\naddress = "{coordinator.address}"\n')
    settings = NodeSettings(listen=("/ip4/127.0.0.1/tcp/0",), cpus=1, memory_bytes=1 << 30)
    save_settings(settings_path(found.node.folder), settings)
    yield found
    runner = Runner(NodePaths(found.node.folder).run, SYSTEM_CLOCK)
    with trio.CancelScope(shield=True):
        await runner.sweep(set())
    runner.close()


@asynccontextmanager
async def running_agent(home: Home) -> AsyncIterator[NodeAgent]:
    """The agent in this process, without its signal handling."""
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        agent = await stack.enter_async_context(NodeAgent.open(home, nursery))
        nursery.start_soon(agent.link.run)
        with trio.fail_after(DEADLINE_S):
            await agent.link.until_registered()
        yield agent
        nursery.cancel_scope.cancel()


@pytest.fixture
def start_agent(home: Home) -> Callable[[], AbstractAsyncContextManager[NodeAgent]]:
    """``async with start_agent() as agent``."""
    return lambda: running_agent(home)
