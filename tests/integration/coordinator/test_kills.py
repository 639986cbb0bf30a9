"""``kill -9`` of the coordinator at every boundary between two effects: all money ends where it does without.

The coordinator is a process of its own (:mod:`p2p.testing.mortal`) on a real database and a real chain. A
buyer and a node talk to it over real connections, and try again when it is gone. What each story ends in,
told once without a death, is what it ends in when the coordinator dies at a boundary and another takes over.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from shutil import copyfile
from typing import Any, TypeVar

import pytest
import trio

from coordinator.domain.ledger import user
from coordinator.service.audit import audit
from coordinator.service.effects import Boundary
from coordinator.store import outbox
from coordinator.store.database import Database, Tx
from coordinator.store.records import JobRow
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.chain.sponsored import SponsoredCall, call_instruction
from p2p.chain.transaction import assemble, build_message, sign_message
from p2p.core.agreement import run_limit_s
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CLOSE_AFTER_S, GIB, SETTLER_TAKE_S
from p2p.core.messages.jobs import AccountRequest, JobView, PostingList, Terms
from p2p.core.messages.nodes import Assignment, GpuInfo, HeldJob
from p2p.core.messages.sponsor import SponsoredAction, SponsorReply, SponsorRequest
from p2p.core.money import Asset
from p2p.core.paths import Home
from p2p.core.signing import Domain, statement_hash
from p2p.core.states import FailureCode, JobState
from p2p.net.calls import Call
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.testing.claiming import WINDOW_S
from p2p.testing.marketplace import Buyer, Node
from p2p.testing.mortal import CLAIM_AFTER_S, Mortal
from p2p.wire.codec import decode

T = TypeVar("T")

FUNDED_UNITS, WITHDRAWN_UNITS = 5_000_000, 1_000_000
RUN_S = 20.0
ADDED_S = 600
STORY_MAX_S = 120.0

B = Boundary
STORIES = {
    "settle": [
        *(B.LEDGER_READ, B.LEDGER_POSTED, B.ESCROW_SEEN, B.JOB_QUEUED, B.JOB_CLAIMED, B.NODE_TOLD),
        *(B.ASSIGN_TAKEN, B.ASSIGN_SIGNED, B.ASSIGN_STORED, B.ASSIGN_SENT, B.ASSIGN_LANDED, B.ASSIGN_DONE),
        *(B.EXTENDED, B.REPORT_KEPT, B.RECEIPT_KEPT, B.OFFER_KEPT, B.COUNTERSIGNED),
        *(B.SETTLE_TAKEN, B.SETTLE_SENT, B.SETTLE_LANDED, B.SETTLE_DONE),
    ],
    "refund": [
        *(B.SPONSORED, B.CANCEL_KEPT, B.REFUND_TAKEN, B.REFUND_SIGNED, B.REFUND_STORED),
        *(B.REFUND_SENT, B.REFUND_LANDED, B.REFUND_DONE),
        *(B.CLOSE_TAKEN, B.CLOSE_SIGNED, B.CLOSE_STORED, B.CLOSE_SENT, B.CLOSE_LANDED, B.CLOSE_DONE),
    ],
    "claim": [
        *(B.CLAIM_WANTED, B.CLAIM_TAKEN, B.CLAIM_SIGNED, B.CLAIM_STORED),
        *(B.CLAIM_SENT, B.CLAIM_LANDED, B.CLAIM_DONE),
        *(B.FINALIZE_WANTED, B.FINALIZE_TAKEN, B.FINALIZE_SIGNED, B.FINALIZE_STORED),
        *(B.FINALIZE_SENT, B.FINALIZE_LANDED, B.FINALIZE_DONE),
    ],
}


def test_every_boundary_is_tested_once_and_numbered_once() -> None:
    tested = [boundary for story in STORIES.values() for boundary in story]
    assert sorted(tested, key=lambda b: b.number) == list(Boundary)
    assert len({boundary.number for boundary in Boundary}) == len(Boundary)


@pytest.fixture
def localnet(tmp_path: Path, new_localnet: Any) -> Iterator[Any]:
    """A chain for one story: its clock is moved, and nobody else's money is on it."""
    with new_localnet(tmp_path) as opened_chain:
        yield opened_chain


class Line:
    """How buyer and node reach whichever coordinator there is: they ask until they are answered."""

    def __init__(self, mortal: Mortal, ends: tuple[Peer, ...], revive: Callable[[], Awaitable[None]]) -> None:
        self._mortal = mortal
        self._ends = {peer.peer_id: peer for peer in ends}
        self._revive = revive
        self.served = self
        self.peers: dict[str, Any] = {}

    def __getitem__(self, method: str) -> Callable[[Call], Awaitable[bytes]]:
        async def handler(call: Call) -> bytes:
            while True:
                if not self._mortal.is_running:
                    await self._revive()
                address = self._mortal.address
                coordinator = address.rpartition("/")[2]
                try:
                    return await self._ends[call.peer_id].call(
                        coordinator, method, call.payload, addrs=[address], timeout_s=10.0
                    )
                except EnvironmentFailure:
                    await trio.sleep(0.02)

        return handler


@dataclass
class Market:
    """A buyer and a node, new ones in each story, and coordinators that come and go."""

    db: Database
    chain: EscrowClient
    localnet: Any
    mortal: Mortal
    identities: tuple[PeerIdentity, PeerIdentity]
    ends: tuple[Peer, Peer]
    fee_owner: Wallet
    wire: Line = field(init=False)
    buyer: Buyer = field(init=False)
    node: Node = field(init=False)
    held: dict[str, HeldJob] = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Line(self.mortal, self.ends, self._revive)
        self.ends[1].serve("job.assign", self._assign)
        self.ends[1].serve("job.stop", self._stop)

    async def _assign(self, call: Call) -> bytes:
        return await self.node._assign(call.payload)

    async def _stop(self, call: Call) -> bytes:
        return await self.node._stop(call.payload)

    async def move(self, seconds: float) -> None:
        """Time passes, for the chain first: there a coordinator looks at once for what has become due."""
        await self.chain.ask("cyxwizAdvanceClock", int(seconds))
        self.mortal.move(seconds)

    async def _revive(self) -> None:
        await self.move(SETTLER_TAKE_S + 1)  # what the dead one worked on is free by then
        await self.mortal.start()
        await self.node.join(*self.held.values())

    async def until(self, look: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T:
        while not holds(found := await look()):
            await trio.sleep(0.02)
        return found

    # -- what happens in every story

    async def begin(self) -> None:
        """A buyer deposits and takes a part back; a node with two GPUs comes."""
        own, other = self.identities
        self.held = {}
        gpus = tuple(GpuInfo(f"gpu-{n}", "RTX 4090", "rtx4090", 24 * GIB) for n in range(2))
        self.node = Node(self, identity=other, gpus=gpus)
        self.buyer = Buyer(self, identity=own, signer=await self.localnet.funded(Asset.USDC, FUNDED_UNITS))
        await self.chain.withdraw(self.buyer.signer, Asset.USDC, WITHDRAWN_UNITS)
        await self.buyer.login()
        await self.node.join()

    async def given(self, job_ids: list[str]) -> list[Assignment]:
        """Jobs of the node, once it has heard of all of them."""
        found: dict[str, Assignment] = {}
        while not found.keys() >= set(job_ids):
            found = {job.job_id: job for job in self.node.assigned}
            for job in found.values():
                self.held[job.job_id] = HeldJob(job.job_id, job.epoch, JobState.ASSIGNED)
            await self.node.beat(*self.held.values())
            await trio.sleep(0.02)
        return [found[job_id] for job_id in job_ids]

    async def submitted(self) -> list[Assignment]:
        """Two jobs, which the node has got."""
        views = [await self.buyer.submit(gpu_type="rtx4090") for _ in range(2)]
        return await self.given([view.job_id for view in views])

    async def sponsored(self) -> str:
        """A job that a session key without SOL opens, the coordinator paying for it; its id."""
        chain, owner, session = self.chain, self.buyer.signer, Signer.generate()
        until_s = await chain.chain_time_s() + 24 * 3600
        await chain.authorize(owner, session.address, Asset.USDC, FUNDED_UNITS, until_s)
        spec = self.buyer.spec(gpu_type="h100")  # which nobody has
        signed = (await self.buyer.quote(spec)).terms
        terms = decode(Terms, signed.payload)
        call = SponsoredCall(
            SponsoredAction.OPEN,
            session.address,
            owner.address,
            JobId(terms.job_id),
            terms.asset,
            terms.deposit_units,
            statement_hash(Domain.TERMS, signed.payload),
            run_limit_s(terms.timeout_s, (await chain.config()).longest_job_s),
        )
        payer, recent = self.localnet.coordinator.address, await chain.recent()
        message = build_message([call_instruction(call, chain.chain, payer)], payer, recent)
        request = SponsorRequest(call.action, call.job_id, call.actor, message, 0, signed)
        reply = await self.buyer.call("chain.sponsor", request, SponsorReply)
        both = {payer: reply.signature, session.address: sign_message(message, session)}
        signature = await chain.send_and_confirm(assemble(message, both, recent.last_valid_height))
        await self.buyer.call("job.submit", self.buyer.submission(spec, signed, signature), JobView)
        return terms.job_id

    async def ran(self, jobs: list[Assignment]) -> None:
        """Each for the same time, to the second."""
        await self.move(RUN_S)
        for job in jobs:
            self.held[job.job_id] = HeldJob(job.job_id, job.epoch, JobState.RUNNING, RUN_S)
            await self.node.report(job.job_id, job.epoch, JobState.RUNNING, RUN_S)
        for job in jobs:
            await self.node.deliver(job, RUN_S)
            self.held[job.job_id] = HeldJob(job.job_id, job.epoch, JobState.DELIVERING, RUN_S)

    async def on_chain(self, job_id: str, action: str) -> None:
        def done(view: JobView) -> bool:
            return any(entry.action == action and entry.status == "confirmed" for entry in view.chain)

        await self.until(lambda: self.buyer.show(job_id), done)

    async def paid(self, job_ids: list[str]) -> None:
        """The buyer signs what it is offered, again if that could not land in time, until all is paid."""
        while unpaid := [each for each in job_ids if not (await self.buyer.show(each)).state.is_final]:
            for job_id in unpaid:
                offer = await self.buyer.offer(job_id)
                if offer.message:
                    await self.buyer.countersign(job_id, offer)

    async def waits(self, job_id: str, kind: str) -> None:
        """Until the coordinator has found that an action's time has not come, and is not at it just now."""

        async def look() -> bool:
            await self.buyer.show(job_id)
            actions = self.db.transact(lambda tx: outbox.of_job(tx, job_id))
            return any(a.kind == kind and a.next_try_at_s - a.updated_at_s > SETTLER_TAKE_S for a in actions)

        await self.until(look, bool)

    async def end(self, job_ids: list[str], state: JobState) -> None:
        """The money is where it belongs, the accounts are closed, and the ledger knows."""
        for job_id in job_ids:
            await self.buyer.until(job_id, state)
        self.held = {}
        await self.move(CLOSE_AFTER_S + 1)
        for job_id in job_ids:
            await self.on_chain(job_id, "close")

        async def differences() -> tuple[str, ...]:
            await self.buyer.call("account.show", AccountRequest(9), PostingList)
            return (await audit(self.db, self.chain)).differences

        await self.until(differences, lambda found: not found)

    # -- what it ended in

    async def fees(self) -> int:
        return await self.chain.balance(self.fee_owner, Asset.USDC)

    async def figures(self, fees_before: int) -> dict[str, Any]:
        """All that a story moved, on chain and in the ledger."""
        found: dict[str, Any] = {"fees": await self.fees() - fees_before}
        for name, wallet in (("buyer", self.buyer.signer.address), ("node", self.node.signer.address)):
            history = await self.chain.history(wallet, limit=100)
            found[name] = {
                "escrow": await self.chain.balance(wallet, Asset.USDC),
                "wallet": await self.chain.wallet_balance(wallet, Asset.USDC),
                "chain": sorted((entry.kind, entry.units) for entry in history),
                "ledger": sorted((line["kind"], line["units"]) for line in self.lines(wallet)),
            }
            assert sum(line["units"] for line in self.lines(wallet)) == found[name]["escrow"]
        return found

    def standing(self) -> list[Any]:
        """Of the buyer's jobs, for whoever has to find out why they do not end."""

        def work(tx: Tx) -> list[Any]:
            rows = tx.all_as(JobRow, "jobs.of_buyer", buyer=self.buyer.signer.address, limit=9)
            actions = {row.job_id: outbox.of_job(tx, row.job_id) for row in rows}
            return [
                (row.state, row.detail, [(a.kind, a.state, a.last_error) for a in actions[row.job_id]])
                for row in rows
            ]

        return self.db.transact(work)

    def lines(self, wallet: Wallet) -> list[dict[str, Any]]:
        return self.db.transact(lambda tx: tx.rows("ledger.of_account", account=user(wallet), limit=50))


# -- the stories


async def settle(market: Market) -> None:
    """Two jobs are done, one of them with more time than at first, accepted and signed for."""
    jobs = await market.submitted()
    await market.buyer.top_up(jobs[0].job_id, ADDED_S)
    await market.ran(jobs)
    for job in jobs:
        await market.on_chain(job.job_id, "assign")
        await market.buyer.accept(job.job_id, (await market.buyer.show(job.job_id)).statement)
    await market.paid([job.job_id for job in jobs])
    await market.end([job.job_id for job in jobs], JobState.SETTLED)


async def refund(market: Market) -> None:
    """One job is cancelled, one fails; a third, opened at the coordinator's cost, is cancelled before."""
    jobs = await market.submitted()
    sponsored = await market.sponsored()
    await market.buyer.cancel(sponsored)
    await market.buyer.cancel(jobs[0].job_id)
    await market.node.fail(jobs[1], FailureCode.SCRIPT_ERROR)
    await market.end([sponsored, *(job.job_id for job in jobs)], JobState.REFUNDED)


async def claim(market: Market) -> None:
    """The buyer of two jobs falls silent, before one's receipt and before the signature for the other."""
    jobs = await market.submitted()
    await market.ran(jobs)
    await market.on_chain(jobs[0].job_id, "assign")
    await market.on_chain(jobs[1].job_id, "assign")
    await market.buyer.accept(jobs[1].job_id, (await market.buyer.show(jobs[1].job_id)).statement)
    for _ in range(ceil(CLAIM_AFTER_S / RUN_S)):  # no longer at once than a lease bears
        await market.node.beat(*market.held.values())
        await market.move(RUN_S)
    for job in jobs:
        await market.on_chain(job.job_id, "claim")
    await market.waits(jobs[0].job_id, "finalize")
    await market.move(WINDOW_S + 1)
    await market.end([job.job_id for job in jobs], JobState.SETTLED)


TOLD = {"settle": settle, "refund": refund, "claim": claim}


@asynccontextmanager
async def opened(folder: Path, dsn: str, db: Database, localnet: Any) -> AsyncIterator[Market]:
    home = Home(folder / "home")
    home.coordinator.folder.mkdir(parents=True)
    copyfile(localnet.folder / "coordinator.json", home.coordinator.folder / "coordinator.json")
    home.config.write_text(localnet.config.to_toml())
    identities = PeerIdentity.ephemeral(), PeerIdentity.ephemeral()
    async with (
        EscrowClient(localnet.config) as chain,
        Mortal.opened(home.root, dsn) as mortal,
        Peer.open(identities[0], []) as own,
        Peer.open(identities[1], []) as other,
    ):
        fee_owner = (await chain.config()).fee_owner
        await mortal.start()
        yield Market(db, chain, localnet, mortal, identities, (own, other), fee_owner)


async def tell(market: Market, story: str, boundary: Boundary | None) -> dict[str, Any]:
    with trio.move_on_after(STORY_MAX_S):
        fees_before = await market.fees()
        market.mortal.arm(boundary)
        await market.begin()
        await TOLD[story](market)
        return await market.figures(fees_before)
    raise AssertionError(f"{story}, {boundary}: it never ended. {market.standing()}")


@pytest.mark.process
@pytest.mark.parametrize("story", STORIES)
async def test_a_death_at_any_boundary_changes_no_balance(
    tmp_path: Path, dsn: str, db: Database, localnet: Any, story: str
) -> None:
    async with opened(tmp_path, dsn, db, localnet) as market:
        undisturbed = await tell(market, story, None)
        assert market.mortal.ended_with == []
        for deaths, boundary in enumerate(STORIES[story], 1):
            told = await tell(market, story, boundary)
            assert market.mortal.ended_with == [-signal.SIGKILL] * deaths, f"{boundary} was not reached"
            assert told == undisturbed, boundary
