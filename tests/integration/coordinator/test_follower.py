"""Whatever moves money on chain is posted once, whoever does it, and ledger and chain agree to the unit."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from solders.instruction import Instruction
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from coordinator.domain.ledger import Transfer, escrow, user
from coordinator.service.account_history import evidence_of
from coordinator.service.audit import audit
from coordinator.service.follower import Follower
from coordinator.store import ledger
from p2p.chain.deploy import Operator
from p2p.chain.faucet import faucet
from p2p.chain.instructions import Settings
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.rpc import RpcError
from p2p.chain.transaction import SignedTransaction
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, Wallet, new_job_id
from p2p.core.messages.jobs import AccountRequest
from p2p.core.money import Asset

USDC = Asset.USDC
FUNDS = 5_000_000
HASH = bytes(32)


class Market:
    """A buyer, a node and the operator's keys on a chain of their own; nobody runs a coordinator."""

    def __init__(self, world: Any, buyer: Signer, node: Signer) -> None:
        self.world, self.buyer, self.node = world, buyer, node
        self.keys = Operator.in_folder(world.localnet.folder)
        self.chain, self.build = world.chain, world.chain.build

    @property
    def fee_owner(self) -> Wallet:
        return self.keys.fee_owner.address

    async def send(self, steps: Instruction | Sequence[Instruction], payer: Signer, *more: Signer) -> str:
        listed = [steps] if isinstance(steps, Instruction) else steps
        return str(await self.chain.send_and_confirm(await self.chain.prepare(listed, payer, more)))

    def opening(self, units: int, job_id: JobId, owner: Signer | None = None) -> Instruction:
        who = (owner or self.buyer).address
        return self.build.open(who, who, job_id, USDC, deposit_units=units, terms_hash=HASH, run_s=600)

    async def opened(self, units: int = 1000, *, assigned: bool = True) -> JobId:
        job_id = new_job_id()
        await self.send(self.opening(units, job_id), self.buyer)
        if assigned:
            await self.send(self.assigning(job_id), self.keys.coordinator)
        return job_id

    def assigning(self, job_id: JobId) -> Instruction:
        return self.build.assign(
            self.keys.coordinator.address, self.buyer.address, job_id, USDC, self.node.address, self.fee_owner
        )

    def settling(self, job_id: JobId, used: int) -> Instruction:
        return self.build.settle(
            self.keys.coordinator.address,
            self.buyer.address,
            self.buyer.address,
            job_id,
            USDC,
            node=self.node.address,
            fee_owner=self.fee_owner,
            used_units=used,
            result_hash=HASH,
        )

    def claiming(self, job_id: JobId, used: int) -> Instruction:
        return self.build.claim(self.keys.coordinator.address, self.buyer.address, job_id, used, HASH)

    async def check(self) -> None:
        """Followed once or twice, everything is posted once and agrees."""
        follower = self.world.coordinator.follower
        await follower.follow()
        assert await follower.follow() == 0
        found = await audit(self.world.db, self.chain)
        assert found.differences == []
        assert [entry.state for entry in found.in_flight] == []
        assert self.world.query("ledger.unposted", limit=10) == []

    def lines(self, account: str) -> list[tuple[str, int]]:
        """Oldest first."""
        rows = self.world.query("ledger.of_account", account=account, limit=50)
        assert all(row["signature"] for row in rows)
        return [(row["kind"], row["units"]) for row in reversed(rows)]

    def escrow_lines(self, job_id: JobId) -> list[tuple[str, int]]:
        return self.lines(escrow(self.buyer.address, job_id))


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """One whose clock and settings may be moved."""
    with new_localnet(tmp_path_factory.mktemp("followed")) as opened:
        yield opened


@pytest.fixture
async def market(still_world: Any) -> Market:
    world = still_world
    found = Market(world, await world.localnet.funded(USDC, FUNDS), Signer.generate())
    for person in (found.node, found.keys.arbiter, found.keys.fee_owner):
        await faucet(world.localnet.config.rpc_urls[0], person.address, Asset.SOL, 10**9)
    return found


async def passes(market: Market, seconds: int) -> None:
    await market.chain.ask("cyxwizAdvanceClock", seconds)


async def test_deposits_and_withdrawals_made_without_us(market: Market) -> None:
    buyer = market.buyer
    await market.chain.withdraw(buyer, USDC, 1_000_000)
    await market.chain.deposit(buyer, USDC, 400_000)
    await market.chain.deposit(buyer, Asset.SOL, 7)
    await market.check()
    assert market.lines(user(buyer.address)) == [
        ("deposit", FUNDS),
        ("withdraw", -1_000_000),
        ("deposit", 400_000),
        ("deposit", 7),
    ]


async def test_a_top_up_goes_into_the_escrow_and_the_verdict_divides_it(market: Market) -> None:
    job_id, owner = await market.opened(1000), market.buyer.address
    await market.send(market.build.top_up(owner, owner, job_id, USDC, 500), market.buyer)
    await market.send(market.settling(job_id, 700), market.buyer, market.keys.coordinator)
    await market.check()
    assert market.escrow_lines(job_id) == [("open", 1000), ("top_up", 500), ("settle", -1500)]
    assert market.lines(user(market.node.address)) == [("settle", 630)]
    assert market.lines(user(owner))[-1] == ("settle", 800)


@pytest.mark.parametrize("way", ["cancel", "refund", "reclaim"])
async def test_an_escrow_that_is_no_job_of_ours_is_given_back(market: Market, way: str) -> None:
    owner, node = market.buyer.address, market.node
    job_id = await market.opened(assigned=way != "cancel")
    if way == "cancel":
        await market.send(market.build.cancel(owner, owner, job_id, USDC), market.buyer)
    elif way == "refund":
        await market.send(market.build.refund(node.address, owner, job_id, USDC), node)
    else:
        await passes(market, 700)
        await market.send(market.build.reclaim(owner, job_id, USDC), node)
    await market.check()
    assert market.escrow_lines(job_id) == [("open", 1000), ("refund", -1000)]


async def test_a_claim_is_paid_by_whoever_finalizes_it(market: Market) -> None:
    job_id, owner = await market.opened(), market.buyer.address
    await market.send(market.claiming(job_id, 600), market.keys.coordinator)
    await passes(market, 24 * 3600 + 1)
    step = market.build.finalize(owner, job_id, USDC, market.node.address, market.fee_owner)
    await market.send(step, market.node)
    await market.check()
    assert market.lines(user(market.node.address)) == [("settle", 540)]


async def test_the_arbiter_decides_a_disputed_claim(market: Market) -> None:
    job_id, owner, arbiter = await market.opened(), market.buyer.address, market.keys.arbiter
    await market.send(market.claiming(job_id, 600), market.keys.coordinator)
    await market.send(market.build.dispute(owner, owner, job_id), market.buyer)
    payees: dict[str, Any] = {"node": market.node.address, "fee_owner": market.fee_owner}
    step = market.build.resolve(arbiter.address, owner, job_id, USDC, **payees, used_units=100)
    await market.send(step, arbiter)
    await market.check()
    assert market.lines(user(market.node.address)) == [("settle", 90)]


async def test_one_transaction_with_many_instructions_has_as_many_postings(market: Market) -> None:
    jobs = [await market.opened() for _ in range(3)]
    deposit = market.build.deposit(market.buyer.address, Asset.SOL, 1)
    steps = [deposit, *(market.settling(job_id, 100) for job_id in jobs)]
    signature = await market.send(steps, market.buyer, market.keys.coordinator)
    await market.check()
    ids = {row["transfer_id"] for row in market.world.query("ledger.of_signatures", signatures=[signature])}
    assert ids == {f"deposit:{signature}", *(f"settle:{signature}{rest}" for rest in ("", ":2", ":3"))}
    assert market.lines(user(market.node.address)) == [("settle", 90)] * 3


async def test_a_job_keeps_the_fee_and_the_fee_owner_of_its_opening(market: Market) -> None:
    """Even if its account was closed before the ledger heard of it."""
    old, new = await market.chain.config(), Signer.generate()
    job_id = await market.opened()
    settings = Settings(new.address, 2000, old.review_window_s, old.longest_job_s)
    await market.send(market.build.set_config(market.keys.admin.address, settings), market.keys.admin)
    await market.send(market.settling(job_id, 1000), market.buyer, market.keys.coordinator)
    closing = market.build.close(market.buyer.address, job_id, market.buyer.address)
    await market.send(closing, market.node)
    before = Settings(old.fee_owner, old.fee_bps, old.review_window_s, old.longest_job_s)
    await market.send(market.build.set_config(market.keys.admin.address, before), market.keys.admin)
    await market.check()
    assert market.lines(user(market.node.address)) == [("settle", 900)]
    assert market.lines(user(new.address)) == []


async def test_two_people_who_chose_the_same_job_id(market: Market) -> None:
    other = await market.world.localnet.funded(USDC, FUNDS)
    job_id = new_job_id()
    for who in (other, market.buyer):
        await market.send(market.opening(1000, job_id, who), who)
    back = market.build.cancel(other.address, other.address, job_id, USDC)
    await market.send(back, other)
    await market.check()
    assert market.escrow_lines(job_id) == [("open", 1000)]
    assert market.lines(escrow(other.address, job_id)) == [("open", 1000), ("refund", -1000)]


async def test_a_versioned_transaction_is_read_like_any_other(market: Market) -> None:
    recent = await market.chain.recent()
    deposit = market.build.deposit(market.buyer.address, Asset.SOL, 9)
    message = MessageV0.try_compile(to_pubkey(market.buyer.address), [deposit], [], recent.blockhash)
    signature = market.buyer.sign(bytes([0x80]) + bytes(message))
    raw = bytes([1]) + signature + bytes([0x80]) + bytes(message)
    made = SignedTransaction(
        raw, str(VersionedTransaction.from_bytes(raw).signatures[0]), recent.last_valid_height
    )
    await market.chain.send_and_confirm(made)
    await market.check()
    assert market.lines(user(market.buyer.address))[-1] == ("deposit", 9)


async def test_what_failed_on_chain_moved_nothing(market: Market) -> None:
    job_id = await market.opened(assigned=False)
    first = market.build.cancel(market.buyer.address, market.buyer.address, job_id, USDC)
    made = await market.chain.prepare([first, first], market.buyer)
    options = {"encoding": "base64", "skipPreflight": True}
    await market.chain.ask("sendTransaction", base64.b64encode(made.raw).decode(), options)
    await market.check()
    assert market.escrow_lines(job_id) == [("open", 1000)]


async def test_several_coordinators_follow_one_history_at_once(market: Market) -> None:
    for _ in range(3):
        job_id = await market.opened()
        await market.send(market.settling(job_id, 10), market.buyer, market.keys.coordinator)
    followers = [Follower(market.world.db, market.chain, market.world.clock) for _ in range(4)]
    posted: list[int] = []

    async def follow(follower: Follower) -> None:
        posted.append(await follower.follow())

    async with trio.open_nursery() as nursery:
        for follower in followers:
            nursery.start_soon(follow, follower)
    await market.check()
    kinds = Counter(kind for kind, _ in market.lines(user(market.buyer.address)))
    assert kinds == {"deposit": 1, "open": 3, "settle": 3}
    assert sum(posted) == 7


async def test_a_history_of_many_pages_is_followed_from_its_oldest_on(
    market: Market, monkeypatch: Any
) -> None:
    monkeypatch.setattr("coordinator.service.follower.LEDGER_PAGE_MAX", 2)
    for _ in range(2):
        job_id = await market.opened()
        await market.send(market.settling(job_id, 10), market.buyer, market.keys.coordinator)
    await market.check()


async def test_a_node_that_lists_what_it_does_not_have_loses_nothing(
    market: Market, monkeypatch: Any
) -> None:
    """Behind one address there may be several, of which one is behind: the others are asked next time."""
    follower = market.world.coordinator.follower
    await follower.follow()
    head = market.world.db.transact(ledger.head)
    await market.chain.deposit(market.buyer, Asset.SOL, 3)
    call = market.chain._rpc.call

    async def behind(method: str, *params: object) -> Any:
        return None if method == "getTransaction" else await call(method, *params)

    with monkeypatch.context() as patch:
        patch.setattr(market.chain._rpc, "call", behind)
        with pytest.raises(EnvironmentFailure):
            await follower.follow()
    assert market.world.db.transact(ledger.head) == head
    await market.check()
    assert market.lines(user(market.buyer.address))[-1] == ("deposit", 3)


async def test_one_transaction_that_cannot_be_posted_holds_up_no_other(
    market: Market, monkeypatch: Any
) -> None:
    follower = market.world.coordinator.follower
    await follower.follow()
    bad = await market.chain.deposit(market.buyer, Asset.SOL, 3)
    good = await market.chain.deposit(market.buyer, Asset.SOL, 4)
    post = ledger.post

    def broken(tx: Any, transfers: Sequence[Transfer]) -> int:
        if any(transfer.signature == bad for transfer in transfers):
            raise ValueError("no room for it")
        return post(tx, transfers)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "post", broken)
        assert await follower.follow() == 1
    assert market.lines(user(market.buyer.address))[-1] == ("deposit", 4)
    (left,) = market.world.query("ledger.unposted", limit=9)
    assert left["signature"] == bad != good
    assert "no room for it" in left["reason"]
    assert await follower.follow() == 1
    await market.check()


async def test_a_node_that_is_behind_leaves_out_no_page(market: Market, monkeypatch: Any) -> None:
    """It would say that nothing is older than a transaction that it does not know."""
    monkeypatch.setattr("coordinator.service.follower.LEDGER_PAGE_MAX", 2)
    follower = market.world.coordinator.follower
    await follower.follow()
    for units in (3, 4, 5):
        await market.chain.deposit(market.buyer, Asset.SOL, units)
    call = market.chain._rpc.call

    async def behind(method: str, *params: Any) -> Any:
        options = params[1] if method == "getSignaturesForAddress" else {}
        if "before" not in options:
            return await call(method, *params)
        if options.get("minContextSlot", 0):
            raise RpcError(-32016, "Minimum context slot has not been reached", None)
        return []

    head = market.world.db.transact(ledger.head)
    with monkeypatch.context() as patch:
        patch.setattr(market.chain._rpc, "call", behind)
        with pytest.raises(EnvironmentFailure):
            await follower.follow()
    assert market.world.db.transact(ledger.head) == head
    await market.check()


async def test_a_claim_is_no_transaction_that_the_ledger_lacks(market: Market) -> None:
    job_id = await market.opened()
    await market.send(market.claiming(job_id, 600), market.keys.coordinator)
    follower = market.world.coordinator.follower
    await follower.follow()
    account = escrow(market.buyer.address, job_id), USDC
    evidence = await evidence_of(market.world.db, follower.history, account)
    assert (evidence.missing, evidence.unknown, evidence.signature()) == ([], [], "")


async def test_whoever_asks_for_their_account_does_not_wait_for_all_of_a_long_history(
    market: Market, monkeypatch: Any
) -> None:
    monkeypatch.setattr("coordinator.service.accounts.LEDGER_WAIT_S", 0.01)
    coordinator = market.world.coordinator
    await coordinator.follower.follow()
    login = SimpleNamespace(wallet=market.buyer.address)

    async def reads(task_status: trio.TaskStatus[None]) -> None:
        async with coordinator.follower._lock:
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(reads)
        found = await coordinator.accounts.show(login, AccountRequest(limit=5))
        nursery.cancel_scope.cancel()
    assert [posting.units for posting in found.postings] == [FUNDS]
