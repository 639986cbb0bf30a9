"""What may be concluded about a transaction under a faulty network, and what must not."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.chain.transaction import OutcomeKind
from p2p.core.errors import EnvironmentFailure
from p2p.testing.scripted_rpc import CONFIRMED, FAILED, FINALIZED, PROCESSED, SLOTS_SKIPPED, VALID_TO


async def outcome(chain: Any) -> OutcomeKind:
    kind: OutcomeKind = (await chain.outcome("signature", VALID_TO)).kind
    return kind


async def test_a_status_at_the_commitment_is_believed(chain: Any) -> None:
    for status, kind in (
        (CONFIRMED, OutcomeKind.CONFIRMED),
        (FINALIZED, OutcomeKind.CONFIRMED),
        (PROCESSED, OutcomeKind.PENDING),
    ):
        chain._rpc.status = dict.fromkeys(chain._rpc.urls, status)
        assert await outcome(chain) is kind


async def test_finality_can_be_asked_for(chain: Any) -> None:
    """What is confirmed may still be dropped; who needs to know for good says so."""
    for status, kind in ((CONFIRMED, OutcomeKind.PENDING), (FINALIZED, OutcomeKind.CONFIRMED)):
        chain._rpc.status = dict.fromkeys(chain._rpc.urls, status)
        assert (await chain.outcome("signature", VALID_TO, commitment="finalized")).kind is kind


async def test_a_failure_names_its_number_and_word(chain: Any) -> None:
    chain._rpc.status = dict.fromkeys(chain._rpc.urls, FAILED)
    found = await chain.outcome("signature", VALID_TO)
    assert (found.kind, found.code, found.error) == (OutcomeKind.FAILED, 6017, "already_final")


@pytest.mark.parametrize(
    ("height", "kind"),
    [
        (VALID_TO - 1, OutcomeKind.PENDING),
        (VALID_TO, OutcomeKind.PENDING),
        (VALID_TO + 1, OutcomeKind.EXPIRED),
    ],
)
async def test_expired_only_past_the_last_valid_height(chain: Any, height: int, kind: OutcomeKind) -> None:
    chain._rpc.height = dict.fromkeys(chain._rpc.urls, height)
    assert await outcome(chain) is kind


async def test_history_is_searched_again_after_the_height_was_read(chain: Any) -> None:
    """It lands between the first look and the look at the height: not expired."""
    nodes = chain._rpc
    nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 1)
    ask = nodes._ask

    async def lands_late(url: str, method: str, params: tuple[Any, ...]) -> Any:
        answer = await ask(url, method, params)
        if method == "getEpochInfo":
            nodes.status = dict.fromkeys(nodes.urls, CONFIRMED)
        return answer

    nodes._ask = lands_late
    assert await outcome(chain) is OutcomeKind.CONFIRMED


async def test_no_node_is_no_outcome(chain: Any) -> None:
    chain._rpc.dead = set(chain._rpc.urls)
    with pytest.raises(EnvironmentFailure) as error:
        await outcome(chain)
    assert error.value.code == "chain_unreachable"


async def test_what_one_of_two_nodes_has_seen_has_happened(two: Any) -> None:
    """Whatever the other says: that it is over, that it may still come, or nothing."""
    nodes, (first, last) = two._rpc, two._rpc.urls
    for knows, other in ((first, last), (last, first)):
        nodes.status = {knows: CONFIRMED, other: None}
        for height in (VALID_TO - 50, VALID_TO, VALID_TO + 1):
            nodes.height = {knows: VALID_TO + 1, other: height}
            assert await outcome(two) is OutcomeKind.CONFIRMED
        nodes.dead = {other}
        assert await outcome(two) is OutcomeKind.CONFIRMED
        nodes.dead = set()


async def test_expired_is_said_by_all_nodes(two: Any) -> None:
    nodes, (first, last) = two._rpc, two._rpc.urls
    for one, other in ((first, last), (last, first)):
        nodes.height = {one: VALID_TO + 1, other: VALID_TO}
        assert await outcome(two) is OutcomeKind.PENDING
        nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 1)
        nodes.status = {one: None, other: PROCESSED}  # it may be dropped, or not
        assert await outcome(two) is OutcomeKind.PENDING
        nodes.status = {}.fromkeys(nodes.urls)
        nodes.dead = {other}
        for _ in range(2):  # known to be silent: its word is still needed
            assert await outcome(two) is OutcomeKind.PENDING
        nodes.dead = set()
        assert await outcome(two) is OutcomeKind.EXPIRED


async def test_a_dead_node_keeps_no_action_from_being_done_that_cannot_be_done_twice(two: Any) -> None:
    nodes, (first, last) = two._rpc, two._rpc.urls
    for dead, alive in ((first, last), (last, first)):
        nodes.dead = {dead}
        for height, kind in ((VALID_TO + 1, OutcomeKind.EXPIRED), (VALID_TO, OutcomeKind.PENDING)):
            nodes.height = {dead: VALID_TO, alive: height}
            for _ in range(2):  # also once it is known to be silent
                found = await two.outcome("signature", VALID_TO, state_decides=True)
                assert found.kind is kind
        nodes.dead, nodes.height = set(), {dead: VALID_TO, alive: VALID_TO + 1}
        found = await two.outcome("signature", VALID_TO, state_decides=True)
        assert found.kind is OutcomeKind.PENDING  # it answers, and says that it may still land
    nodes.dead = {first, last}
    with pytest.raises(EnvironmentFailure):
        await two.outcome("signature", VALID_TO, state_decides=True)


async def test_a_silent_node_is_not_waited_for_where_its_word_changes_nothing(two: Any) -> None:
    nodes, (first, last) = two._rpc, two._rpc.urls
    nodes.dead = {first}
    assert await outcome(two) is OutcomeKind.PENDING
    nodes.asked.clear()
    assert await outcome(two) is OutcomeKind.PENDING
    assert {url for url, _ in nodes.asked} == {last}


async def test_what_disappears_is_not_over_before_the_height_is(chain: Any) -> None:
    """Seen at the lowest level, on a fork that is left."""
    nodes = chain._rpc
    nodes.height = dict.fromkeys(nodes.urls, VALID_TO - 1)
    for status in (PROCESSED, None, CONFIRMED, None):
        nodes.status = dict.fromkeys(nodes.urls, status)
        kind = OutcomeKind.CONFIRMED if status is CONFIRMED else OutcomeKind.PENDING
        assert await outcome(chain) is kind
    nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 1)
    assert await outcome(chain) is OutcomeKind.EXPIRED


async def test_behind_one_url_a_node_that_is_late_rules_nothing_out(chain: Any) -> None:
    """The height came from one that is ahead, the empty history from one that has not got there."""
    nodes = chain._rpc
    nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 1)
    nodes.seen = dict.fromkeys(nodes.urls, VALID_TO + SLOTS_SKIPPED)
    assert await outcome(chain) is OutcomeKind.PENDING
    nodes.seen = dict.fromkeys(nodes.urls, VALID_TO + 1 + SLOTS_SKIPPED)
    assert await outcome(chain) is OutcomeKind.EXPIRED


async def test_a_node_that_threw_its_history_away_is_no_witness(chain: Any) -> None:
    nodes = chain._rpc
    nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 10_000)
    recent = VALID_TO + 10_000 - 100
    nodes.oldest = dict.fromkeys(nodes.urls, recent)
    with pytest.raises(EnvironmentFailure) as error:
        await outcome(chain)
    assert error.value.code == "history_gone"
    by_state = await chain.outcome("signature", VALID_TO, state_decides=True)
    assert by_state.kind is OutcomeKind.EXPIRED
    nodes.oldest = {nodes.urls[0]: recent}
    if len(nodes.urls) == 2:
        assert await outcome(chain) is OutcomeKind.EXPIRED
        nodes.dead = {nodes.urls[1]}
        with pytest.raises(EnvironmentFailure) as error:
            await outcome(chain)
        assert error.value.code == "chain_unreachable"


@pytest.mark.parametrize(
    "reply",
    [None, 5, {}, {"value": []}, {"value": [5]}, {"value": None}, {"value": [{"err": None}, None]}],
)
async def test_replies_that_make_no_sense(chain: Any, reply: object) -> None:
    async def nonsense(*_: object) -> Any:
        return reply

    chain._rpc._ask = nonsense
    with pytest.raises(EnvironmentFailure) as error:
        await outcome(chain)
    assert error.value.code == "chain_unexpected"
