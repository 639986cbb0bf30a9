"""The control channel's protocol, driven without any I/O."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from p2p.core.errors import UserError
from p2p.core.frames import ErrorBody, ErrorFamily, Frame, FrameKind
from p2p.core.limits import (
    FRAME_MAX_BYTES,
    LOG_CREDIT_BYTES,
    REQUEST_BYTES_IN_FLIGHT_MAX,
    REQUESTS_IN_FLIGHT_MAX,
    STREAM_ITEM_MAX_BYTES,
    STREAMS_IN_FLIGHT_MAX,
)
from p2p.net.machine import (
    Asked,
    Cancelled,
    ChannelMachine,
    CreditArrived,
    Event,
    Failed,
    ItemArrived,
    PongArrived,
    ProtocolViolation,
    Replied,
    StreamEnded,
    item_cost_bytes,
)
from p2p.wire.frames import encode_frame

ERROR = ErrorBody(ErrorFamily.REFUSED, "no", "No.")


def pair() -> tuple[ChannelMachine, ChannelMachine]:
    return ChannelMachine(dialler=True), ChannelMachine(dialler=False)


def framed(frame: Frame) -> bytes:
    data = encode_frame(frame)
    return struct.pack("!I", len(data)) + data


def give(machine: ChannelMachine, data: bytes) -> list[Event]:
    """Events of ``data``, when nothing is to be answered at once."""
    events, answers = machine.receive(data)
    assert answers == b""
    return events


def test_a_request_and_its_reply() -> None:
    dialler, listener = pair()
    asked_id, data = dialler.request("method", b"payload")
    assert give(listener, data) == [Asked(asked_id, "method", b"payload", streaming=False)]
    assert not dialler.idle
    assert not listener.idle
    assert give(dialler, listener.reply(asked_id, b"answer")) == [Replied(asked_id, b"answer")]
    assert dialler.idle
    assert listener.idle


def test_both_sides_ask_with_ids_of_their_own() -> None:
    dialler, listener = pair()
    first, to_listener = dialler.request("a", b"")
    second, to_dialler = listener.request("b", b"")
    assert first % 2 == 1
    assert second % 2 == 0
    assert give(listener, to_listener) == [Asked(first, "a", b"", streaming=False)]
    assert give(dialler, to_dialler) == [Asked(second, "b", b"", streaming=False)]


@given(st.data())
def test_frames_may_arrive_in_any_pieces(data: st.DataObject) -> None:
    dialler, listener = pair()
    sent = b"".join(dialler.request("m", bytes(number))[1] for number in range(5))
    events: list[Event] = []
    while sent:
        count = data.draw(st.integers(1, len(sent)))
        events += give(listener, sent[:count])
        sent = sent[count:]
    assert [event.payload for event in events if isinstance(event, Asked)] == [bytes(n) for n in range(5)]


def test_a_stream_obeys_its_credit() -> None:
    dialler, listener = pair()
    item = bytes(STREAM_ITEM_MAX_BYTES)
    stream_id, data = dialler.open_stream("m", b"", LOG_CREDIT_BYTES)
    give(listener, data)
    sent = 0
    while listener.may_send_item(stream_id, item):
        assert give(dialler, listener.item(stream_id, item)) == [ItemArrived(stream_id, item)]
        sent += 1
    assert sent == LOG_CREDIT_BYTES // item_cost_bytes(item)
    with pytest.raises(ValueError, match="credit"):
        listener.item(stream_id, item)
    granted = dialler.grant(stream_id, item_cost_bytes(item))
    assert give(listener, granted) == [CreditArrived(stream_id)]
    assert listener.may_send_item(stream_id, item)
    assert give(dialler, listener.end(stream_id)) == [StreamEnded(stream_id)]
    assert dialler.idle
    assert dialler.grant(stream_id, 1) == b""


def test_an_empty_item_costs_credit_too() -> None:
    dialler, listener = pair()
    stream_id, data = dialler.open_stream("m", b"", item_cost_bytes(b"") * 3)
    give(listener, data)
    for _ in range(3):
        give(dialler, listener.item(stream_id, b""))
    assert not listener.may_send_item(stream_id, b"")


def test_items_without_credit_are_a_violation() -> None:
    dialler, _ = pair()
    stream_id, _ = dialler.open_stream("m", b"", 100)
    with pytest.raises(ProtocolViolation, match="credit"):
        dialler.receive(framed(Frame(stream_id, FrameKind.ITEM, payload=bytes(100))))


def test_an_item_over_the_limit_is_not_sent() -> None:
    dialler, listener = pair()
    stream_id, data = dialler.open_stream("m", b"", LOG_CREDIT_BYTES)
    give(listener, data)
    large = bytes(STREAM_ITEM_MAX_BYTES + 1)
    assert listener.may_send_item(stream_id, large)  # so that the sender gets the error instead of waiting
    with pytest.raises(UserError):
        listener.item(stream_id, large)


def test_a_cancelled_request_may_still_be_answered() -> None:
    dialler, listener = pair()
    asked_id, data = dialler.request("m", b"")
    give(listener, data)
    answer = listener.reply(asked_id, b"late")
    cancel = dialler.cancel(asked_id)
    assert dialler.cancel(asked_id) == b""
    assert give(dialler, answer) == []
    assert give(listener, cancel) == []
    assert dialler.idle
    assert listener.idle


def test_cancelling_ends_what_the_other_side_answers() -> None:
    dialler, listener = pair()
    asked_id, data = dialler.open_stream("m", b"", 1000)
    give(listener, data)
    assert give(listener, dialler.cancel(asked_id)) == [Cancelled(asked_id)]
    assert listener.item(asked_id, b"x") == b""
    assert listener.end(asked_id) == b""
    assert listener.fail(asked_id, ERROR) == b""
    assert listener.idle


def test_an_error_ends_a_request() -> None:
    dialler, listener = pair()
    asked_id, data = dialler.request("m", b"")
    give(listener, data)
    assert give(dialler, listener.fail(asked_id, ERROR)) == [Failed(asked_id, ERROR)]
    assert dialler.idle


def test_a_reply_that_is_too_large_leaves_the_request_to_be_answered() -> None:
    dialler, listener = pair()
    asked_id, data = dialler.request("m", b"")
    give(listener, data)
    with pytest.raises(UserError):
        listener.reply(asked_id, bytes(FRAME_MAX_BYTES))
    assert give(dialler, listener.fail(asked_id, ERROR)) == [Failed(asked_id, ERROR)]


def test_a_ping_is_answered() -> None:
    dialler, listener = pair()
    events, pong = listener.receive(dialler.ping())
    assert events == []
    assert give(dialler, pong) == [PongArrived()]


@pytest.mark.parametrize(
    ("streaming", "limit"), [(False, REQUESTS_IN_FLIGHT_MAX), (True, STREAMS_IN_FLIGHT_MAX)]
)
def test_too_many_at_once_are_answered_busy(streaming: bool, limit: int) -> None:
    dialler, listener = pair()

    def ask() -> tuple[int, bytes]:
        return dialler.open_stream("m", b"", 100) if streaming else dialler.request("m", b"")

    accepted = [ask() for _ in range(limit)]
    for _, data in accepted:
        assert len(give(listener, data)) == 1
    asked_id, data = ask()
    events, answers = listener.receive(data)
    assert events == []
    (failed,) = give(dialler, answers)
    assert isinstance(failed, Failed)
    assert (failed.id, failed.error.code, failed.error.retryable) == (asked_id, "peer_busy", True)
    listener.fail(accepted[0][0], ERROR)
    assert len(give(listener, ask()[1])) == 1  # room again


def test_payloads_in_flight_are_bounded() -> None:
    dialler, listener = pair()
    payload = bytes(FRAME_MAX_BYTES - 100)
    answers = b""
    accepted = 0
    for _ in range(REQUEST_BYTES_IN_FLIGHT_MAX // len(payload) + 3):
        events, answer = listener.receive(dialler.request("m", payload)[1])
        accepted += len(events)
        answers += answer
    assert accepted * len(payload) <= REQUEST_BYTES_IN_FLIGHT_MAX
    assert len(give(dialler, answers)) == 3


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!I", FRAME_MAX_BYTES + 1),
        struct.pack("!I", 3) + b"\xff\xff\xff",
        framed(Frame(2, FrameKind.REQUEST, "m")),
        framed(Frame(0, FrameKind.REQUEST, "m")),
        framed(Frame(1, FrameKind.REQUEST, "m")) * 2,
        framed(Frame(1, FrameKind.CANCEL)),
        framed(Frame(2, FrameKind.REPLY)),
        framed(Frame(0, FrameKind.ITEM)),
        framed(Frame(1, FrameKind.STREAM, "m")),  # no credit
        framed(Frame(1, FrameKind.STREAM, "m", credit_bytes=1 << 40)),
        framed(Frame(1, FrameKind.STREAM, "m", credit_bytes=1))
        + framed(Frame(1, FrameKind.CREDIT, credit_bytes=1 << 40)),
        framed(Frame(1, FrameKind.REQUEST, "m")) + framed(Frame(1, FrameKind.CREDIT, credit_bytes=1)),
    ],
)
def test_violations_end_the_channel(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        ChannelMachine(dialler=False).receive(data)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(1, FrameKind.ERROR),  # an error without error
        Frame(1, FrameKind.ITEM),  # to a request
        Frame(1, FrameKind.END),
        Frame(3, FrameKind.REPLY),  # not asked yet
    ],
)
def test_answers_that_do_not_fit_end_the_channel(frame: Frame) -> None:
    dialler, _ = pair()
    dialler.request("m", b"")
    with pytest.raises(ProtocolViolation):
        dialler.receive(framed(frame))


@given(st.binary(max_size=200), st.booleans())
def test_junk_is_a_violation_or_nothing(junk: bytes, dialler: bool) -> None:
    machine = ChannelMachine(dialler=dialler)
    machine.request("m", b"")
    for data in (junk, struct.pack("!I", len(junk)) + junk):
        try:
            machine.receive(data)
        except ProtocolViolation:
            machine = ChannelMachine(dialler=dialler)


class TwoMachines(RuleBasedStateMachine):
    """Any order of asking, answering and cancelling, with frames under way, never breaks the protocol."""

    asked: Bundle[tuple[int, int, bool]] = Bundle("asked")  # side, id, streaming

    def __init__(self) -> None:
        super().__init__()
        self.machines = pair()
        self.under_way = [bytearray(), bytearray()]  # to machine 0 and 1
        self.to_answer: list[dict[int, bool]] = [{}, {}]
        self.open: list[set[int]] = [set(), set()]

    def send(self, to: int, data: bytes) -> None:
        self.under_way[to] += data

    @rule(target=asked, side=st.integers(0, 1), streaming=st.booleans(), payload=st.binary(max_size=20))
    def ask(self, side: int, streaming: bool, payload: bytes) -> tuple[int, int, bool]:
        machine = self.machines[side]
        if streaming:
            asked_id, data = machine.open_stream("m", payload, 1000)
        else:
            asked_id, data = machine.request("m", payload)
        self.open[side].add(asked_id)
        self.send(1 - side, data)
        return side, asked_id, streaming

    @rule(side=st.integers(0, 1), count=st.integers(1, 300))
    def deliver(self, side: int, count: int) -> None:
        data = bytes(self.under_way[side][:count])
        del self.under_way[side][:count]
        events, answers = self.machines[side].receive(data)
        self.send(1 - side, answers)
        for event in events:
            match event:
                case Asked():
                    self.to_answer[side][event.id] = event.streaming
                case Cancelled():
                    del self.to_answer[side][event.id]
                case Replied() | Failed() | StreamEnded():
                    self.open[side].remove(event.id)  # each ends exactly once
                case ItemArrived():
                    assert event.id in self.open[side]

    @rule(side=st.integers(0, 1), error=st.booleans(), data=st.data())
    def answer(self, side: int, error: bool, data: st.DataObject) -> None:
        if not self.to_answer[side]:
            return
        asked_id = data.draw(st.sampled_from(sorted(self.to_answer[side])))
        streaming = self.to_answer[side].pop(asked_id)
        machine = self.machines[side]
        if error:
            self.send(1 - side, machine.fail(asked_id, ERROR))
        elif streaming:
            while machine.may_send_item(asked_id, b"x" * 100):
                self.send(1 - side, machine.item(asked_id, b"x" * 100))
            self.send(1 - side, machine.end(asked_id))
        else:
            self.send(1 - side, machine.reply(asked_id, b"r"))

    @rule(one=consumes(asked))
    def cancel(self, one: tuple[int, int, bool]) -> None:
        side, asked_id, _ = one
        self.send(1 - side, self.machines[side].cancel(asked_id))
        self.open[side].discard(asked_id)

    @rule(target=asked, one=consumes(asked), credit=st.integers(1, 500))
    def grant(self, one: tuple[int, int, bool], credit: int) -> tuple[int, int, bool]:
        side, asked_id, streaming = one
        if streaming:
            self.send(1 - side, self.machines[side].grant(asked_id, credit))
        return one

    @invariant()
    def open_is_what_the_machine_thinks(self) -> None:
        for side, machine in enumerate(self.machines):
            assert set(machine.asked) == self.open[side]


TestTwoMachines = TwoMachines.TestCase
