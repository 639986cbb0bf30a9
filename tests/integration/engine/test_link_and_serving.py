"""Login and reconnection; and inputs that go to the job's own node alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from p2p.chain.instructions import transfer_lamports
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.limits import CHUNK_BYTES, SESSION_FUND_LAMPORTS
from p2p.core.manifest import Manifest
from p2p.core.messages.jobs import JobRef, JobView, OfferList, OffersRequest
from p2p.core.messages.transfer import ManifestReply, ManifestRequest, Side
from p2p.core.money import Asset
from p2p.core.states import FailureCode, JobState
from p2p.engine.wallets import Account
from p2p.net.bulk import ChunkRef, pull_chunks
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.wire.codec import decode, encode

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)


# -- the coordinator


async def test_a_coordinator_that_forgot_us_is_told_again(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        world.coordinator.wallet = ""
        view = await running.engine.link.call("job.show", JobRef(job_id), JobView)
    assert view.job_id == job_id
    assert world.coordinator.wallet == world.buyer


async def test_without_the_key_file_the_buyer_has_to_log_in(world: Any) -> None:
    async with world.engine() as running:
        world.coordinator.wallet = ""
        world.keypair.rename(world.keypair.with_name("moved.json"))
        with pytest.raises(UserError) as caught:
            await running.engine.link.call("job.show", JobRef("ab" * 16), JobView)
    assert caught.value.code == "bad_keypair"


@pytest.mark.parametrize(
    "text",
    [
        "Transfer everything to me",
        "cyxwiz wants you to sign in with your Solana account:\n{wallet}\n\nLog in as node from peer {peer}.",
        "cyxwiz wants you to sign in with your Solana account:\nother\n\nLog in as engine from peer {peer}.",
        "evil wants you to sign in with your Solana account:\n{wallet}\n\nLog in as engine from peer {peer}.",
        "cyxwiz wants you to sign in with your Solana account:\n{wallet}\n\nLog in as engine from x{peer}.",
    ],
)
async def test_nothing_but_our_own_login_is_signed(world: Any, text: str) -> None:
    async with world.engine() as running:
        peer_id = running.engine.peer.peer_id
        world.coordinator.challenge_text = text.format(wallet=world.buyer, peer=peer_id)
        before = world.coordinator.calls.count("auth.login")
        with pytest.raises(UserError) as caught:
            await running.engine.link.login_account(Account(world.buyer, world.keypair))
    assert caught.value.code == "strange_challenge"
    assert world.coordinator.calls.count("auth.login") == before


async def test_a_coordinator_of_another_chain_is_refused(world: Any) -> None:
    text = world.home.config.read_text()
    world.home.config.write_text(text.replace('cluster = "localnet"', 'cluster = "devnet"'))
    async with world.engine() as running:
        with pytest.raises(Refused) as caught:
            await running.engine.link.login_account(Account(world.buyer, world.keypair))
    assert caught.value.code == "other_chain"


async def test_a_coordinator_that_is_away_is_found_again(world: Any) -> None:
    identity = PeerIdentity.ephemeral()
    text = world.home.config.read_text()
    async with Peer.open(identity, LOOPBACK) as away:
        address = away.addresses[0]
    old = text.split('"')[1]
    world.home.config.write_text(text.replace(old, address))

    async def offers(_: object) -> bytes:
        return encode(OfferList(()))

    async with world.engine() as running:
        with pytest.raises(EnvironmentFailure) as caught:
            await running.engine.link.call("offers.list", OffersRequest(), OfferList)
        assert caught.value.code == "coordinator_unreachable"
        assert len(caught.value.lines()) == 3
        with pytest.raises(EnvironmentFailure):
            await world.plan(running)
        assert await running.engine.tables.waiting() == ()
        async with Peer.open(identity, (address.rpartition("/p2p/")[0],)) as back:
            back.serve("offers.list", offers)
            assert await running.engine.link.call("offers.list", OffersRequest(), OfferList) == OfferList(())


async def test_a_plan_that_fails_leaves_nothing_behind(world: Any) -> None:
    world.coordinator.fail["job.quote"] = Refused("price_too_low", "Too low.", "Nothing was paid.", "More.")
    async with world.engine() as running:
        with pytest.raises(Refused):
            await world.plan(running)
        assert await running.engine.tables.waiting() == ()
        assert list((world.home.engine.folder / "jobs").iterdir()) == []


async def test_a_deposit_that_is_not_there_is_refused_before_anything_is_opened(world: Any) -> None:
    async with world.engine() as running:
        with pytest.raises(Refused) as caught:
            await world.plan(running, overrides={"timeout": 86400 * 1}, asset="sol")
        assert caught.value.code == "balance_too_low"
        assert "wallet deposit" in caught.value.hint


async def test_a_session_key_that_may_not_spend_enough_is_refused_and_renewed_by_login(world: Any) -> None:
    async with world.engine() as running:
        signer = Account(world.buyer, world.keypair).signer()
        key = running.engine.wallets.session(world.buyer, Asset.USDC).address
        plan = await world.plan(running)
        until_s = await world.chain.chain_time_s() + 86_400
        await world.chain.authorize(signer, key, Asset.USDC, 1, until_s)
        with pytest.raises(Refused) as caught:
            await running.api.start({"job": plan["job_id"]})
        assert caught.value.code == "session_too_small"
        with pytest.raises(Refused) as caught:  # a new plan is not even shown
            await world.plan(running)
        assert caught.value.code == "session_too_small"
        assert f"cyxwiz login --keypair {world.keypair}" in caught.value.hint
        handlers = running.api.handlers()
        await handlers["login"]({"keypair": str(world.keypair)})
        await running.api.start({"job": plan["job_id"]})
        await running.until(plan["job_id"], lambda job: job.stage.value == "following")


async def test_a_session_key_without_sol_is_named_before_anything_is_opened_and_filled_by_login(
    world: Any,
) -> None:
    async with world.engine() as running:
        session = running.engine.wallets.session(world.buyer, Asset.USDC)
        has = await world.chain.wallet_balance(session.address, Asset.SOL)
        away = transfer_lamports(session.address, world.buyer, has - 2_000_000)
        await world.chain.send_and_confirm(await world.chain.prepare([away], session))
        with pytest.raises(Refused) as caught:
            await world.plan(running)
        assert caught.value.code == "session_no_sol"
        assert "has 0.001995000 SOL; a job's account and fees take up to 0.005000000 SOL" in caught.value.what
        assert f"cyxwiz login --keypair {world.keypair}" in caught.value.hint
        assert len(caught.value.lines()) == 3
        assert await running.engine.tables.waiting() == ()
        handlers = running.api.handlers()
        await handlers["login"]({"keypair": str(world.keypair)})
        assert await world.chain.wallet_balance(session.address, Asset.SOL) == SESSION_FUND_LAMPORTS
        await world.plan(running)


async def test_money_in_and_out(world: Any) -> None:
    async with world.engine() as running:
        handlers = running.api.handlers()
        out = await handlers["wallet_withdraw"]({"asset": "usdc", "units": 250_000})
        assert out["assets"][1]["escrow_units"] == 750_000
        back = await handlers["wallet_deposit"]({"asset": "usdc", "units": 100_000})
        assert back["assets"][1]["escrow_units"] == 850_000
        assert back["assets"][1]["session"]["remaining_units"] == 850_000
        for name, params in (
            ("wallet_withdraw", {"asset": "usdc", "units": 850_001}),
            ("wallet_deposit", {"asset": "usdc", "units": 10**9}),
            ("wallet_deposit", {"asset": "sol", "units": 10**12}),
        ):
            with pytest.raises(Refused):
                await handlers[name](params)
        kinds = [entry["kind"] for entry in await handlers["wallet_history"]({})]
        assert kinds[:3] == ["authorize", "deposit", "withdraw"]
        everything = await handlers["wallet_withdraw"]({"asset": "usdc"})
        assert everything["units"] == 850_000
    assert await world.balance() == 0


# -- inputs


class Sink:
    def __init__(self) -> None:
        self.chunks: dict[bytes, bytes] = {}

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        self.chunks[chunk_hash] = bytes(data)


async def ask(
    world: Any, running: Any, peer: Peer, job_id: str, epoch: int = 1, side: Side = Side.INPUTS
) -> Any:
    request = encode(ManifestRequest(job_id, epoch, side))
    engine = running.engine.peer
    raw = await peer.call(engine.peer_id, "files.manifest", request, addrs=engine.addresses)
    return decode(ManifestReply, raw)


async def pull(running: Any, peer: Peer, reply: ManifestReply) -> dict[bytes, bytes]:
    sink, engine = Sink(), running.engine.peer
    refs = [ref for entry in decode(Manifest, reply.manifest).files for ref in entry.refs()]
    wanted = [ChunkRef(ref.hash, ref.size_bytes) for ref in refs]
    await pull_chunks(peer, engine.peer_id, reply.grant, wanted, sink, addrs=engine.addresses)
    return sink.chunks


def make_data(world: Any) -> Path:
    data: Path = world.folder / "data"
    data.mkdir()
    (data / "big.bin").write_bytes(b"x" * CHUNK_BYTES + b"y" * 10)
    return data


async def test_the_jobs_node_gets_the_inputs_and_nobody_else_does(world: Any) -> None:
    data = make_data(world)
    async with world.engine() as running, Peer.open(PeerIdentity.ephemeral(), LOOPBACK) as stranger:
        job_id = await world.submit(running, data=str(data))
        refusals = [
            (world.node.peer, job_id, 1, Side.INPUTS),  # before it was assigned
            (stranger, job_id, 1, Side.INPUTS),
            (stranger, "cd" * 16, 1, Side.INPUTS),
        ]
        for peer, job, epoch, side in refusals:
            with pytest.raises(Refused) as caught:
                await ask(world, running, peer, job, epoch, side)
            assert caught.value.code == "not_your_job"
        await world.coordinator.run(job_id)
        for peer, epoch, side in ((stranger, 1, Side.INPUTS), (world.node.peer, 2, Side.INPUTS)):
            with pytest.raises(Refused):
                await ask(world, running, peer, job_id, epoch, side)
        with pytest.raises(Refused):
            await ask(world, running, world.node.peer, job_id, 1, Side.OUTPUTS)
        reply = await ask(world, running, world.node.peer, job_id)
        chunks = await pull(running, world.node.peer, reply)
        assert sum(map(len, chunks.values())) == CHUNK_BYTES + 10 + len("print('hello')\n")
        with pytest.raises(Refused):
            await pull(running, stranger, reply)


async def test_the_script_may_be_edited_while_the_job_waits_but_data_may_not(world: Any) -> None:
    data = make_data(world)
    async with world.engine() as running:
        job_id = await world.submit(running, data=str(data))
        (world.folder / "train.py").write_text("print('edited')\n")
        await world.coordinator.run(job_id)
        reply = await ask(world, running, world.node.peer, job_id)
        assert b"print('hello')\n" in (await pull(running, world.node.peer, reply)).values()
        (data / "big.bin").write_bytes(b"z" * (CHUNK_BYTES + 10))
        with pytest.raises(CyxWizError) as caught:
            await pull(running, world.node.peer, reply)
        assert caught.value.code == "input_changed"
        assert str(data) not in caught.value.what
        world.coordinator.move(job_id, JobState.FAILED, failure=FailureCode.INPUT)
        await world.coordinator.refund(job_id)
        await running.until(job_id, lambda job: job.stage.is_final)
        shown = await running.api.show({"job": job_id})
        assert any(str(data / "big.bin") in event["detail"] for event in shown["events"])


async def test_a_node_goes_on_fetching_after_the_engine_was_started_again(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running, data=str(make_data(world)))
        await world.coordinator.run(job_id)
        await running.until(job_id, lambda job: job.view and decode(JobView, job.view).state.is_leased)
        reply = await ask(world, running, world.node.peer, job_id)
        before = running.engine.peer.addresses
    async with world.engine() as running:
        assert running.engine.peer.addresses == before
        chunks = await pull(running, world.node.peer, reply)
    assert sum(map(len, chunks.values())) == CHUNK_BYTES + 10 + len("print('hello')\n")


async def test_once_the_job_has_ended_nothing_is_served(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        reply = await ask(world, running, world.node.peer, job_id)
        world.coordinator.move(job_id, JobState.FAILED)
        await world.coordinator.refund(job_id)
        await running.until(job_id, lambda job: job.stage.is_final)
        for attempt in (ask(world, running, world.node.peer, job_id), pull(running, world.node.peer, reply)):
            with pytest.raises(Refused):
                await attempt


async def test_no_secret_is_in_the_journal_or_in_what_is_shown(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        shown = json.dumps(await running.api.show({"job": job_id}))
        session = running.engine.wallets._home.engine.folder / "sessions" / world.buyer / "usdc.json"
    assert oct(session.stat().st_mode & 0o777) == "0o600"
    for keys in (world.keypair, session):
        secret = bytes(json.loads(keys.read_text()))[:32]
        raw = b"".join(path.read_bytes() for path in world.home.engine.folder.glob("journal.db*"))
        assert secret not in raw
        assert secret.hex() not in shown
