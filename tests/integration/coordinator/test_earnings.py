"""What a node is told of its pay, from the first second to the transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from p2p.core.messages.nodes import EarningsReply, EarningsRequest
from p2p.core.states import JobState
from p2p.testing.claiming import WINDOW_S, assigned, claimed, window_passes
from p2p.testing.marketplace import MovableClock


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with new_localnet(tmp_path_factory.mktemp("earnings")) as opened:
        yield opened


@pytest.fixture
async def still(make_world: Any, chain_clock: MovableClock) -> AsyncIterator[Any]:
    async with make_world(run=False, clock=chain_clock) as world:
        yield world


async def earning(node: Any) -> Any:
    (found,) = (await node.call("node.earnings", EarningsRequest(10), EarningsReply)).earnings
    return found


async def test_the_node_is_told_how_far_its_pay_is(still: Any) -> None:
    _, node, job_id, _ = await assigned(still)
    running = await earning(node)
    assert (running.job_id, running.state, running.name) == (job_id, JobState.RUNNING, "digits")
    assert (
        await node.call("node.earnings", EarningsRequest(1, 0.0, running.seq), EarningsReply)
    ).earnings == ()
    later_s = still.clock.now_s() + 1
    assert (await node.call("node.earnings", EarningsRequest(1, later_s), EarningsReply)).earnings == ()
    _, node, job_id = await claimed(still)
    review = await earning(node)
    assert review.state is JobState.DELIVERING
    assert review.used_seconds == 100
    assert abs(review.review_ends_at_s - still.clock.now_s() - WINDOW_S) < 300
    await window_passes(still, job_id)
    paid = await earning(node)
    assert paid.state is JobState.SETTLED
    assert paid.net_units == await still.balance(node.signer.address) == review.net_units
    assert paid.signature
    assert paid.at_s > review.at_s
