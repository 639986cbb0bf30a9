"""Which gossip messages are heard."""

from __future__ import annotations

from dataclasses import dataclass, field

import base58
import pytest

from p2p.core.limits import (
    GOSSIP_BURST_PER_PEER_MESSAGES,
    GOSSIP_FORWARDED_PER_PEER_PER_S,
    GOSSIP_MESSAGE_MAX_BYTES,
    GOSSIP_MESSAGES_PER_PEER_PER_S,
    GOSSIP_PEERS_TRACKED_MAX,
    GOSSIP_REPLAY_WINDOW_S,
)
from p2p.net.gossip_rules import GossipRules, Verdict
from p2p.net.identity import PeerIdentity


@dataclass
class ManualClock:
    now: float = 1_800_000_000.0

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        return self.now


@dataclass
class FakeMessage:
    data: bytes = b"x"
    from_id: bytes = field(default_factory=lambda: base58.b58decode(PeerIdentity.ephemeral().peer_id))
    seqno: bytes = b""
    key: bytes = b""
    signature: bytes = b""
    topicIDs: tuple[str, ...] = ("adverts",)

    def ByteSize(self) -> int:
        return len(self.data) + 200


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rules(clock: ManualClock) -> GossipRules:
    return GossipRules(frozenset({"adverts"}), clock)


def sent_at(seconds: float, **fields: object) -> FakeMessage:
    return FakeMessage(seqno=int(seconds * 1000).to_bytes(8, "big"), **fields)  # type: ignore[arg-type]


def test_a_good_message_is_accepted(rules: GossipRules, clock: ManualClock) -> None:
    assert rules.judge_envelope("a", sent_at(clock.now)) is Verdict.ACCEPT


@pytest.mark.parametrize(
    "fields",
    [
        {"data": bytes(GOSSIP_MESSAGE_MAX_BYTES)},
        {"topicIDs": ("else",)},
        {"topicIDs": ()},
        {"topicIDs": ("adverts", "adverts")},
        {"from_id": b""},
        {
            "from_id": b"\x12\x20" + bytes(32)
        },  # a hash of a key: the library would believe a key that is sent along
    ],
)
def test_what_no_honest_peer_sends_is_invalid(
    rules: GossipRules, clock: ManualClock, fields: dict[str, object]
) -> None:
    assert rules.judge_envelope("a", sent_at(clock.now, **fields)) is Verdict.INVALID


def test_a_sequence_number_of_another_length_is_invalid(rules: GossipRules) -> None:
    assert rules.judge_envelope("a", FakeMessage(seqno=b"")) is Verdict.INVALID


@pytest.mark.parametrize("offset_s", [-GOSSIP_REPLAY_WINDOW_S - 1, GOSSIP_REPLAY_WINDOW_S + 1])
def test_an_old_message_cannot_be_replayed(rules: GossipRules, clock: ManualClock, offset_s: float) -> None:
    assert rules.judge_envelope("a", sent_at(clock.now + offset_s)) is Verdict.STALE


def test_a_signer_may_send_a_burst_and_then_at_its_rate(rules: GossipRules, clock: ManualClock) -> None:
    message = sent_at(clock.now)
    accepted = [rules.judge_origin(message) is Verdict.ACCEPT for _ in range(100)]
    assert accepted == [True] * GOSSIP_BURST_PER_PEER_MESSAGES + [False] * (
        100 - GOSSIP_BURST_PER_PEER_MESSAGES
    )
    clock.now += 2
    accepted = [rules.judge_origin(message) is Verdict.ACCEPT for _ in range(100)]
    assert accepted.count(True) == 2 * GOSSIP_MESSAGES_PER_PEER_PER_S
    assert rules.judge_origin(sent_at(clock.now)) is Verdict.ACCEPT  # another signer


def test_a_neighbour_may_pass_on_only_so_much(rules: GossipRules, clock: ManualClock) -> None:
    verdicts = [rules.judge_envelope("a", sent_at(clock.now)) for _ in range(1000)]
    assert verdicts.count(Verdict.ACCEPT) == 2 * GOSSIP_FORWARDED_PER_PEER_PER_S
    assert verdicts[-1] is Verdict.TOO_FAST
    assert rules.judge_envelope("b", sent_at(clock.now)) is Verdict.ACCEPT


def test_a_sybil_does_not_grow_the_tables(rules: GossipRules, clock: ManualClock) -> None:
    for number in range(GOSSIP_PEERS_TRACKED_MAX + 10):
        rules.judge_origin(FakeMessage(from_id=number.to_bytes(4, "big")))
    assert len(rules._origins._buckets) == GOSSIP_PEERS_TRACKED_MAX
