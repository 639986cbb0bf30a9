"""How many bytes of files went to and came from each peer, how fast they go now, and by which way."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from p2p.core.clock import Clock
from p2p.core.ids import PeerId
from p2p.core.limits import TRAFFIC_PEERS_MAX, TRAFFIC_STEP_S, TRAFFIC_WINDOW_S
from p2p.net.bulk_threads import ChunkSource


@dataclass(slots=True)
class _Flow:
    """One direction with one peer. ``steps``: when, and how many bytes, of the last moments."""

    total_bytes: int = 0
    relayed: bool | None = None
    steps: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, at_s: float, count: int, relayed: bool) -> None:
        self.total_bytes += count
        self.relayed = relayed
        if self.steps and at_s - self.steps[-1][0] < TRAFFIC_STEP_S:
            self.steps[-1] = (self.steps[-1][0], self.steps[-1][1] + count)
        else:
            self.steps.append((at_s, count))
        self._forget(at_s)

    def bytes_per_s(self, at_s: float) -> float:
        self._forget(at_s)
        return sum(count for _, count in self.steps) / TRAFFIC_WINDOW_S

    def _forget(self, at_s: float) -> None:
        while self.steps and self.steps[0][0] < at_s - TRAFFIC_WINDOW_S:
            self.steps.popleft()


@dataclass(frozen=True, slots=True)
class PeerTraffic:
    """What went to (``up``) and came from (``down``) a peer since this one started. ``relayed``: whether the
    last bytes went over a libp2p stream and not over a connection of their own; None if there were none."""

    up_bytes: int
    down_bytes: int
    up_bytes_per_s: float
    down_bytes_per_s: float
    relayed: bool | None


class Traffic:
    """Counts. Methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._peers: OrderedDict[PeerId, tuple[_Flow, _Flow]] = OrderedDict()

    def sent(self, peer_id: PeerId, count: int, *, relayed: bool) -> None:
        """So many bytes went to the peer."""
        self._add(peer_id, 0, count, relayed)

    def received(self, peer_id: PeerId, count: int, *, relayed: bool) -> None:
        """So many bytes came from the peer."""
        self._add(peer_id, 1, count, relayed)

    def now(self) -> dict[PeerId, PeerTraffic]:
        """Of each peer with which there was any; of many, those of late."""
        at_s = self._clock.monotonic_s()
        with self._lock:
            return {
                peer_id: PeerTraffic(
                    up.total_bytes,
                    down.total_bytes,
                    up.bytes_per_s(at_s),
                    down.bytes_per_s(at_s),
                    up.relayed if down.relayed is None else down.relayed,
                )
                for peer_id, (up, down) in self._peers.items()
            }

    def _add(self, peer_id: PeerId, way: int, count: int, relayed: bool) -> None:
        at_s = self._clock.monotonic_s()
        with self._lock:
            flows = self._peers.setdefault(peer_id, (_Flow(), _Flow()))
            self._peers.move_to_end(peer_id)
            flows[way].add(at_s, count, relayed)
            while len(self._peers) > TRAFFIC_PEERS_MAX:
                self._peers.popitem(last=False)


class CountedSource:
    """A :class:`ChunkSource` whose chunks are counted as what goes to one peer."""

    def __init__(self, source: ChunkSource, traffic: Traffic, peer_id: PeerId, *, relayed: bool) -> None:
        self._source, self._traffic = source, traffic
        self._peer_id, self._relayed = peer_id, relayed

    def authorise(self, peer_id: str, grant: str) -> None:
        """As the source does."""
        self._source.authorise(peer_id, grant)

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        """As the source does."""
        size = self._source.read_chunk(grant, chunk_hash, into)
        self._traffic.sent(self._peer_id, size, relayed=self._relayed)
        return size
