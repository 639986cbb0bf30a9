"""Claim, dispute, resolve, finalize, close and top-up, by the client, against the real program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from p2p.chain.accounts import JOB_BYTES, JobStatus, OnChainJob, rent_lamports
from p2p.chain.errors import ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.instructions import Settings
from p2p.chain.keys import Signer
from p2p.chain.past import PastJob
from p2p.core.errors import Bug, Refused, UserError
from p2p.core.ids import JobId, Wallet, new_job_id
from p2p.core.limits import GROUP_ACTIONS_MAX
from p2p.core.money import Asset, split

RESULT = b"\x02" * 32
HELD, DEPOSIT, USED = 10_000_000, 1_000_003, 600_001
CLOSED_BYTES = 2


class Case:
    """A buyer with money in the escrow, and a node."""

    def __init__(self, net: Any, chain: EscrowClient) -> None:
        self.net, self.chain = net, chain
        self.buyer, self.node = Signer.generate(), Signer.generate()

    @property
    def owner(self) -> Wallet:
        return self.buyer.address

    async def send(self, transaction: Any) -> str:
        return await self.chain.send_and_confirm(transaction)

    async def assigned(self, run_s: int = 7200) -> JobId:
        job_id = new_job_id()
        await self.send(
            await self.chain.prepare_open(
                self.buyer, self.owner, job_id, Asset.USDC, DEPOSIT, b"\x01" * 32, run_s
            )
        )
        coordinator = self.net.keys.coordinator
        await self.send(await self.chain.prepare_assign(coordinator, self.owner, job_id, self.node.address))
        return job_id

    async def claimed(self) -> JobId:
        job_id = await self.assigned()
        coordinator = self.net.keys.coordinator
        await self.send(await self.chain.prepare_claim(coordinator, self.owner, job_id, USED, RESULT))
        return job_id

    async def status(self, job_id: JobId) -> JobStatus:
        return (await self.chain.existing_job(self.owner, job_id)).status

    async def set_config(self, settings: Settings) -> None:
        admin = self.net.keys.admin
        step = self.chain.build.set_config(admin.address, settings)
        await self.send(await self.chain.prepare([step], admin))

    def pass_window(self) -> None:
        with self.net.server.lock:
            self.net.chain.advance(24 * 3600 + 1)


@pytest.fixture
async def case(net: Any) -> AsyncIterator[Case]:
    async with EscrowClient(net.config()) as chain:
        made = Case(net, chain)
        await faucet(net.url, made.owner, Asset.SOL, 10**9)
        await faucet(net.url, made.owner, Asset.USDC, HELD)
        await chain.deposit(made.buyer, Asset.USDC, HELD)
        yield made


async def test_a_claim_is_paid_after_its_window_and_not_before(case: Case) -> None:
    job_id = await case.claimed()
    anyone = case.net.keys.admin
    with pytest.raises(ProgramRefused) as error:
        await case.send(await case.chain.prepare_finalize(anyone, case.owner, job_id))
    assert error.value.code == "escrow_too_early"
    case.pass_window()
    await case.send(await case.chain.prepare_finalize(anyone, case.owner, job_id))
    job, parts = await case.chain.existing_job(case.owner, job_id), split(DEPOSIT, USED, 1000)
    assert (job.status, job.used_units, job.result_hash) == (JobStatus.FINALIZED, USED, RESULT)
    assert await case.chain.balance(case.node.address, Asset.USDC) == parts.node_units
    assert await case.chain.balance(case.owner, Asset.USDC) == HELD - USED


@pytest.mark.parametrize("used", [0, 250_000, USED])
async def test_a_disputed_claim_is_the_arbiters(case: Case, used: int) -> None:
    job_id = await case.claimed()
    await case.send(await case.chain.prepare_dispute(case.buyer, case.owner, job_id))
    assert await case.status(job_id) is JobStatus.DISPUTED
    case.pass_window()
    with pytest.raises(ProgramRefused) as error:
        await case.send(await case.chain.prepare_finalize(case.buyer, case.owner, job_id))
    assert error.value.code == "escrow_wrong_state"
    arbiter = case.net.keys.arbiter
    await faucet(case.net.url, arbiter.address, Asset.SOL, 10**9)
    with pytest.raises(Refused) as refusal:
        await case.chain.prepare_resolve(arbiter, case.owner, job_id, USED + 1)
    assert refusal.value.code == "used_too_much"
    await case.send(await case.chain.prepare_resolve(arbiter, case.owner, job_id, used))
    assert await case.status(job_id) is JobStatus.RESOLVED
    assert await case.chain.balance(case.node.address, Asset.USDC) == split(DEPOSIT, used, 1000).node_units


async def test_closing_gives_the_rent_back(case: Case) -> None:
    jobs = [await case.assigned() for _ in range(GROUP_ACTIONS_MAX)]
    coordinator = case.net.keys.coordinator
    with pytest.raises(ProgramRefused) as error:
        await case.send(
            await case.chain.prepare_close(coordinator, [await case.chain.existing_job(case.owner, jobs[0])])
        )
    assert error.value.code == "escrow_wrong_state"
    for job_id in jobs:
        await case.send(await case.chain.prepare_refund(coordinator, case.owner, job_id))
    ended = [await case.chain.existing_job(case.owner, job_id) for job_id in jobs]
    before = await case.chain.wallet_balance(case.owner, Asset.SOL)
    await case.send(await case.chain.prepare_close(coordinator, ended))
    gained = await case.chain.wallet_balance(case.owner, Asset.SOL) - before
    assert gained == GROUP_ACTIONS_MAX * (rent_lamports(JOB_BYTES) - rent_lamports(CLOSED_BYTES))
    for job_id in jobs:
        with pytest.raises(Refused) as refusal:
            await case.chain.job(case.owner, job_id)
        assert refusal.value.code == "job_closed"
    with pytest.raises(Bug):
        await case.chain.prepare_close(coordinator, [])


async def test_top_up_before_a_claim_only(case: Case) -> None:
    job_id = await case.assigned()
    await case.send(await case.chain.prepare_top_up(case.buyer, case.owner, job_id, 7))
    assert (await case.chain.existing_job(case.owner, job_id)).deposit_units == DEPOSIT + 7
    coordinator = case.net.keys.coordinator
    with pytest.raises(Refused):
        await case.chain.prepare_claim(coordinator, case.owner, job_id, DEPOSIT + 8, RESULT)
    await case.send(await case.chain.prepare_claim(coordinator, case.owner, job_id, DEPOSIT + 7, RESULT))
    with pytest.raises(ProgramRefused) as error:
        await case.send(await case.chain.prepare_top_up(case.buyer, case.owner, job_id, 8))
    assert error.value.code == "escrow_wrong_state"
    with pytest.raises(UserError):
        await case.chain.prepare_top_up(case.buyer, case.owner, job_id, 0)


async def test_a_claim_too_late_is_refused(case: Case) -> None:
    job_id = await case.assigned(run_s=60)
    with case.net.server.lock:
        case.net.chain.advance(60)
    coordinator = case.net.keys.coordinator
    with pytest.raises(ProgramRefused) as error:
        await case.send(await case.chain.prepare_claim(coordinator, case.owner, job_id, USED, RESULT))
    assert error.value.code == "escrow_too_late"


async def test_without_a_node_there_is_nobody_to_pay(case: Case) -> None:
    job_id = new_job_id()
    await case.send(
        await case.chain.prepare_open(case.buyer, case.owner, job_id, Asset.USDC, 9, b"\x01" * 32, 60)
    )
    for prepare in (
        case.chain.prepare_finalize(case.buyer, case.owner, job_id),
        case.chain.prepare_resolve(case.buyer, case.owner, job_id, 0),
    ):
        with pytest.raises(Refused) as refusal:
            await prepare
        assert refusal.value.code == "no_node"


async def test_the_chains_time_goes_on_without_transactions(case: Case) -> None:
    before_s = await case.chain.chain_time_s()
    case.pass_window()
    assert await case.chain.chain_time_s() >= before_s + 24 * 3600


async def test_a_closed_jobs_share_is_that_of_the_fee_it_was_opened_under(case: Case) -> None:
    config = await case.chain.config()
    before = Settings(config.fee_owner, config.fee_bps, config.review_window_s, config.longest_job_s)
    jobs = []
    for fee_bps in (500, 2000):
        await case.set_config(replace(before, fee_bps=fee_bps))
        case.pass_window()
        job_id = await case.claimed()
        case.pass_window()
        await case.send(await case.chain.prepare_finalize(case.buyer, case.owner, job_id))
        jobs.append(job_id)
    case.pass_window()
    await case.set_config(before)
    known = await case.chain.history(case.node.address)
    for job_id in jobs:
        await close(case, job_id)
    after = [entry for entry in await case.chain.history(case.node.address) if entry.kind == "finalize"]
    assert after == [entry for entry in known if entry.kind == "finalize"]
    assert [entry.units for entry in after] == [USED - USED * 2000 // 10_000, USED - USED * 500 // 10_000]


async def close(case: Case, job_id: JobId) -> None:
    job = await case.chain.existing_job(case.owner, job_id)
    await case.send(await case.chain.prepare_close(case.net.keys.coordinator, [job]))


async def test_what_became_of_a_closed_job_is_still_known(case: Case) -> None:
    paid = await case.claimed()
    case.pass_window()
    await case.send(await case.chain.prepare_finalize(case.buyer, case.owner, paid))
    case.pass_window()  # on to another slot: within one, the order of a history is not defined
    returned = await case.assigned()
    await case.send(await case.chain.prepare_top_up(case.buyer, case.owner, returned, 5))
    case.pass_window()
    await case.chain.reclaim(case.buyer, case.owner, returned)
    people = (case.owner, case.node.address, case.net.keys.fee_owner.address)
    before = [await case.chain.history(person) for person in people]
    for job_id in (paid, returned):
        assert isinstance(await case.chain.seen_job(case.owner, job_id), OnChainJob)
        await close(case, job_id)
    job = await case.chain.seen_job(case.owner, paid)
    assert isinstance(job, PastJob)
    assert (job.status, job.used_units, job.deposit_units) == (JobStatus.FINALIZED, USED, DEPOSIT)
    assert (job.result_hash, job.asset, job.job_id) == (RESULT, Asset.USDC, paid)
    job = await case.chain.seen_job(case.owner, returned)
    assert isinstance(job, PastJob)
    assert (job.status, job.used_units, job.deposit_units) == (JobStatus.RECLAIMED, 0, DEPOSIT + 5)
    after = [await case.chain.history(person) for person in people]
    kept = [[entry for entry in entries if entry.kind != "close"] for entries in after]
    assert kept == before
    kinds = [(entry.kind, entry.units) for entry in before[0] if entry.kind in ("finalize", "reclaim")]
    assert kinds == [("reclaim", DEPOSIT + 5), ("finalize", DEPOSIT - USED)]
    assert await case.chain.seen_job(case.owner, new_job_id()) is None
