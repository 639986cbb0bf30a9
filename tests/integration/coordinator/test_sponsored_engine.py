"""The real engine and the real coordinator, and a buyer whose session key never has any SOL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from coordinator.domain.settings import Settings
from coordinator.service.app import Coordinator
from coordinator.service.effects import Boundary, no_effect
from p2p.chain.accounts import BALANCE_BYTES, rent_lamports
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer, create_keypair
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import JobId
from p2p.core.limits import CLOSE_AFTER_S, CLOSE_AGAIN_S, SESSION_FUND_LAMPORTS
from p2p.core.money import Asset, split
from p2p.core.paths import Home
from p2p.core.states import JobState
from p2p.engine import serving
from p2p.engine.agent import open_engine
from p2p.engine.api import Api
from p2p.engine.context import Engine
from p2p.engine.events import watch_events
from p2p.engine.supervisor import Supervisors
from p2p.net.calls import Handler
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.store.engine import JobRow
from p2p.testing.marketplace import Wire
from p2p.testing.scripted_network import ScriptedNode

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
WALLET_LAMPORTS = 6_000_000  # for two transactions of the wallet's own, and the rent of its accounts
DEPOSIT_UNITS = 1_000_000


class Served(Wire):
    """Serves engines on a real peer, and nodes without sockets."""

    def __init__(self, peer: Peer, wire: Wire) -> None:
        self.peer, self.served, self.peers = peer, wire.served, wire.peers

    def serve(self, method: str, handler: Handler) -> None:
        super().serve(method, handler)
        self.peer.serve(method, lambda call: self.served[method](call))


@dataclass
class Buyer:
    """An engine with an empty journal, and its wallet: USDC, and hardly any SOL."""

    engine: Engine
    api: Api
    wallet: Signer
    keypair: Path
    folder: Path

    async def ask(self, name: str, **params: Any) -> Any:
        return await self.api.handlers()[name](params)

    async def plan(self) -> dict[str, Any]:
        script = self.folder / "train.py"
        script.write_text("print('hello')\n")
        wish = {"gpu_type": "cpu", "timeout": 600}
        params = {"script": str(script), "out": str(self.folder / "out"), "overrides": wish}
        async with aclosing(self.api.plan(params)) as items:
            async for item in items:
                if "plan" in item:
                    return dict(item["plan"])
        raise AssertionError("no plan came")

    async def until(self, job_id: str, stage: str) -> JobRow:
        with trio.fail_after(60):
            while (job := await self.engine.job(job_id)).stage.value != stage:
                await self.engine.live.any.wait(self.engine.live.any.count, 0.2)
        return job

    def session(self) -> Signer:
        return self.engine.wallets.session(self.wallet.address, Asset.USDC)


@asynccontextmanager
async def market(world: Any, folder: Path, settings: Settings) -> AsyncIterator[tuple[Coordinator, Buyer]]:
    """The coordinator of ``world`` with its loops, on the network; and a buyer's engine."""
    home, url = Home(folder / "cyxwiz"), world.localnet.config.rpc_urls[0]
    home.engine.folder.mkdir(parents=True)
    wallet = create_keypair(folder / "buyer.json")
    await faucet(url, wallet.address, Asset.SOL, WALLET_LAMPORTS)
    await faucet(url, wallet.address, Asset.USDC, DEPOSIT_UNITS)
    old = world.coordinator.context
    async with Peer.open(old.identity, LOOPBACK) as peer, trio.open_nursery() as nursery:
        coordinator = Coordinator(replace(old, network=Served(peer, world.wire), settings=settings))
        await nursery.start(coordinator.run)
        address = f'[coordinator]\naddress = "{peer.addresses[0]}"\n\n'
        home.config.write_text(address + world.localnet.config.to_toml())
        async with open_engine(home, SYSTEM_CLOCK) as engine:
            supervisors = Supervisors(engine, nursery)
            api = Api(engine, supervisors, nursery, nursery.cancel_scope.cancel, "0")
            await serving.attach(engine)
            nursery.start_soon(watch_events, engine)
            yield coordinator, Buyer(engine, api, wallet, folder / "buyer.json", folder)
            nursery.cancel_scope.cancel()


async def lamports(world: Any, wallet: Any) -> int:
    return int(await world.chain.wallet_balance(wallet, Asset.SOL))


async def test_a_job_without_any_sol_of_the_session_key(still_world: Any, tmp_path: Path) -> None:
    world = still_world
    payer, fee_owner = world.localnet.coordinator.address, world.on_chain.fee_owner
    fee_before = await world.balance(fee_owner)
    is_new = await world.chain.program_account(world.chain.addresses.balance(fee_owner, Asset.USDC)) is None
    async with (
        Peer.open(PeerIdentity.ephemeral(), LOOPBACK) as node_peer,
        market(world, tmp_path, Settings()) as (coordinator, buyer),
    ):
        await buyer.ask("login", keypair=str(buyer.keypair))
        await buyer.ask("wallet_deposit", asset="usdc", units=DEPOSIT_UNITS)
        assert await lamports(world, buyer.session().address) == 0
        before, wallet_before = await lamports(world, payer), await lamports(world, buyer.wallet.address)
        scripted = ScriptedNode(node_peer, tmp_path / "node")
        scripted.attach()
        node = world.node(identity=node_peer.identity)
        await node.join(addresses=node_peer.addresses)
        plan = await buyer.plan()
        assert plan["fees_paid_by"] == "coordinator"
        job_id = plan["job_id"]
        await buyer.ask("start", job=job_id)
        job = await node.next_job()
        on_chain = await world.chain.existing_job(buyer.wallet.address, JobId(job_id))
        assert on_chain.rent_payer == payer
        await node.report(job_id, job.epoch, JobState.STAGING)
        await node.report(job_id, job.epoch, JobState.RUNNING, 0.1)
        statement = scripted.statement(job, job.spec, 0.5)
        await node.report(job_id, job.epoch, JobState.DELIVERING, 0.5, statement=statement)
        done = await buyer.until(job_id, "settled")
        assert (tmp_path / "out" / "outputs" / "model.pt").exists()
        assert done.charged_units is not None
        parts = split(plan["deposit_units"], done.charged_units, world.on_chain.fee_bps)
        assert parts.node_units > 0
        assert await world.balance(node.signer.address) == parts.node_units
        assert await world.balance(fee_owner) - fee_before == parts.fee_units
        assert await world.balance(buyer.wallet.address) == DEPOSIT_UNITS - done.charged_units
        world.clock.ahead_s += CLOSE_AFTER_S + CLOSE_AGAIN_S

        async def close() -> bool:
            await coordinator.settler.close_accounts()
            try:
                await world.chain.job(buyer.wallet.address, JobId(job_id))
            except Refused:
                return True
            world.clock.ahead_s += CLOSE_AGAIN_S
            return False

        await world.until(close, bool)
        fees = 2 * 5000 + 5000 + 2 * 5000 + 5000  # Open, Assign, Settle, Close
        # what stays of the job, and the balances of node and fee owner
        kept = rent_lamports(2) + (1 + is_new) * rent_lamports(BALANCE_BYTES)
        assert before - await lamports(world, payer) == fees + kept
        assert await lamports(world, buyer.session().address) == 0
        assert await lamports(world, buyer.wallet.address) == wallet_before


async def test_a_wallet_with_sol_fills_its_session_key_and_pays_itself(
    still_world: Any, tmp_path: Path
) -> None:
    async with market(still_world, tmp_path, Settings()) as (_, buyer):
        url = still_world.localnet.config.rpc_urls[0]
        await faucet(url, buyer.wallet.address, Asset.SOL, 10**9)
        await buyer.ask("login", keypair=str(buyer.keypair))
        await buyer.ask("wallet_deposit", asset="usdc", units=DEPOSIT_UNITS)
        assert await lamports(still_world, buyer.session().address) == SESSION_FUND_LAMPORTS
        assert (await buyer.plan())["fees_paid_by"] == "session key"


async def test_a_coordinator_that_does_not_pay(still_world: Any, tmp_path: Path) -> None:
    world = still_world
    async with market(world, tmp_path, Settings(fee_payer=False)) as (_, buyer):
        await buyer.ask("login", keypair=str(buyer.keypair))
        assert not (await buyer.ask("sponsorship"))["offered"]
        with pytest.raises(Refused) as caught:  # it wants to give the session key its SOL
            await buyer.ask("wallet_deposit", asset="usdc", units=DEPOSIT_UNITS)
        assert caught.value.code == "sol_too_low"
        assert "0.055000000 SOL are needed, fees and rent included" in caught.value.what
        await world.chain.deposit(buyer.wallet, Asset.USDC, DEPOSIT_UNITS)
        until_s = await world.chain.chain_time_s() + 86_400
        key = buyer.session().address
        await world.chain.authorize(buyer.wallet, key, Asset.USDC, DEPOSIT_UNITS, until_s)
        with pytest.raises(Refused) as caught:
            await buyer.plan()
        assert caught.value.code == "session_no_sol"
        assert "does not pay for anybody" in caught.value.what


async def test_a_deposit_that_was_opened_in_vain_comes_back_without_sol(
    still_world: Any, tmp_path: Path
) -> None:
    """The coordinator says no for good after the escrow was opened: the Cancel is paid for as well."""
    world = still_world

    async def no(*_: Any) -> None:
        raise Refused("escrow_differs", "It differs.", "Not queued.", "Cancel it.")

    async with market(world, tmp_path, Settings()) as (_, buyer):
        world.wire.served["job.submit"] = no
        await buyer.ask("login", keypair=str(buyer.keypair))
        await buyer.ask("wallet_deposit", asset="usdc", units=DEPOSIT_UNITS)
        plan = await buyer.plan()
        await buyer.ask("start", job=plan["job_id"])
        await buyer.until(plan["job_id"], "refunded")
        assert await world.balance(buyer.wallet.address) == DEPOSIT_UNITS
        assert await lamports(world, buyer.session().address) == 0


async def test_nothing_lands_that_the_engine_has_not_written_down(
    still_world: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """It crashes with the coordinator's signature in its hands; then the coordinator, having signed, does."""
    world = still_world
    async with market(world, tmp_path, Settings()) as (coordinator, buyer):
        await buyer.ask("login", keypair=str(buyer.keypair))
        await buyer.ask("wallet_deposit", asset="usdc", units=DEPOSIT_UNITS)
        plan = await buyer.plan()
        job_id = JobId(plan["job_id"])

        async def crash(*_: Any, **__: Any) -> None:
            raise OSError("no space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(type(buyer.engine.tables), "advance", crash)
            with pytest.raises(OSError, match="no space"):
                await buyer.ask("start", job=job_id)

        async def effect(boundary: Boundary) -> None:
            if boundary is Boundary.SPONSORED:
                raise EnvironmentFailure("database_unavailable", "It went away.")

        coordinator.context.effect = effect
        with pytest.raises(EnvironmentFailure):
            await buyer.ask("start", job=job_id)
        assert await world.chain.job(buyer.wallet.address, job_id) is None
        assert await world.balance(buyer.wallet.address) == DEPOSIT_UNITS
        coordinator.context.effect = no_effect
        await buyer.ask("start", job=job_id)
        await buyer.until(job_id, "following")
        assert await world.balance(buyer.wallet.address) == DEPOSIT_UNITS - plan["deposit_units"]
