"""Transfer tickets, and the messages that carry them."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.ids import PeerId
from p2p.core.limits import BULK_TICKET_LIFETIME_S, BULK_TICKETS_PER_PEER_MAX, GRANT_MAX_BYTES
from p2p.net.bulk_endpoint import Tickets
from p2p.net.bulk_messages import DialBackRequest, OpenReply, OpenRequest

ALICE, MALLORY = PeerId("alice"), PeerId("mallory")


class ManualClock:
    def __init__(self) -> None:
        self.now = 100.0

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tickets(clock: ManualClock) -> Tickets:
    return Tickets(clock)


@pytest.mark.parametrize("holder", [b"certificate", ALICE])
def test_a_ticket_is_redeemed_once(tickets: Tickets, holder: bytes | PeerId) -> None:
    token = tickets.issue(ALICE, "grant", b"certificate")
    assert tickets.find(token) is not None
    ticket = tickets.redeem(token, holder)
    assert ticket is not None
    assert ticket.grant == "grant"
    assert tickets.redeem(token, holder) is None


@pytest.mark.parametrize("holder", [b"another", MALLORY, b""])
def test_in_the_wrong_hands_a_token_is_burnt(tickets: Tickets, holder: bytes | PeerId) -> None:
    token = tickets.issue(ALICE, "grant", b"certificate")
    assert tickets.redeem(token, holder) is None
    assert tickets.redeem(token, ALICE) is None


def test_a_ticket_expires(tickets: Tickets, clock: ManualClock) -> None:
    token = tickets.issue(ALICE, "grant", b"certificate")
    clock.now += BULK_TICKET_LIFETIME_S + 1
    assert tickets.find(token) is None
    assert tickets.redeem(token, ALICE) is None


def test_guesses_find_nothing(tickets: Tickets) -> None:
    tickets.issue(ALICE, "grant", b"certificate")
    assert tickets.redeem(os.urandom(32), ALICE) is None


def test_one_peer_cannot_fill_the_table(tickets: Tickets) -> None:
    others = tickets.issue(ALICE, "grant", b"")
    for _ in range(3 * BULK_TICKETS_PER_PEER_MAX):
        newest = tickets.issue(MALLORY, "grant", b"")
    assert len(tickets._tickets) == BULK_TICKETS_PER_PEER_MAX + 1
    assert tickets.find(others) is not None
    assert tickets.find(newest) is not None


@given(
    st.text(max_size=100), st.binary(max_size=500), st.binary(min_size=32, max_size=32), st.integers(0, 65535)
)
def test_messages_survive_the_wire(grant: str, certificate: bytes, token: bytes, port: int) -> None:
    request = OpenRequest(grant, certificate)
    assert OpenRequest.decode(request.encode()) == request
    reply = OpenReply(token, port, certificate)
    assert OpenReply.decode(reply.encode()) == reply
    back = DialBackRequest(token, port, token[:16])
    assert DialBackRequest.decode(back.encode()) == back


@given(st.binary(max_size=120))
def test_junk_is_an_error(data: bytes) -> None:
    for kind in (OpenRequest, OpenReply, DialBackRequest):
        try:
            kind.decode(data)
        except UserError as error:
            assert error.code == "bad_message"  # noqa: PT017


def test_a_message_with_something_after_it_is_an_error() -> None:
    for message in (
        OpenRequest("g", b"c"),
        OpenReply(bytes(32), 1, b"c"),
        DialBackRequest(bytes(32), 1, bytes(16)),
    ):
        with pytest.raises(UserError):
            type(message).decode(message.encode() + b"x")


def test_a_grant_is_bounded() -> None:
    with pytest.raises(UserError):
        OpenRequest("x" * (GRANT_MAX_BYTES + 1), b"").encode()
