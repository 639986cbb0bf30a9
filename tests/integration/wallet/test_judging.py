"""The arbiter decides a dispute on the page, with the wallet that holds the office."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from p2p.chain import administration
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.browser import answer_with
from p2p.chain.browser.judging import resolve_request
from p2p.chain.deploy import Operator
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.instructions import Role
from p2p.chain.keys import Signer
from p2p.core.ids import Wallet, new_job_id
from p2p.core.money import Asset, split

Person = Any  # of conftest.py
JUDGE = Signer(Keypair.from_seed(bytes([31]) * 32))
DEPOSIT, CLAIMED, DECIDED = 1_000_000, 800_000, 500_000


@pytest.fixture
async def disputed(chain: EscrowClient, chain_folder: Path) -> OnChainJob:
    """A job whose claim is disputed, and whose arbiter is the wallet in the browser."""
    keys, url = Operator.in_folder(chain_folder), chain.chain.rpc_urls[0]
    buyer, node = Signer.generate(), Signer.generate().address
    for person in (JUDGE, buyer):
        await faucet(url, person.address, Asset.SOL, 10**9)
    proposal = await administration.propose(chain, Role.ARBITER, JUDGE.address)
    await answer_with(keys.arbiter, [proposal.request])
    await answer_with(JUDGE, [(await administration.accept(chain, Role.ARBITER)).request])
    await chain.deposit(buyer, Asset.SOL, DEPOSIT)
    owner, job_id = buyer.address, new_job_id()
    opening = await chain.prepare_open(buyer, owner, job_id, Asset.SOL, DEPOSIT, b"\x01" * 32, 600)
    await chain.send_and_confirm(opening)
    for step in (
        chain.prepare_assign(keys.coordinator, owner, job_id, node),
        chain.prepare_claim(keys.coordinator, owner, job_id, CLAIMED, b"\x02" * 32),
        chain.prepare_dispute(buyer, owner, job_id),
    ):
        await chain.send_and_confirm(await step)
    return await chain.existing_job(owner, job_id)


async def test_the_arbiter_decides_on_the_page(
    tab: Person, chain: EscrowClient, disputed: OnChainJob
) -> None:
    job = disputed
    await tab.install(seeds=[31], deny=["signTransaction"])

    async def no_then_yes() -> None:
        await tab.see("pay 0.0005 SOL of the 0.0008 SOL claimed")
        await tab.pick()
        shown = await tab.see("Decide a dispute")
        assert f"{DECIDED:,}" in shown  # out of the very bytes that are signed
        await tab.agree()
        await tab.see("declined")
        assert (await chain.existing_job(job.owner, job.job_id)).status is JobStatus.DISPUTED
        await tab.agree()
        await tab.see("The dispute is decided")

    await tab.answer(resolve_request(chain, job, DECIDED), no_then_yes)
    ended = await chain.existing_job(job.owner, job.job_id)
    assert (ended.status, ended.used_units) == (JobStatus.RESOLVED, DECIDED)
    parts = split(DEPOSIT, DECIDED, ended.fee_bps)
    assert await chain.balance(Wallet(ended.node or ""), Asset.SOL) == parts.node_units
    assert await chain.balance(job.owner, Asset.SOL) == parts.refund_units
