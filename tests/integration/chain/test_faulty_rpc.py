"""The real client against faulty nodes, over real HTTP: every action lands exactly once.

The rule: store the signed bytes first; send the same bytes again; sign anew only after *expired*.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from p2p.chain import rpc, sending
from p2p.chain.errors import NotTaken, ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.limits import BLOCKHASH_BLOCKS
from p2p.core.money import Asset
from p2p.testing import faulty_rpc as faults
from p2p.testing.faulty_rpc import FaultyRpc

UNITS = 1000
SLOT_S = 0.4
ROUNDS_MAX = 12


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost answer is waited for half a second, not fifteen."""
    monkeypatch.setattr(rpc, "RPC_TIMEOUT_S", 0.5)
    monkeypatch.setattr(sending, "RESEND_S", 0.2)
    monkeypatch.setattr(sending, "CONFIRM_POLL_S", 0.02)


def in_three_parts(error: CyxWizError) -> None:
    assert error.what
    assert error.meaning
    assert error.hint


@dataclass
class Case:
    """A buyer with money, a client, and the nodes that it asks."""

    net: Any
    chain: EscrowClient
    nodes: list[FaultyRpc]
    buyer: Signer
    signed: list[SignedTransaction] = field(default_factory=list)
    """What was stored, in order."""

    def expire(self) -> None:
        """Let so much time pass that nothing signed until now can land."""
        with self.net.server.lock:
            self.net.chain.advance((BLOCKHASH_BLOCKS + 1) * SLOT_S)

    async def sign(self) -> SignedTransaction:
        self.signed.append(await self.chain.prepare_deposit(self.buyer, Asset.SOL, UNITS))
        return self.signed[-1]

    async def deposit_once(self, after: Callable[[EnvironmentFailure], None]) -> list[str]:
        """By the rule, until it is confirmed; the errors on the way. ``after`` each of them."""
        errors: list[str] = []
        stored = await self.sign()
        for _ in range(ROUNDS_MAX):
            try:
                await self.chain.send_and_confirm(stored, timeout_s=1)
                return errors
            except EnvironmentFailure as error:
                in_three_parts(error)
                errors.append(error.code)
                after(error)
                if error.code == "transaction_expired":
                    stored = await self.sign()
        raise AssertionError(f"not confirmed: {errors}")

    async def landed(self) -> int:
        """How many deposits the chain holds, whatever the nodes in front of it say."""
        async with EscrowClient(self.net.config()) as honest:
            units = await honest.balance(self.buyer.address, Asset.SOL)
        assert units % UNITS == 0
        return units // UNITS


@pytest.fixture
def nodes(net: Any) -> Iterator[list[FaultyRpc]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FaultyRpc(net.url)) for _ in range(2)]


@pytest.fixture(params=[1, 2], ids=["one node", "two nodes"])
async def case(request: pytest.FixtureRequest, net: Any, nodes: list[FaultyRpc]) -> AsyncIterator[Case]:
    async for found in made(net, nodes[: request.param]):
        yield found


@pytest.fixture
async def pair(net: Any, nodes: list[FaultyRpc]) -> AsyncIterator[Case]:
    async for found in made(net, nodes):
        yield found


async def made(net: Any, nodes: list[FaultyRpc]) -> AsyncIterator[Case]:
    buyer = Signer.generate()
    await faucet(net.url, buyer.address, Asset.SOL, 10**9)
    config = replace(net.config(), rpc_urls=tuple(node.url for node in nodes))
    async with EscrowClient(config) as chain:
        yield Case(net, chain, nodes, buyer)


BREAKS: dict[str, tuple[str, faults.Fault]] = {
    "times out before landing": ("sendTransaction", faults.lost_before),
    "times out after landing": ("sendTransaction", faults.lost_after),
    "breaks off after landing": ("sendTransaction", faults.hangs_up_after),
    "takes it and drops it": ("sendTransaction", faults.swallowed),
    "does not know the blockhash": ("sendTransaction", faults.expired_blockhash),
    "is behind": ("sendTransaction", faults.behind),
    "429 to the sending": ("sendTransaction", faults.too_many_requests),
    "no JSON to the sending": ("sendTransaction", faults.malformed(b"<html>")),
    "another signature": ("sendTransaction", lambda exchange: exchange.result("1" * 64)),
    "another id": ("sendTransaction", faults.malformed(b'{"id":-1,"result":"x"}')),
    "null status": ("getSignatureStatuses", faults.no_status),
    "429 to the question": ("getSignatureStatuses", faults.too_many_requests),
    "no JSON to the question": ("getSignatureStatuses", faults.malformed(b"[")),
    "a status without sense": ("getSignatureStatuses", lambda exchange: exchange.with_context([5], 1)),
    "reply too long": ("getSignatureStatuses", faults.too_long(rpc.RPC_REPLY_MAX_BYTES + 1)),
    "slow reply": ("getSignatureStatuses", faults.slow(0.2)),
    "silent to the question": ("getSignatureStatuses", faults.lost_before),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_fault_that_passes_lands_once(case: Case, name: str) -> None:
    """Of every node, so that there is no way around it; the same bytes throughout."""
    for node in case.nodes:
        node.fault(*BREAKS[name], times=2)
    errors = await case.deposit_once(lambda _: None)
    assert set(errors) <= {"transaction_pending", "chain_unreachable"}
    assert await case.landed() == 1
    assert {raw for node in case.nodes for raw in node.passed} == {case.signed[0].raw}
    assert len(case.signed) == 1


@pytest.mark.parametrize(
    "name", [name for name, (method, _) in BREAKS.items() if method == "sendTransaction"]
)
async def test_a_fault_that_stays_until_it_expired_lands_once(case: Case, name: str) -> None:
    """Then it is healed: what landed is found in the history, what did not is signed anew."""

    def heal_in_the_end(error: EnvironmentFailure) -> None:
        if error.code != "transaction_expired":
            case.expire()
            for node in case.nodes:
                node.heal()

    for node in case.nodes:
        node.fault(*BREAKS[name])
    errors = await case.deposit_once(heal_in_the_end)
    landed_unseen = BREAKS[name][1] in (faults.lost_after, faults.hangs_up_after)
    assert len(case.signed) == (1 if landed_unseen else 2), errors
    assert await case.landed() == 1


@pytest.mark.parametrize("name", BREAKS)
async def test_one_honest_node_is_enough(pair: Case, name: str) -> None:
    pair.nodes[0].fault(*BREAKS[name])
    await pair.deposit_once(lambda _: None)
    assert await pair.landed() == 1
    assert len(pair.signed) == 1


async def test_a_stale_node_rules_nothing_out(pair: Case) -> None:
    """Old height, old blockhash, and it takes transactions that go nowhere."""
    stale, fresh = pair.nodes
    stale.freeze()
    fresh.fault("sendTransaction", faults.swallowed)
    stored = await pair.sign()
    pair.expire()
    for _ in range(2):
        outcome = await pair.chain.outcome(stored.signature, stored.last_valid_height)
        assert outcome.kind is OutcomeKind.PENDING
    for node in pair.nodes:
        node.heal()
    outcome = await pair.chain.outcome(stored.signature, stored.last_valid_height)
    assert outcome.kind is OutcomeKind.EXPIRED
    await pair.deposit_once(lambda _: None)
    assert await pair.landed() == 1


async def test_beside_a_stale_node_it_lands_through_the_other(pair: Case) -> None:
    for stale in pair.nodes:
        stale.freeze()
        await pair.deposit_once(lambda _: None)
        stale.heal()
        pair.expire()  # or the second would be the same transaction
    assert await pair.landed() == 2
    assert len(pair.signed) == 2


async def test_two_nodes_that_disagree(pair: Case) -> None:
    """One has seen it land; the other says that it is over and that nothing happened."""
    for blind, seeing in (pair.nodes, pair.nodes[::-1]):
        stored = await pair.sign()
        await pair.chain.send_and_confirm(stored)
        blind.fault("getSignatureStatuses", faults.no_status)
        pair.expire()
        outcome = await pair.chain.outcome(stored.signature, stored.last_valid_height)
        assert outcome.kind is OutcomeKind.CONFIRMED
        seeing.fault("getSignatureStatuses", faults.lost_before)  # and cannot be asked now
        outcome = await pair.chain.outcome(stored.signature, stored.last_valid_height)
        assert outcome.kind is OutcomeKind.PENDING
        for node in pair.nodes:
            node.heal()
    assert await pair.landed() == 2


@pytest.mark.parametrize("level", ["processed", "confirmed"])
async def test_dropped_after_it_was_seen(case: Case, level: str) -> None:
    """Who asks for finality waits, sees it disappear, and sends the same bytes again."""
    stored = await case.sign()
    for node in case.nodes:
        node.fault("sendTransaction", faults.swallowed)
        node.fault("getSignatureStatuses", faults.on_a_fork(level))
    await case.chain.broadcast(stored.raw)

    async def kind() -> OutcomeKind:
        found = await case.chain.outcome(stored.signature, stored.last_valid_height, commitment="finalized")
        return found.kind

    assert await kind() is OutcomeKind.PENDING
    for node in case.nodes:
        node.heal()
    assert await kind() is OutcomeKind.PENDING
    assert await case.landed() == 0
    await case.chain.broadcast(stored.raw)
    for node in case.nodes:
        node.fault("getSignatureStatuses", faults.only_confirmed)
    assert await kind() is OutcomeKind.PENDING
    for node in case.nodes:
        node.heal()
    assert await kind() is OutcomeKind.CONFIRMED
    assert await case.landed() == 1


async def test_dropped_for_good_expires_and_is_signed_anew(case: Case) -> None:
    stored = await case.sign()
    for node in case.nodes:
        node.fault("sendTransaction", faults.swallowed)
        node.fault("getSignatureStatuses", faults.on_a_fork("confirmed"))
    await case.chain.broadcast(stored.raw)
    case.expire()
    wanted = {"commitment": "finalized"}
    on_fork = await case.chain.outcome(stored.signature, stored.last_valid_height, **wanted)
    assert on_fork.kind is OutcomeKind.PENDING  # past its height, but a node still holds on to it
    for node in case.nodes:
        node.heal()
    gone = await case.chain.outcome(stored.signature, stored.last_valid_height, **wanted)
    assert gone.kind is OutcomeKind.EXPIRED
    await case.deposit_once(lambda _: None)
    assert await case.landed() == 1


async def test_a_refusal_is_the_programs_and_final(case: Case) -> None:
    stored = await case.chain.prepare_withdraw(case.buyer, Asset.SOL, UNITS)
    with pytest.raises(ProgramRefused) as refusal:
        await case.chain.send_and_confirm(stored)
    assert refusal.value.number is not None
    assert refusal.value.what
    assert refusal.value.meaning


async def test_nobody_there_is_said_at_once_and_in_three_parts(net: Any) -> None:
    buyer = Signer.generate()
    await faucet(net.url, buyer.address, Asset.SOL, 10**9)
    async with EscrowClient(net.config()) as honest:
        stored = await honest.prepare_deposit(buyer, Asset.SOL, UNITS)
    nowhere = ("http://127.0.0.1:9", "http://127.0.0.1:9")
    async with EscrowClient(replace(net.config(), rpc_urls=nowhere)) as chain:
        with pytest.raises(NotTaken) as error:
            await chain.send_and_confirm(stored)
    assert error.value.code == "chain_unreachable"
    in_three_parts(error.value)


@pytest.mark.parametrize(
    "fault", [faults.too_many_requests, faults.lost_before, faults.malformed(b"?"), faults.expired_blockhash]
)
async def test_fees_that_cannot_be_asked_stop_nothing(case: Case, fault: faults.Fault) -> None:
    for node in case.nodes:
        node.fault("getRecentPrioritizationFees", fault)
    assert await case.deposit_once(lambda _: None) == []
    assert await case.landed() == 1
