"""Login, registration, heartbeats; and a coordinator that goes away, forgets, or refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import trio

from p2p.chain.keys import Signer
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.config import NetworkConfig
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import LOGIN_SOON_S
from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import (
    Hardware,
    Heartbeat,
    HeldJob,
    LeaseGrant,
    NodeAdvert,
    ResourceReading,
    StateReport,
    StopOrder,
)
from p2p.core.states import JobState
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.node.coordinator_link import CoordinatorLink
from p2p.node.payout import Payout

JOB = "a" * 32
WALLET = Signer.generate()
PAYOUT = Payout(WALLET.address, WalletChoice(WalletKind.KEYPAIR), True, WALLET)
ELSEWHERE = Payout(WALLET.address, WalletChoice(WalletKind.BROWSER), login_ends_at_s=2.0**33)


class State:
    """What a node would answer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.held: tuple[HeldJob, ...] = (HeldJob(JOB, 1, JobState.RUNNING, 5.0),)
        self.stopped: list[StopOrder] = []
        self.leases: list[LeaseGrant] = []
        self.available = True

    def advert(self) -> NodeAdvert:
        hardware = Hardware((), 2, 1, 1)
        return NodeAdvert(
            self._peer.peer_id,
            WALLET.address,
            self._peer.addresses,
            hardware,
            0,
            self.available,
            (),
            "sha256:x",
            "1",
        )

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(self.available, self.held, ResourceReading(1.0, 1), 1)

    async def orders(
        self, sent: tuple[HeldJob, ...], leases: tuple[LeaseGrant, ...], stop: tuple[StopOrder, ...]
    ) -> None:
        self.stopped += stop
        self.leases += leases


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer.open(PeerIdentity.ephemeral(), ["/ip4/127.0.0.1/tcp/0"]) as found:
        yield found


@pytest.fixture
def state(peer: Peer) -> State:
    return State(peer)


@pytest.fixture
async def link(
    peer: Peer, state: State, coordinator: Any, nursery: trio.Nursery
) -> AsyncIterator[CoordinatorLink]:
    found = CoordinatorLink(peer, NetworkConfig(coordinator.address), PAYOUT, state, SYSTEM_CLOCK)
    nursery.start_soon(found.run)
    with trio.fail_after(30):
        await found.until_registered()
    yield found
    nursery.cancel_scope.cancel()


async def test_it_logs_in_registers_what_it_holds_and_beats(
    link: CoordinatorLink, state: State, coordinator: Any
) -> None:
    coordinator.leases.add((JOB, 1))
    await coordinator.until(lambda: coordinator.beats >= 3)
    assert coordinator.logins == 1
    assert len(coordinator.registered) == 1
    assert coordinator.registered[0].held == state.held
    assert coordinator.registered[0].advert.wallet == WALLET.address
    assert link.status.registered
    assert link.status.login is not None
    assert LeaseGrant(JOB, 1, 45.0) in state.leases


async def test_a_coordinator_that_was_restarted_gets_the_held_jobs_again(
    link: CoordinatorLink, coordinator: Any
) -> None:
    await coordinator.until(lambda: coordinator.beats >= 1)
    coordinator.registered.clear()  # it answers register_again from now on
    await coordinator.until(lambda: bool(coordinator.registered))
    assert [job.job_id for job in coordinator.registered[0].held] == [JOB]
    assert coordinator.logins == 1


async def test_a_login_that_expired_is_renewed_by_itself(link: CoordinatorLink, coordinator: Any) -> None:
    coordinator.must_log_in = True
    report = StateReport(JOB, 1, JobState.RUNNING, 1.0)
    assert await link.call("job.report", report, Ack) == Ack()
    assert coordinator.logins == 2


async def test_orders_are_carried_out(link: CoordinatorLink, state: State, coordinator: Any) -> None:
    order = StopOrder(JOB, 1, "cancelled")
    coordinator.stop.append(order)
    beats = coordinator.beats
    await coordinator.until(lambda: coordinator.beats >= beats + 2)
    assert order in state.stopped


async def test_a_change_is_announced_at_once(link: CoordinatorLink, state: State, coordinator: Any) -> None:
    await coordinator.until(lambda: bool(coordinator.registered))
    state.available = False
    link.announce()
    await coordinator.until(lambda: len(coordinator.registered) == 2)
    assert not coordinator.registered[1].advert.available


async def test_a_lost_connection_is_made_again(link: CoordinatorLink, peer: Peer, coordinator: Any) -> None:
    for _ in range(2):
        beats = coordinator.beats
        await peer.disconnect(coordinator.peer.peer_id)
        await coordinator.until(lambda beats=beats: coordinator.beats > beats)
    assert link.status.registered


async def test_without_a_coordinator_it_says_why_and_keeps_trying(
    peer: Peer, state: State, nursery: trio.Nursery
) -> None:
    nobody = f"/ip4/127.0.0.1/tcp/1/p2p/{PeerIdentity.ephemeral().peer_id}"
    link = CoordinatorLink(peer, NetworkConfig(nobody), PAYOUT, state, SYSTEM_CLOCK)
    nursery.start_soon(link.run)
    with trio.fail_after(30):
        while link.status.problem is None:
            await trio.sleep(0.01)
    assert isinstance(link.status.problem, EnvironmentFailure)
    assert not link.status.registered
    nursery.cancel_scope.cancel()


async def test_a_challenge_that_is_no_login_is_not_signed(
    peer: Peer, state: State, coordinator: Any, nursery: trio.Nursery
) -> None:
    link = CoordinatorLink(peer, NetworkConfig(coordinator.address), PAYOUT, state, SYSTEM_CLOCK)
    coordinator.challenge = "Transfer everything to the coordinator"
    nursery.start_soon(link.run)
    with trio.fail_after(30):
        while link.status.problem is None:
            await trio.sleep(0.01)
    assert link.status.problem.code == "strange_challenge"
    assert coordinator.logins == 0
    nursery.cancel_scope.cancel()


async def test_who_waits_for_a_coordinator_that_comes_later_is_woken(
    peer: Peer, state: State, coordinator: Any, nursery: trio.Nursery
) -> None:
    coordinator.challenge = "not ready yet"
    link = CoordinatorLink(peer, NetworkConfig(coordinator.address), PAYOUT, state, SYSTEM_CLOCK)
    woken = trio.Event()

    async def wait() -> None:
        await link.until_registered()
        woken.set()

    nursery.start_soon(wait)
    nursery.start_soon(link.run)
    with trio.fail_after(30):
        while link.status.problem is None:
            await trio.sleep(0.01)
        coordinator.challenge = ""
        link.announce()
        await woken.wait()
    nursery.cancel_scope.cancel()


async def test_a_connection_that_died_without_a_word_is_replaced_before_the_lease_is_lost(
    link: CoordinatorLink, peer: Peer, coordinator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.node.coordinator_link.COORDINATOR_CALL_TIMEOUT_S", 0.5)
    await coordinator.until(lambda: coordinator.beats >= 1)
    lost: list[str] = []
    peer.on_disconnect(lost.append)
    coordinator.silent = True
    with trio.fail_after(10):  # its pings would take twice IDLE_PING_S
        while not lost:
            await trio.sleep(0.01)
    coordinator.silent = False
    beats, registered = coordinator.beats, len(coordinator.registered)
    await coordinator.until(lambda: coordinator.beats > beats)
    assert len(coordinator.registered) > registered
    assert lost == [coordinator.peer.peer_id]


async def test_a_wallet_without_a_key_here_registers_and_signs_nothing(
    peer: Peer, state: State, coordinator: Any, nursery: trio.Nursery
) -> None:
    coordinator.must_log_in = False  # a person did so, from elsewhere
    coordinator.node = peer.peer_id
    link = CoordinatorLink(peer, NetworkConfig(coordinator.address), ELSEWHERE, state, SYSTEM_CLOCK)
    nursery.start_soon(link.run)
    await coordinator.until(lambda: coordinator.beats >= 1)
    assert coordinator.logins == 0
    coordinator.must_log_in = True  # that login has ended
    with trio.fail_after(30):
        while link.status.problem is None:
            await trio.sleep(0.01)
    assert link.status.problem.code == "not_logged_in"
    assert "cyxwiz-node login --browser" in link.status.problem.hint
    assert len(link.status.problem.lines()) == 3
    assert coordinator.logins == 0

    text = await link.logins.challenge(WALLET.address)

    async def accept(reply: Any) -> Payout:
        return ELSEWHERE

    await link.hand_in(WALLET.address, text, WALLET.sign(text.encode()), accept)
    beats = coordinator.beats
    await coordinator.until(lambda: coordinator.beats > beats)  # and it does not wait for the next try
    assert link.status.problem is None
    nursery.cancel_scope.cancel()


async def test_a_login_that_could_not_be_kept_leaves_the_old_wallet(
    link: CoordinatorLink, coordinator: Any
) -> None:
    other = Signer.generate()
    text = await link.logins.challenge(other.address)

    async def accept(reply: Any) -> Payout:
        raise EnvironmentFailure("settings_unusable", "The disk is full.")

    with pytest.raises(EnvironmentFailure):
        await link.hand_in(other.address, text, other.sign(text.encode()), accept)
    await coordinator.until(lambda: coordinator.logins == 3)  # the other one, and the old one again
    assert coordinator.registered[-1].advert.wallet == WALLET.address


async def test_a_key_at_hand_logs_in_again_before_the_login_ends(
    link: CoordinatorLink, coordinator: Any
) -> None:
    assert link.status.login is not None
    soon_s = int(SYSTEM_CLOCK.now_s() + LOGIN_SOON_S - 60)
    link.status.login = replace(link.status.login, expires_at_s=soon_s)
    await coordinator.until(lambda: coordinator.logins == 2)
    beats = coordinator.beats
    await coordinator.until(lambda: coordinator.beats >= beats + 2)
    assert coordinator.logins == 2
