"""What a peer that listens on every interface says of itself."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from p2p.core.limits import ADDRESSES_PER_PEER_MAX
from p2p.net.addresses import dialable

PEER = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
# From which address a machine reaches which; 192.0.2.1 and 2001:db8::1 stand for the internet.
ROUTES = {"192.0.2.1": "198.51.100.7", "10.1.2.3": "10.1.2.99", "2001:db8::1": "2001:db8::7"}


class Machine(socket.socket):
    """With an interface to the internet and one to a private network."""

    def connect(self, address: Any) -> None:
        if address[0] not in ROUTES:
            raise OSError("network is unreachable")
        self.source = ROUTES[address[0]]

    def getsockname(self) -> Any:
        return (self.source, 40_000)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.net.addresses.socket.socket", Machine)


def test_an_any_address_becomes_those_that_can_be_dialled() -> None:
    tail = f"tcp/4001/p2p/{PEER}"
    towards = ("/ip4/10.1.2.3/tcp/1", "/ip6/fe80::1/tcp/1", "/dns/coordinator.example/tcp/1", "/ip4")
    assert dialable((f"/ip4/0.0.0.0/{tail}",), towards) == (
        f"/ip4/10.1.2.99/{tail}",
        f"/ip4/198.51.100.7/{tail}",
        f"/ip4/127.0.0.1/{tail}",
    )
    assert dialable(("/ip6/::/tcp/5",), towards) == ("/ip6/2001:db8::7/tcp/5", "/ip6/::1/tcp/5")


def test_an_interface_is_named_once() -> None:
    assert dialable(("/ip4/0.0.0.0/tcp/5",), ("/ip4/192.0.2.1/tcp/1",)) == (
        "/ip4/198.51.100.7/tcp/5",
        "/ip4/127.0.0.1/tcp/5",
    )


def test_a_machine_without_a_network_can_be_dialled_from_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ROUTES, "192.0.2.1")
    assert dialable(("/ip4/0.0.0.0/tcp/5",)) == ("/ip4/127.0.0.1/tcp/5",)


def test_an_address_of_its_own_stays() -> None:
    own = f"/ip4/10.1.2.3/tcp/4001/p2p/{PEER}"
    assert dialable((own,), ("/dns/example.org/tcp/1",)) == (own,)


def test_no_more_addresses_than_a_peer_may_have() -> None:
    assert len(dialable(f"/ip4/10.1.2.3/tcp/{port}" for port in range(1, 40))) == ADDRESSES_PER_PEER_MAX
