"""Disputed claims: what each side says, what the node proves, what the arbiter decides; paid once."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from p2p.chain.accounts import JobStatus
from p2p.chain.deploy import Operator
from p2p.chain.keys import Signer
from p2p.chain.transaction import sign_message
from p2p.core.errors import ExitCode
from p2p.core.ids import JobId
from p2p.core.messages.nodes import PAID_UNFETCHED, EarningsReply, EarningsRequest, HeldJob
from p2p.core.money import Asset, format_amount, split
from p2p.core.states import DisputeState, FailureCode, JobState
from p2p.testing.claiming import (
    START_UNITS,
    agrees,
    check_paid,
    entries,
    move,
    on_chain,
    window_passes,
    work,
)
from p2p.testing.disputing import Cli, claimed_with, dispute_on_chain, disputed, shown
from p2p.testing.marketplace import MovableClock


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with new_localnet(tmp_path_factory.mktemp("disputes")) as opened:
        yield opened


@pytest.fixture
async def still(make_world: Any, chain_clock: MovableClock) -> AsyncIterator[Any]:
    async with make_world(run=False, clock=chain_clock) as world:
        yield world


@pytest.fixture
def arbiter(localnet: Any) -> Signer:
    return Operator.in_folder(localnet.folder).arbiter


async def resolve(cli: Cli, job_id: str, *options: str, key: str) -> tuple[int, str, str]:
    return await cli("dispute", "resolve", job_id[:8], *options, "--keypair", key, "--yes", "--json")


def key_of(world: Any, name: str) -> str:
    return str(world.localnet.folder / f"{name}.json")


async def noticed(world: Any, job_id: str) -> None:
    """The coordinator sees what happened on chain."""
    await world.coordinator.sweeps.reconcile()
    await work(world, job_id)
    await world.coordinator.disputes.tell_nodes()


# -- from silence to a decision


async def test_a_dispute_is_decided_in_part(still: Any, arbiter: Signer, cli: Cli, tmp_path: Path) -> None:
    buyer, node, job_id, kept = await disputed(still, tmp_path / "out", reason="\x1b[31mbad\nmodel")
    used = still.job(job_id).used_units
    review = (await buyer.show(job_id)).review
    assert (review.claimed_units, review.dispute, review.reason) == (
        used,
        DisputeState.OPEN,
        "\x1b[31mbad\nmodel",
    )
    assert await still.coordinator.examiner.sweep() == 1
    assert kept.notice is not None
    assert kept.notice.reason == review.reason
    assert kept.notice.keep_until_s == review.resolve_by_s
    found = await shown(cli, job_id)
    assert found["evidence_summary"] == {"verified": len(found["evidence"])}
    assert {row["path"] for row in found["evidence"]} == {"model.pt", "logs/a.txt", "logs/b.txt", "empty"}
    assert found["chain"]["status"] == "disputed"
    assert found["chain"]["result_matches"] is True
    assert await still.coordinator.examiner.sweep() == 0  # once, until somebody asks again
    (earned,) = (await node.call("node.earnings", EarningsRequest(10), EarningsReply)).earnings
    assert earned.disputed

    code, out, _ = await cli("dispute", "show", job_id)
    assert code == 0
    assert "\x1b" not in out
    assert "bad model" in out
    half = format_amount(used // 2, Asset.USDC, symbol=False)
    code, out, err = await cli(
        "dispute",
        "resolve",
        job_id[:8],
        "--pay",
        half,
        "--keypair",
        key_of(still, "arbiter"),
        "--yes",
        "--json",
    )
    assert code == 0, err
    parts = split(still.job(job_id).deposit_units, used // 2, 1000)
    decided = json.loads(out)
    assert (decided["node_units"], decided["fee_units"]) == (parts.node_units, parts.fee_units)
    assert decided["buyer_units"] == parts.refund_units
    await noticed(still, job_id)
    await check_paid(still, buyer, node, job_id, used // 2)
    assert (await on_chain(still, job_id)).status is JobStatus.RESOLVED
    review = (await buyer.show(job_id)).review
    assert (review.dispute, review.decided_units) == (DisputeState.RESOLVED, used // 2)
    assert (await buyer.show(job_id)).chain[-1].action == "resolve"
    assert kept.notice.state is DisputeState.RESOLVED
    (earned,) = (await node.call("node.earnings", EarningsRequest(10), EarningsReply)).earnings
    assert (earned.disputed, earned.net_units) == (False, parts.node_units)
    events = (await shown(cli, job_id))["events"]
    assert events[-1]["code"] == "resolved"
    await noticed(still, job_id)  # and nothing is posted twice
    await check_paid(still, buyer, node, job_id, used // 2)
    code, _, err = await resolve(cli, job_id, "--pay-all", key=key_of(still, "arbiter"))
    assert code == ExitCode.REFUSED
    assert "has ended on the chain: resolved" in err


@pytest.mark.parametrize("option", ["--pay-all", "--refund-all"])
async def test_a_buyer_who_disputes_delivered_work_gets_no_refund(
    still: Any, arbiter: Signer, cli: Cli, tmp_path: Path, option: str
) -> None:
    """All is proven, and paid. Were it given back instead, the outputs would not be released."""
    buyer, node, job_id, _ = await disputed(still, tmp_path / "out")
    await still.coordinator.examiner.sweep()
    assert set((await shown(cli, job_id))["evidence_summary"]) == {"verified"}
    used = still.job(job_id).used_units if option == "--pay-all" else 0
    code, _, err = await resolve(cli, job_id, option, key=key_of(still, "arbiter"))
    assert code == 0, err
    await noticed(still, job_id)
    await check_paid(still, buyer, node, job_id, used)
    reply = await node.beat(HeldJob(job_id, 1, JobState.DELIVERING, 100.0))
    assert [order.reason for order in reply.stop] == [PAID_UNFETCHED if used else "settled"]


async def test_the_decision_is_signed_elsewhere(
    still: Any, arbiter: Signer, cli: Cli, tmp_path: Path
) -> None:
    buyer, node, job_id, _ = await disputed(still, tmp_path / "out")
    used = still.job(job_id).used_units
    code, _, err = await cli("dispute", "resolve", job_id, "--signature", "1" * 64)
    assert (code, "was printed" in err) == (ExitCode.USAGE, True)
    code, out, _ = await cli("dispute", "resolve", job_id, "--pay-all", "--print", "--json")
    assert code == 0
    message = base64.b64decode(json.loads(out)["message"])
    wrong = base64.b64encode(Signer.generate().sign(message)).decode()
    code, _, err = await cli("dispute", "resolve", job_id, "--signature", wrong)
    assert (code, "missing or wrong" in err) == (ExitCode.REFUSED, True)
    right = base64.b64encode(sign_message(message, arbiter)).decode()
    code, _, err = await cli("dispute", "resolve", job_id, "--signature", right)
    assert code == 0, err
    await noticed(still, job_id)
    await check_paid(still, buyer, node, job_id, used)


async def test_only_the_arbiter_decides(still: Any, arbiter: Signer, cli: Cli, tmp_path: Path) -> None:
    _, _, job_id, _ = await disputed(still, tmp_path / "out")
    code, _, err = await resolve(cli, job_id, "--pay-all", key=key_of(still, "coordinator"))
    assert (code, "Only the arbiter can sign this" in err) == (ExitCode.REFUSED, True)
    code, _, err = await cli(
        "dispute", "resolve", job_id, "--pay", "1000", "--keypair", key_of(still, "arbiter")
    )
    assert (code, "more cannot be paid" in err) == (ExitCode.REFUSED, True)
    for options in ([], ["--pay-all", "--refund-all"], ["--pay-all", "--print", "--browser"]):
        code, _, _ = await cli("dispute", "resolve", job_id, *options)
        assert code == ExitCode.USAGE
    assert (await on_chain(still, job_id)).status is JobStatus.DISPUTED


# -- other ends


@pytest.mark.parametrize("late", [False, True], ids=["within the window", "after it"])
async def test_both_sides_settle_after_all(still: Any, cli: Cli, tmp_path: Path, late: bool) -> None:
    buyer, node, job_id, kept = await disputed(still, tmp_path / "out")
    if late:
        await window_passes(still, job_id)
    offer = await buyer.accept(job_id, (await buyer.show(job_id)).statement)
    assert offer.message
    await still.coordinator.claims.sweep()
    await buyer.countersign(job_id, offer)
    await noticed(still, job_id)
    await check_paid(still, buyer, node, job_id, offer.used_units)
    assert (await shown(cli, job_id))["state"] == "withdrawn"
    assert kept.notice is not None
    assert kept.notice.state is DisputeState.WITHDRAWN


async def test_a_node_gives_everything_back(still: Any, cli: Cli, tmp_path: Path) -> None:
    buyer, node, job_id, _ = await disputed(still, tmp_path / "out")
    await node.report(job_id, 1, JobState.FAILED, failure=FailureCode.NODE, detail="disk lost")
    await work(still, job_id)
    assert await still.balance(buyer.signer.address) == START_UNITS
    await agrees(still, job_id)
    assert (await shown(cli, job_id))["state"] == "conceded"


async def test_a_dispute_that_was_decided_before_it_was_seen(
    still: Any, arbiter: Signer, cli: Cli, tmp_path: Path
) -> None:
    """The engine said nothing, and the arbiter was quicker than our look at the chain."""
    buyer, node, job_id, kept = await claimed_with(still, tmp_path / "out")
    owner, used = buyer.signer.address, still.job(job_id).used_units
    await dispute_on_chain(still, buyer, job_id)
    resolve = await still.chain.prepare_resolve(arbiter, owner, JobId(job_id), used // 2)
    await still.chain.send_and_confirm(resolve)
    await noticed(still, job_id)
    await check_paid(still, buyer, node, job_id, used // 2)
    found = await shown(cli, job_id)
    assert (found["state"], found["decided_units"], found["arbiter"]) == (
        "resolved",
        used // 2,
        arbiter.address,
    )
    assert (await buyer.show(job_id)).review.claimed_units == used
    assert kept.notice is not None
    assert kept.notice.state is DisputeState.RESOLVED


async def test_nobody_decides(still: Any, cli: Cli, tmp_path: Path) -> None:
    buyer, node, job_id, _ = await disputed(still, tmp_path / "out")
    await move(still, 14 * 24 * 3600)
    await still.chain.reclaim(buyer.signer, buyer.signer.address, JobId(job_id))
    await noticed(still, job_id)
    assert still.job(job_id).status is JobState.REFUNDED
    assert await still.balance(buyer.signer.address) == START_UNITS
    assert await still.balance(node.signer.address) == 0
    assert (await shown(cli, job_id))["state"] == "expired"
    assert not [state for _, state in entries(still, job_id) if state in ("prepared", "sent", "waiting")]
    code, out, _ = await cli("disputes", "--json")
    assert (code, [row["job_id"] for row in json.loads(out)]) == (0, [])
    code, out, _ = await cli("disputes", "--all", "--json")
    assert [row["state"] for row in json.loads(out)] == ["expired"]


async def test_a_running_coordinator_does_all_of_it_by_itself(
    make_world: Any, chain_clock: MovableClock, arbiter: Signer, cli: Cli, tmp_path: Path
) -> None:
    async with make_world(run=False, clock=chain_clock) as still:
        buyer, node, job_id, kept = await disputed(still, tmp_path / "out")
    async with make_world(clock=chain_clock) as world:
        buyer.world = node.world = world
        kept.serve(world, node, job_id)

        async def evidence() -> Any:
            return (await shown(cli, job_id))["evidence"]

        rows = await world.until(evidence, bool)
        assert {row["result"] for row in rows} == {"verified"}
        used = world.job(job_id).used_units
        code, _, err = await resolve(cli, job_id, "--pay-all", key=key_of(world, "arbiter"))
        assert code == 0, err
        await world.coordinator.sweeps.reconcile()
        await buyer.until(job_id, JobState.SETTLED)
        await check_paid(world, buyer, node, job_id, used)
