"""What is merely confirmed counts for nothing, for a fork may drop it: what is final moves job and ledger."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from solders.transaction import VersionedTransaction

from coordinator.domain.ledger import escrow
from p2p.core.ids import JobId
from p2p.core.limits import SETTLER_TAKE_S
from p2p.core.states import JobState
from p2p.testing.claiming import agrees


class Forking:
    """In front of the client's RPC. While ``young``, nothing that landed since then is final.

    ``doomed``: what is sent is confirmed on a fork that is dropped when ``young`` ends.
    """

    def __init__(self, rpc: Any) -> None:
        self._rpc = rpc
        self.young = self.doomed = False
        self.sent: list[bytes] = []
        self._on_fork: set[str] = set()
        self._slot = 0
        self._final: dict[str, Any] = {}
        self._final_signatures: set[str] = set()

    async def start(self, program: str, *, doomed: bool = False) -> None:
        """From now on."""
        options = {"encoding": "base64", "withContext": True}
        reply = await self._rpc.call("getProgramAccounts", program, options)
        self._slot = reply["context"]["slot"]
        self._final = {row["pubkey"]: row["account"] for row in reply["value"]}
        rows = await self._rpc.call("getSignaturesForAddress", program, {})
        self._final_signatures = {row["signature"] for row in rows}
        self.young, self.doomed = True, doomed

    def end(self) -> None:
        self.young = self.doomed = False
        self._on_fork.clear()

    async def call(self, method: str, *params: Any) -> Any:
        if method == "sendTransaction":
            self.sent.append(base64.b64decode(params[0]))
            if self.doomed:
                signature = str(VersionedTransaction.from_bytes(self.sent[-1]).signatures[0])
                self._on_fork.add(signature)
                return signature
        if self.young and len(params) > 1 and params[1].get("commitment") == "finalized":
            return await self._finalized(method, *params)
        if method == "getSignatureStatuses" and params[0][0] in self._on_fork:
            return {
                "context": {"slot": 1},
                "value": [{"slot": 1, "err": None, "confirmationStatus": "confirmed"}],
            }
        reply = await self._rpc.call(method, *params)
        if method == "getSignatureStatuses" and self.young and reply["value"][0] is not None:
            reply["value"][0]["confirmationStatus"] = "confirmed"
        return reply

    def in_order(self) -> Any:
        return self._rpc.in_order()

    def is_silent(self, url: str) -> bool:
        return bool(self._rpc.is_silent(url))

    async def _finalized(self, method: str, *params: Any) -> Any:
        context = {"slot": self._slot}
        if method == "getAccountInfo":
            return {"context": context, "value": self._final.get(params[0])}
        if method == "getMultipleAccounts":
            return {"context": context, "value": [self._final.get(address) for address in params[0]]}
        reply = await self._rpc.call(method, *params)
        if method == "getSignaturesForAddress":
            return [row for row in reply if row["signature"] in self._final_signatures]
        return reply

    async def call_one(self, _: str, method: str, *params: Any) -> Any:
        return await self.call(method, *params)


@pytest.fixture
async def forking(still_world: Any) -> Any:
    found, real = Forking(still_world.chain._rpc), still_world.chain._rpc
    still_world.chain._rpc = found
    yield found
    still_world.chain._rpc = real


async def cancelled(world: Any) -> str:
    buyer = await world.buyer()
    view = await buyer.submit()
    await buyer.cancel(view.job_id)
    return str(view.job_id)


async def step(world: Any, job_id: str) -> Any:
    """One look of the settler at the job's first action; the action then."""
    world.clock.ahead_s += SETTLER_TAKE_S + 1
    await world.coordinator.settler.work_on(world.actions(job_id)[0].action_id)
    return world.actions(job_id)[0]


async def check_unmoved(world: Any, job_id: str, state: JobState) -> None:
    await world.coordinator.follower.follow()
    assert world.job(job_id).status is state
    account = escrow(world.job(job_id).buyer, job_id)
    rows = world.query("ledger.of_account", account=account, limit=9)
    assert [row["kind"] for row in rows] == ["open"]


async def test_confirmed_is_not_done(still_world: Any, forking: Forking) -> None:
    world = still_world
    job_id = await cancelled(world)
    await forking.start(world.localnet.config.program_id)
    first = await step(world, job_id)
    again = await step(world, job_id)
    assert (first.state, again.state, again.signature) == ("sent", "sent", first.signature)
    await check_unmoved(world, job_id, JobState.CANCELLED)
    forking.end()
    done = await step(world, job_id)
    assert (done.state, done.signature) == ("confirmed", first.signature)
    assert world.job(job_id).status is JobState.REFUNDED
    await agrees(world, job_id)


async def test_what_a_fork_drops_is_sent_again_with_the_same_bytes(
    still_world: Any, forking: Forking
) -> None:
    world = still_world
    job_id = await cancelled(world)
    await forking.start(world.localnet.config.program_id, doomed=True)
    sent = await step(world, job_id)
    await step(world, job_id)
    await check_unmoved(world, job_id, JobState.CANCELLED)
    before = len(forking.sent)
    forking.end()
    done = await step(world, job_id)
    assert (done.state, done.signature) == ("confirmed", sent.signature)
    assert forking.sent[before:] == [sent.signed_bytes]
    assert world.job(job_id).status is JobState.REFUNDED
    await agrees(world, job_id)


async def test_what_a_fork_drops_for_good_is_signed_anew_when_it_has_expired(
    still_world: Any, forking: Forking
) -> None:
    world = still_world
    job_id = await cancelled(world)
    await forking.start(world.localnet.config.program_id, doomed=True)
    sent = await step(world, job_id)
    await world.chain.ask("cyxwizAdvanceClock", 61)
    assert (await step(world, job_id)).signature == sent.signature  # old as it is, it is in a block
    forking.end()
    assert (await step(world, job_id)).state == "prepared"
    done = await step(world, job_id)
    assert done.state == "confirmed"
    assert done.signature != sent.signature
    assert world.job(job_id).status is JobState.REFUNDED
    await agrees(world, job_id)


async def test_what_others_did_counts_when_it_is_final(still_world: Any, forking: Forking) -> None:
    """The buyer takes the deposit back on chain: neither settler nor sweep believe it too early."""
    world = still_world
    buyer, node = await world.buyer(), world.node()
    await node.join()
    view = await buyer.submit()
    owner, job_id = buyer.signer.address, JobId(view.job_id)
    assert await world.coordinator.dispatcher.dispatch() == 1
    await forking.start(world.localnet.config.program_id)
    await world.chain.cancel(buyer.signer, owner, job_id)
    assert (await step(world, job_id)).state == "prepared"  # not signed: it would be refused
    await world.coordinator.sweeps.reconcile()
    await check_unmoved(world, job_id, JobState.ASSIGNED)
    forking.end()
    await step(world, job_id)
    assert world.job(job_id).status is JobState.REFUNDED
    await agrees(world, job_id)
