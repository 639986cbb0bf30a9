"""Bytes are counted by peer and direction; rates forget what was long ago; memory is bounded."""

from __future__ import annotations

from p2p.core.ids import PeerId
from p2p.core.limits import TRAFFIC_PEERS_MAX, TRAFFIC_WINDOW_S
from p2p.net.traffic import PeerTraffic, Traffic

ANN, BOB = PeerId("ann"), PeerId("bob")


class MovableClock:
    value_s = 100.0

    def now_s(self) -> float:
        return self.value_s

    def monotonic_s(self) -> float:
        return self.value_s


def test_totals_stay_and_rates_pass() -> None:
    clock = MovableClock()
    traffic = Traffic(clock)
    traffic.sent(ANN, 1000, relayed=False)
    traffic.sent(ANN, 500, relayed=False)
    traffic.received(ANN, 50, relayed=True)
    traffic.sent(BOB, 1, relayed=False)
    assert traffic.now()[ANN] == PeerTraffic(1500, 50, 1500 / TRAFFIC_WINDOW_S, 50 / TRAFFIC_WINDOW_S, True)
    clock.value_s += TRAFFIC_WINDOW_S - 1
    traffic.sent(ANN, 100, relayed=False)
    clock.value_s += 2
    assert traffic.now()[ANN] == PeerTraffic(1600, 50, 100 / TRAFFIC_WINDOW_S, 0, True)
    clock.value_s += TRAFFIC_WINDOW_S
    assert traffic.now()[ANN].up_bytes_per_s == 0


def test_only_the_latest_peers_are_remembered() -> None:
    traffic = Traffic(MovableClock())
    for number in range(TRAFFIC_PEERS_MAX + 5):
        traffic.received(PeerId(str(number)), 1, relayed=False)
    found = traffic.now()
    assert len(found) == TRAFFIC_PEERS_MAX
    assert PeerId("0") not in found
