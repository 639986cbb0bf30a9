"""The client's every operation against the real program, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from p2p.chain.accounts import JobStatus
from p2p.chain.errors import ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer
from p2p.chain.settlement import check_settle_message
from p2p.chain.transaction import OutcomeKind, assemble, sign_all, sign_message
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, new_job_id
from p2p.core.money import Asset, split

TERMS, RESULT = b"\x01" * 32, b"\x02" * 32
DEPOSIT = 1_000_003
SOL = 10**9


class Cast:
    """A client and the people, with money in wallets and escrow."""

    def __init__(self, net: Any, chain: EscrowClient, asset: Asset) -> None:
        self.net, self.chain, self.asset = net, chain, asset
        self.coordinator: Signer = net.keys.coordinator
        self.buyer, self.node, self.session = (Signer.generate() for _ in range(3))

    async def funded(self) -> Cast:
        for person in (self.buyer, self.node):
            for asset in Asset:
                await faucet(self.net.url, person.address, asset, 10 * SOL)
        await self.chain.deposit(self.buyer, self.asset, 3 * SOL)
        self.tick()
        expires_at_s = int(self.net.chain.now_s()) + 3600
        await self.chain.authorize(
            self.buyer, self.session.address, self.asset, 2 * SOL, expires_at_s, fund_lamports=SOL // 10
        )
        return self

    def tick(self) -> None:
        """On to a later slot: within one, the order of a history is not defined."""
        with self.net.server.lock:
            self.net.chain.advance(1)

    async def opened(self, run_seconds: int = 600) -> JobId:
        self.tick()
        job_id = new_job_id()
        transaction = await self.chain.prepare_open(
            self.session, self.buyer.address, job_id, self.asset, DEPOSIT, TERMS, run_seconds
        )
        await self.chain.send_and_confirm(transaction)
        return job_id

    async def assigned(self, run_seconds: int = 600) -> JobId:
        job_id = await self.opened(run_seconds)
        self.tick()
        owner, node = self.buyer.address, self.node.address
        await self.chain.send_and_confirm(
            await self.chain.prepare_assign(self.coordinator, owner, job_id, node)
        )
        return job_id


@pytest.fixture(params=list(Asset), ids=lambda asset: asset.value)
async def cast(request: pytest.FixtureRequest, net: Any) -> Any:
    async with EscrowClient(net.config()) as chain:
        yield await Cast(net, chain, request.param).funded()


async def test_the_main_path(cast: Any) -> None:
    chain, asset, buyer = cast.chain, cast.asset, cast.buyer.address
    job_id = await cast.assigned()
    terms = await chain.settle_terms(buyer, job_id, cast.session.address, 600_001, RESULT)
    built = await chain.build_settle(terms)
    check_settle_message(built.message, terms, cast.net.config())
    signatures = {
        signer.address: sign_message(built.message, signer) for signer in (cast.coordinator, cast.session)
    }
    transaction = assemble(built.message, signatures, built.last_valid_height)
    assert (await chain.outcome(transaction.signature, built.last_valid_height)).kind is OutcomeKind.PENDING
    assert await chain.broadcast(transaction.raw) == transaction.signature
    assert (await chain.outcome(transaction.signature, 0)).kind is OutcomeKind.CONFIRMED
    assert await chain.broadcast(transaction.raw) == transaction.signature  # again: nothing happens

    job, parts = await chain.job(buyer, job_id), split(DEPOSIT, 600_001, 1000)
    assert (job.status, job.used_units, job.result_hash) == (JobStatus.SETTLED, 600_001, RESULT)
    assert await chain.balance(cast.node.address, asset) == parts.node_units
    assert await chain.balance(job.fee_owner, asset) == parts.fee_units
    assert await chain.balance(buyer, asset) == 3 * SOL - DEPOSIT + parts.refund_units
    assert await chain.vault(asset) == (await chain.asset(asset)).owed_units == 3 * SOL

    before = await chain.wallet_balance(cast.node.address, asset)
    await chain.withdraw(cast.node, asset, parts.node_units)
    gained = await chain.wallet_balance(cast.node.address, asset) - before
    assert gained == parts.node_units - (5000 if asset is Asset.SOL else 0)


async def test_two_equal_deposits_of_one_moment_are_two(cast: Any) -> None:
    chain, buyer, recent = cast.chain, cast.buyer, await cast.chain.recent()
    deposit = [chain.build.deposit(buyer.address, cast.asset, 500)]
    first, second = (sign_all(deposit, buyer, (), recent) for _ in range(2))
    assert await chain.send_and_confirm(first) != await chain.send_and_confirm(second)
    assert await chain.balance(buyer.address, cast.asset) == 3 * SOL + 2 * 500


async def test_history_is_newest_first_and_says_who_got_what(cast: Any) -> None:
    chain, buyer = cast.chain, cast.buyer.address
    job_id = await cast.assigned()
    cast.tick()
    terms = await chain.settle_terms(buyer, job_id, buyer, 1000, RESULT)
    built = await chain.build_settle(terms)
    signatures = {s.address: sign_message(built.message, s) for s in (cast.coordinator, cast.buyer)}
    await chain.send_and_confirm(assemble(built.message, signatures, built.last_valid_height))
    cast.tick()
    await chain.withdraw(cast.buyer, cast.asset, 7)
    rows = await chain.history(buyer)
    assert [(row.kind, row.units, row.job_id) for row in rows] == [
        ("withdraw", 7, None),
        ("settle", DEPOSIT - 1000, job_id),
        ("open", DEPOSIT, job_id),
        ("authorize", 0, None),
        ("deposit", 3 * SOL, None),
    ]
    assert {row.asset for row in rows} == {cast.asset}
    assert len({row.signature for row in rows}) == 5
    assert all(row.time_s is not None for row in rows)
    node_rows = await chain.history(cast.node.address)
    assert [(row.kind, row.units) for row in node_rows] == [("settle", 900), ("assign", 0)]
    assert [row.kind for row in await chain.history(buyer, limit=2)] == ["withdraw", "settle"]
    assert await chain.history(Signer.generate().address) == []


async def test_cancel_refund_and_reclaim_give_everything_back(cast: Any) -> None:
    chain, buyer = cast.chain, cast.buyer.address
    await chain.cancel(cast.session, buyer, await cast.opened())
    refunded = await cast.assigned()
    await chain.send_and_confirm(await chain.prepare_refund(cast.coordinator, buyer, refunded))
    by_node = await cast.assigned()
    await chain.send_and_confirm(await chain.prepare_refund(cast.node, buyer, by_node))
    late = await cast.assigned(run_seconds=60)
    with pytest.raises(ProgramRefused) as error:
        await chain.reclaim(cast.buyer, buyer, late)
    assert error.value.code == "escrow_too_early"
    with cast.net.server.lock:
        cast.net.chain.advance(61)
    await chain.reclaim(cast.buyer, buyer, late)
    assert await chain.balance(buyer, cast.asset) == 3 * SOL
    assert (await chain.job(buyer, late)).status is JobStatus.RECLAIMED


async def test_sessions_end(cast: Any) -> None:
    chain, buyer = cast.chain, cast.buyer
    session = await chain.session(buyer.address, cast.session.address)
    assert (session.remaining_units, session.owner) == (2 * SOL, buyer.address)
    await chain.revoke(buyer, cast.session.address)
    assert await chain.session(buyer.address, cast.session.address) is None
    with pytest.raises(ProgramRefused):
        await cast.opened()


async def test_a_session_has_a_longest_time(cast: Any) -> None:
    for days, code in ((91, "session_too_long"), (-1, "escrow_session_expired")):
        expires_at_s = int(cast.net.chain.now_s()) + days * 24 * 3600
        with pytest.raises(UserError) as error:
            await cast.chain.authorize(cast.buyer, cast.node.address, cast.asset, 5, expires_at_s)
        assert error.value.code == code


async def test_what_is_not_there(cast: Any) -> None:
    chain, nobody = cast.chain, Signer.generate()
    assert await chain.job(nobody.address, new_job_id()) is None
    assert await chain.balance(nobody.address, cast.asset) == 0
    assert await chain.wallet_balance(nobody.address, cast.asset) == 0
    with pytest.raises(Refused) as error:
        await chain.prepare_cancel(nobody, nobody.address, new_job_id())
    assert error.value.code == "no_such_escrow"
    with pytest.raises(Refused) as error:
        await chain.settle_terms(cast.buyer.address, await cast.opened(), nobody.address, 1, RESULT)
    assert error.value.code == "no_node"
    with pytest.raises(Refused) as error:
        await chain.settle_terms(
            cast.buyer.address, await cast.assigned(), nobody.address, DEPOSIT + 1, RESULT
        )
    assert error.value.code == "used_too_much"


async def test_refusals_come_in_words(cast: Any) -> None:
    chain, poor = cast.chain, Signer.generate()
    with pytest.raises(ProgramRefused) as error:
        await chain.withdraw(cast.buyer, cast.asset, 10**15)
    assert error.value.code == "escrow_insufficient_balance"
    assert len(error.value.lines()) == 3
    with pytest.raises(ProgramRefused) as error:
        await chain.deposit(poor, cast.asset, 5)
    assert error.value.code == "transaction_refused"
    for units in (0, -1, 2**64):
        with pytest.raises(UserError):
            await chain.deposit(cast.buyer, cast.asset, units)


async def test_a_closed_job_says_so(cast: Any) -> None:
    chain, buyer = cast.chain, cast.buyer.address
    job_id = await cast.opened()
    await chain.cancel(cast.buyer, buyer, job_id)
    close = chain.build.close(buyer, job_id, cast.session.address)
    await chain.send_and_confirm(await chain.prepare([close], cast.buyer))
    with pytest.raises(Refused) as error:
        await chain.job(buyer, job_id)
    assert error.value.code == "job_closed"


async def test_a_transaction_that_waited_too_long_is_expired(cast: Any) -> None:
    chain = cast.chain
    transaction = await chain.prepare_deposit(cast.buyer, cast.asset, 5)
    with cast.net.server.lock:
        cast.net.chain.advance(151 * 0.4)
    outcome = await chain.outcome(transaction.signature, transaction.last_valid_height)
    assert outcome.kind is OutcomeKind.EXPIRED
    with pytest.raises(ProgramRefused) as refusal:
        await chain.broadcast(transaction.raw)
    assert refusal.value.detail == "BlockhashNotFound"


async def test_nobody_answers(net: Any) -> None:
    async with EscrowClient(replace(net.config(), rpc_urls=("http://127.0.0.1:9",))) as chain:
        with pytest.raises(EnvironmentFailure) as error:
            await chain.config()
    assert error.value.code == "chain_unreachable"
    both = replace(net.config(), rpc_urls=("http://127.0.0.1:9", net.url))
    async with EscrowClient(both) as chain:
        assert (await chain.config()).coordinator == net.keys.coordinator.address


async def test_another_program_id_is_said_to_be_wrong(net: Any) -> None:
    async with EscrowClient(replace(net.config(), program_id=Signer.generate().address)) as chain:
        for read in (chain.config(), chain.asset(Asset.SOL)):
            with pytest.raises(EnvironmentFailure) as error:
                await read
            assert error.value.code == "chain_not_set_up"
            assert not error.value.retryable
