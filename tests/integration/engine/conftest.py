"""The real engine on the real chain and the real network, between a scripted coordinator and node.

The scripts do what honest ones do until a test tells them otherwise; the money is real (localnet).
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.chain.config import ChainConfig
from p2p.chain.deploy import Operator, bootstrap
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import create_keypair
from p2p.chain.localnet import open_localnet
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import Wallet
from p2p.core.money import Asset
from p2p.core.paths import Home
from p2p.engine import serving
from p2p.engine.agent import open_engine
from p2p.engine.api import Api
from p2p.engine.context import Engine
from p2p.engine.events import watch_events
from p2p.engine.supervisor import Supervisors
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.store.engine import EngineTables, JobRow
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.testing.scripted_network import ScriptedCoordinator, ScriptedNode

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


@contextmanager
def running_chain(folder: Path) -> Iterator[Deployed]:
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


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with running_chain(tmp_path_factory.mktemp("chain")) as made:
        yield made


@pytest.fixture(scope="session")
def run_chain() -> Callable[[Path], AbstractContextManager[Deployed]]:
    """For a test file that needs a chain of its own, because it moves the clock."""
    return running_chain


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
            handlers = running.api.handlers()
            await handlers["login"]({"keypair": str(keypair)})
            await handlers["wallet_deposit"]({"asset": "usdc", "units": 10**6})
        yield made
