from __future__ import annotations

from typing import Any

import pytest

from p2p.chain.keys import Signer
from p2p.core.limits import LOGIN_CHALLENGE_LIFETIME_S, LOGIN_LIFETIME_S
from p2p.core.messages.auth import ChallengeRequest, LoginReply, LoginRequest, Role
from p2p.core.messages.jobs import JobList, ListJobsRequest
from p2p.net.calls import Call
from p2p.net.identity import PeerIdentity


async def test_a_login_says_where_money_moves_and_lasts(still_world: Any, make_world: Any) -> None:
    buyer = still_world.stranger()
    reply = await buyer.login()
    assert reply == LoginReply(
        expires_at_s=reply.expires_at_s,
        cluster="localnet",
        program_id=still_world.localnet.config.program_id,
        usdc_mint=still_world.localnet.config.usdc_mint,
        coordinator_wallet=still_world.localnet.coordinator.address,
    )
    assert await buyer.call("job.list", ListJobsRequest(10), JobList) == JobList(())
    async with make_world(run=False) as restarted:  # on the same database
        buyer.world = restarted
        assert await buyer.call("job.list", ListJobsRequest(10), JobList) == JobList(())


async def test_without_a_login_nothing_is_served(still_world: Any, refused: Any) -> None:
    stranger = PeerIdentity.ephemeral().peer_id
    served = still_world.wire.served
    methods = served.keys() - {"auth.challenge", "auth.login"}
    assert len(methods) == len(served) - 2
    for method in methods:
        with refused("not_logged_in"):
            await served[method](Call(stranger, method, b"\xff"))


async def test_an_engine_is_no_node(still_world: Any, refused: Any) -> None:
    node = still_world.node()
    buyer = still_world.stranger()
    buyer.identity = node.identity
    await buyer.login()
    with refused("not_logged_in"):
        await node.beat()


async def test_a_login_cannot_be_replayed(still_world: Any, refused: Any) -> None:
    buyer = still_world.stranger()
    text = (await buyer.challenge()).text
    await buyer.answer(text)
    with refused("login_refused"):
        await buyer.answer(text)


async def test_a_wrong_answer_uses_the_nonce_up(still_world: Any, refused: Any) -> None:
    buyer = still_world.stranger()
    text = (await buyer.challenge()).text
    request = LoginRequest(buyer.signer.address, Role.ENGINE, text, b"\0" * 64)
    with refused("login_refused"):
        await buyer.call("auth.login", request, LoginReply)
    with refused("login_refused"):
        await buyer.answer(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cyxwiz wants", "evil.example wants"),
        ("Chain ID: localnet", "Chain ID: mainnet"),
        ("as engine", "as node"),
        ("Version: 1", "Version: 1 "),
    ],
    ids=["domain", "chain", "role", "space"],
)
async def test_another_text_is_refused(still_world: Any, refused: Any, old: str, new: str) -> None:
    buyer = still_world.stranger()
    text = (await buyer.challenge()).text
    assert old in text
    with refused("login_refused"):
        await buyer.answer(text.replace(old, new))


async def test_a_challenge_is_bound_to_its_peer_and_wallet(still_world: Any, refused: Any) -> None:
    buyer, thief = still_world.stranger(), still_world.stranger()
    text = (await buyer.challenge()).text
    thief.signer = buyer.signer  # a stolen signature, from another peer
    with refused("login_refused"):
        await thief.answer(text)
    await thief.challenge()
    with refused("login_refused"):
        await thief.answer(text)
    buyer.signer = Signer.generate()
    with refused("login_refused"):
        await buyer.answer(text)


@pytest.mark.parametrize("ahead_s", [LOGIN_CHALLENGE_LIFETIME_S + 1, -120.0], ids=["expired", "clock-back"])
async def test_a_challenge_is_good_for_a_while(still_world: Any, refused: Any, ahead_s: float) -> None:
    buyer = still_world.stranger()
    text = (await buyer.challenge()).text
    still_world.clock.ahead_s = ahead_s
    with refused("login_refused"):
        await buyer.answer(text)


async def test_a_login_ends(still_world: Any, refused: Any) -> None:
    buyer = still_world.stranger()
    await buyer.login()
    still_world.clock.ahead_s = LOGIN_LIFETIME_S + 1
    with refused("not_logged_in"):
        await buyer.call("job.list", ListJobsRequest(10), JobList)


async def test_challenges_do_not_pile_up(still_world: Any, refused: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.store.logins.CHALLENGES_OUTSTANDING_MAX", 2)
    buyer = still_world.stranger()
    for _ in range(5):  # one peer has one challenge
        await buyer.challenge()
    await still_world.stranger().challenge()
    with refused("too_many_logins"):
        await still_world.stranger().challenge()
    still_world.clock.ahead_s = LOGIN_CHALLENGE_LIFETIME_S + 1
    await still_world.stranger().challenge()


async def test_a_malformed_wallet_is_refused(still_world: Any, refused: Any) -> None:
    with refused("bad_wallet"):
        await still_world.stranger().call("auth.challenge", ChallengeRequest("../etc", Role.NODE), LoginReply)
