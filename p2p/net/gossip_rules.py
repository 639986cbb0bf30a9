"""Which gossip messages are passed on and heard. Pure rules over one message and what came before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import base58

from p2p.core.clock import Clock
from p2p.core.errors import UserError
from p2p.core.limits import (
    GOSSIP_BURST_PER_PEER_MESSAGES,
    GOSSIP_FORWARDED_PER_PEER_PER_S,
    GOSSIP_MESSAGE_MAX_BYTES,
    GOSSIP_MESSAGES_PER_PEER_PER_S,
    GOSSIP_PEERS_TRACKED_MAX,
    GOSSIP_REPLAY_WINDOW_S,
)
from p2p.net.identity import public_key_of

_SEQNO_BYTES = 8


class Verdict(Enum):
    """What becomes of a message."""

    ACCEPT = "accept"
    INVALID = "invalid"  # no honest peer sends this
    STALE = "stale"  # too old, or from a clock that is ahead: perhaps a replay
    TOO_FAST = "too fast"


class Message(Protocol):
    """The fields of a gossip message that the rules look at."""

    data: bytes
    from_id: bytes
    seqno: bytes
    key: bytes
    signature: bytes

    @property
    def topicIDs(self) -> Sequence[str]: ...

    def ByteSize(self) -> int: ...


class GossipRules:
    """Rules and rates of one peer; the tables they need are bounded."""

    def __init__(self, topics: frozenset[str], clock: Clock) -> None:
        self._topics = topics
        self._clock = clock
        self._forwarders = _Rates(clock, GOSSIP_FORWARDED_PER_PEER_PER_S, 2 * GOSSIP_FORWARDED_PER_PEER_PER_S)
        self._origins = _Rates(clock, GOSSIP_MESSAGES_PER_PEER_PER_S, GOSSIP_BURST_PER_PEER_MESSAGES)

    def judge_envelope(self, forwarder: str, message: Message) -> Verdict:
        """Before the signature is checked: is it worth checking?"""
        if not self._forwarders.allow(forwarder):
            return Verdict.TOO_FAST
        if message.ByteSize() > GOSSIP_MESSAGE_MAX_BYTES or len(message.seqno) != _SEQNO_BYTES:
            return Verdict.INVALID
        if len(message.topicIDs) != 1 or message.topicIDs[0] not in self._topics:
            return Verdict.INVALID
        try:
            public_key_of(base58.b58encode(message.from_id).decode("ascii"))
        except UserError:
            return Verdict.INVALID  # the library would believe a key that comes with the message
        sent_s = int.from_bytes(message.seqno, "big") / 1000
        if abs(self._clock.now_s() - sent_s) > GOSSIP_REPLAY_WINDOW_S:
            return Verdict.STALE
        return Verdict.ACCEPT

    def judge_origin(self, message: Message) -> Verdict:
        """After the signature has proved who sent it."""
        if not self._origins.allow(message.from_id.hex()):
            return Verdict.TOO_FAST
        return Verdict.ACCEPT


class _Rates:
    """A token bucket per peer, for the peers heard of last."""

    def __init__(self, clock: Clock, per_s: float, burst: float) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def allow(self, peer: str) -> bool:
        now_s = self._clock.monotonic_s()
        tokens, since_s = self._buckets.pop(peer, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - since_s) * self._per_s)
        allowed = tokens >= 1
        self._buckets[peer] = (tokens - 1 if allowed else tokens, now_s)
        if len(self._buckets) > GOSSIP_PEERS_TRACKED_MAX:
            self._buckets.popitem(last=False)
        return allowed
