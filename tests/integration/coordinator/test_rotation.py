"""The program's settings and the coordinator's key change while it runs, with jobs open under the old key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from coordinator.service.files import CoordinatorFiles
from p2p.chain import administration
from p2p.chain.administration import Action, Wanted
from p2p.chain.browser import answer_with
from p2p.chain.faucet import faucet
from p2p.chain.instructions import Role
from p2p.chain.keys import Signer, load_keypair, new_keypair_in
from p2p.chain.sponsored import SponsoredCall, call_instruction
from p2p.chain.transaction import build_message
from p2p.core.errors import CyxWizError
from p2p.core.ids import JobId
from p2p.core.limits import OFFICE_FRESH_S
from p2p.core.messages.estimates import Estimate, EstimateRequest
from p2p.core.messages.sponsor import SponsoredAction, SponsorReply, SponsorRequest
from p2p.core.money import Asset
from p2p.core.states import JobState

World = Any  # of conftest.py


@pytest.fixture
def localnet(tmp_path: Path, new_localnet: Any) -> Iterator[Any]:
    """One that may be administered: others' tests go by the settings of the shared one."""
    (tmp_path / "chain").mkdir()
    with new_localnet(tmp_path / "chain") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, localnet: Any) -> Path:
    """The coordinator's, with its first key."""
    made = tmp_path / "coordinator"
    (made / "keys").mkdir(parents=True)
    copyfile(localnet.folder / "coordinator.json", made / "coordinator.json")
    return made


async def sign(world: World, key: str | Signer, action: Action) -> None:
    signer = load_keypair(world.localnet.folder / f"{key}.json") if isinstance(key, str) else key
    assert signer.address == action.holder
    await answer_with(signer, [action.request])


async def rotate(world: World, successor: Signer) -> None:
    await faucet(world.localnet.config.rpc_urls[0], successor.address, Asset.SOL, 10**9)
    present = world.coordinator.context.signer
    proposal = await administration.propose(world.chain, Role.COORDINATOR, successor.address)
    await sign(world, present, proposal)
    await sign(world, successor, await administration.accept(world.chain, Role.COORDINATOR))


async def on_chain(world: World, buyer: Any, job_id: str) -> Any:
    return await world.chain.seen_job(buyer.signer.address, job_id)


async def test_jobs_of_the_old_key_are_settled_by_it_and_new_ones_by_the_new(
    make_world: Any, folder: Path
) -> None:
    async with make_world(folder=folder) as world:
        old = world.coordinator.context.signer
        buyer, other, node = await world.buyer(), await world.buyer(), world.node()
        running, queued = await buyer.submit(gpu_type="cpu"), await other.submit(gpu_type="h100")
        await node.join()
        job = await node.next_job()
        await node.report(job.job_id, 1, JobState.RUNNING)
        _, new = new_keypair_in(CoordinatorFiles(folder).keys)
        await rotate(world, new)
        world.clock.ahead_s += OFFICE_FRESH_S + 1  # nobody restarts it: the next quote looks by itself

        third = await world.buyer()
        fresh = await third.submit(gpu_type="h100")
        assert world.coordinator.context.signer.address == new.address
        assert (await on_chain(world, third, fresh.job_id)).coordinator == new.address
        assert (await on_chain(world, other, queued.job_id)).coordinator == old.address

        statement = await node.deliver(job, 3.0)
        await buyer.until_assigned_on_chain(job.job_id)
        offer = await buyer.accept(running.job_id, statement)
        await buyer.countersign(running.job_id, offer)
        await buyer.until(running.job_id, JobState.SETTLED)
        assert await world.balance(node.signer.address) > 0
        for person, view in ((other, queued), (third, fresh)):  # one transaction, signed by both keys
            await person.cancel(view.job_id)
        for person, view in ((other, queued), (third, fresh)):
            await person.until(view.job_id, JobState.REFUNDED)
            assert await world.balance(person.signer.address) == 5_000_000


async def test_a_missing_key_is_named_and_its_jobs_go_on_when_it_is_back(
    make_world: Any, folder: Path
) -> None:
    files = CoordinatorFiles(folder)
    async with make_world(folder=folder, run=False) as world:
        buyer = await world.buyer()
        view = await buyer.submit()
        path, new = new_keypair_in(files.keys)
        await rotate(world, new)
    away = files.keypair.rename(folder / "away")
    async with make_world(folder=folder) as world:
        assert world.coordinator.context.signer.address == new.address
        await buyer_of(world, buyer).cancel(view.job_id)

        async def look() -> Any:
            return world.actions(view.job_id)[-1]

        stuck = await world.until(look, lambda action: action.last_error)
        assert f"The key of the coordinator {load_keypair(away).address} is not on this machine." in (
            stuck.last_error
        )
        copyfile(away, path.with_name("old.json"))
        await world.coordinator.office.look()
        world.clock.ahead_s += 120
        world.coordinator.context.settle.set()
        await buyer_of(world, buyer).until(view.job_id, JobState.REFUNDED)


def buyer_of(world: World, buyer: Any) -> Any:
    """The same person at a coordinator that was started again."""
    buyer.world = world
    return buyer


async def test_without_the_present_key_no_job_is_quoted(still_world: World) -> None:
    buyer = await still_world.buyer()
    await rotate(still_world, Signer.generate())
    still_world.clock.ahead_s += OFFICE_FRESH_S + 1
    with pytest.raises(CyxWizError) as caught:
        await buyer.submit()
    assert caught.value.code == "coordinator_key_missing"
    assert len(caught.value.lines()) == 3


async def test_settings_are_noticed_while_it_runs(still_world: World) -> None:
    world, buyer = still_world, await still_world.buyer()
    wanted = Wanted(fee_bps=250, longest_job_s=3 * 24 * 3600)
    await sign(world, "admin", await administration.change_settings(world.chain, wanted))
    assert world.coordinator.context.on_chain.fee_bps == 1000
    await world.coordinator.office.look()
    view = await buyer.submit()
    assert view.fee_bps == 250
    assert world.coordinator.context.on_chain.longest_job_s == 3 * 24 * 3600
    await sign(world, "admin", await administration.change_settings(world.chain, Wanted(paused=True)))
    world.clock.ahead_s += OFFICE_FRESH_S + 1
    with pytest.raises(CyxWizError) as caught:
        await buyer.submit()
    assert caught.value.code == "paused"
    wanted = Wanted(paused=False, fee_bps=300)
    await sign(world, "admin", await administration.change_settings(world.chain, wanted))
    await world.coordinator.office.look()
    another = await world.buyer()
    assert (await another.submit()).fee_bps == 300


async def test_an_asset_that_was_stopped_is_not_quoted(still_world: World, refused: Any) -> None:
    """Nor estimated, nor are fees of its jobs paid; another asset goes on, and so does what is open."""
    world = still_world
    in_usdc, in_sol = await world.buyer(), await world.buyer(Asset.SOL)
    spec = in_usdc.spec(gpu_type="cpu")
    open_job = await in_usdc.submit(gpu_type="cpu")
    session, until_s = Signer.generate(), await world.chain.chain_time_s() + 3600
    await world.chain.authorize(in_usdc.signer, session.address, Asset.USDC, 5_000_000, until_s)
    await sign(world, "admin", await administration.disable_asset(world.chain, Asset.USDC))
    world.clock.ahead_s += OFFICE_FRESH_S + 1
    with refused("asset_stopped"):
        await in_usdc.quote(spec)
    with refused("asset_stopped"):
        await in_usdc.call(
            "offers.estimate", EstimateRequest(spec.config, Asset.USDC, spec.input_bytes), Estimate
        )
    with refused("asset_stopped"):
        await top_up(world, in_usdc, session.address, open_job.job_id)
    await in_sol.submit(gpu_type="cpu", asset=Asset.SOL)
    await sign(world, "admin", await administration.add_asset(world.chain, Asset.USDC))
    await world.coordinator.office.look()
    await in_usdc.quote(spec)
    await top_up(world, in_usdc, session.address, open_job.job_id)


async def top_up(world: World, buyer: Any, session: Any, job_id: str) -> None:
    """Have the coordinator sign as fee payer that a session key adds a unit to a job's deposit."""
    chain, payer = world.chain, world.localnet.coordinator.address
    call = SponsoredCall(SponsoredAction.TOP_UP, session, buyer.signer.address, JobId(job_id), Asset.USDC, 1)
    message = build_message([call_instruction(call, chain.chain, payer)], payer, await chain.recent())
    request = SponsorRequest(call.action, call.job_id, call.actor, message, call.units)
    await buyer.call("chain.sponsor", request, SponsorReply)
