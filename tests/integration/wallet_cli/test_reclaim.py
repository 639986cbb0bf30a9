"""A deposit comes back to its buyer with nothing but the wallet and the chain: no coordinator, no agent."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.core.ids import JobId, new_job_id
from p2p.core.money import Asset

pytestmark = pytest.mark.process
Person, Station = Any, Any  # of conftest.py
DEPOSIT, RUN_S = 700_000, 3600
NOBODY = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"


@pytest.fixture
def buyer(station: Station) -> Person:
    """Whose coordinator never comes back."""
    return station.person(address=NOBODY)


async def opened(chain: EscrowClient, buyer: Person) -> JobId:
    if await chain.balance(buyer.signer.address, Asset.USDC) < DEPOSIT:
        await chain.deposit(buyer.signer, Asset.USDC, DEPOSIT)
    job_id = new_job_id()
    await chain.send_and_confirm(
        await chain.prepare_open(
            buyer.signer, buyer.signer.address, job_id, Asset.USDC, DEPOSIT, bytes(32), RUN_S
        )
    )
    return job_id


async def assigned(chain: EscrowClient, station: Station, buyer: Person) -> JobId:
    job_id = await opened(chain, buyer)
    node, coordinator = Signer.generate().address, station.localnet.keys.coordinator
    await chain.send_and_confirm(await chain.prepare_assign(coordinator, buyer.signer.address, job_id, node))
    return job_id


def reclaim(buyer: Person, job: str, *options: str) -> Any:
    return buyer("wallet", "reclaim", job, "--keypair", str(buyer.keypair_file), *options)


async def test_a_job_that_waits_is_taken_back_at_once(chain: EscrowClient, buyer: Person) -> None:
    job_id = await opened(chain, buyer)
    assert await chain.balance(buyer.signer.address, Asset.USDC) == 0
    unasked = reclaim(buyer, job_id)
    assert (unasked.code, "no terminal to ask for a yes" in unasked.stderr) == (2, True)
    done = reclaim(buyer, job_id, "--yes")
    assert done.code == 0, done.stderr
    assert "0.700000 USDC are in your escrow balance again." in done.stdout
    assert await chain.balance(buyer.signer.address, Asset.USDC) == DEPOSIT
    assert not buyer.home.engine.lock.exists()


async def test_a_job_that_was_assigned_comes_back_after_its_deadline(
    chain: EscrowClient, station: Station, buyer: Person
) -> None:
    job_id = await assigned(chain, station, buyer)
    early = reclaim(buyer, job_id, "--yes")
    assert early.code == 4
    what, meaning, hint = early.stderr.strip().splitlines()
    assert f"Job {job_id[:8]} runs until its deadline at 2" in what
    assert " min " in what
    assert "0.700000 USDC stay locked for the node. No money moved." in meaning
    assert f"cyxwiz wallet reclaim {job_id[:8]}" in hint
    await chain.ask("cyxwizAdvanceClock", RUN_S + 1)
    found = reclaim(buyer, job_id[:6], "--yes", "--json").json
    assert (found["job_id"], found["units"], found["asset"]) == (job_id, DEPOSIT, "usdc")
    assert await chain.balance(buyer.signer.address, Asset.USDC) == DEPOSIT
    again = reclaim(buyer, job_id, "--yes")
    assert again.code == 4
    assert "has ended on the chain: reclaimed." in again.stderr
    assert await chain.balance(buyer.signer.address, Asset.USDC) == DEPOSIT
    assert not buyer.home.engine.lock.exists()


async def test_a_claim_stands_against_it(chain: EscrowClient, station: Station, buyer: Person) -> None:
    job_id = await assigned(chain, station, buyer)
    coordinator = station.localnet.keys.coordinator
    owner = buyer.signer.address
    claim = await chain.prepare_claim(coordinator, owner, job_id, 300_000, bytes(32))
    await chain.send_and_confirm(claim)
    done = reclaim(buyer, job_id, "--yes")
    assert done.code == 4
    assert "A payment for job" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 3


async def test_what_is_no_job_of_the_wallet_is_refused(
    chain: EscrowClient, station: Station, buyer: Person
) -> None:
    job_id = await opened(chain, buyer)
    stranger = station.localnet.keys.arbiter.address
    for job, code, words in (
        ("f" * 32, 4, "No escrow was opened for job"),
        ("ffff", 2, "is not a job of the wallet"),
        ("abc", 2, "is not a job of the wallet"),
        ("../x", 2, "is not a job of the wallet"),
    ):
        done = reclaim(buyer, job, "--yes")
        assert (done.code, words in done.stderr) == (code, True), done.stderr
    assert await chain.job(buyer.signer.address, job_id) is not None
    assert await chain.jobs_of(stranger) == []


async def test_two_jobs_that_begin_alike_have_to_be_told_apart(chain: EscrowClient, buyer: Person) -> None:
    await chain.deposit(buyer.signer, Asset.USDC, 10)
    for end in ("0", "1"):
        opening = await chain.prepare_open(
            buyer.signer, buyer.signer.address, JobId("ab" * 15 + "0" + end), Asset.USDC, 5, bytes(32), RUN_S
        )
        await chain.send_and_confirm(opening)
    done = reclaim(buyer, "abab", "--yes")
    assert (done.code, "fits several jobs of the wallet" in done.stderr) == (2, True)
    assert reclaim(buyer, "ab" * 15 + "01", "--yes").code == 0
