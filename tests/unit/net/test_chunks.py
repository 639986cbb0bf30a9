"""The chunk protocol, driven without any I/O."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import EnvironmentFailure
from p2p.core.frames import ErrorBody, ErrorFamily
from p2p.core.limits import BULK_WANTS_OUTSTANDING_MAX, CHUNK_BYTES, CHUNK_RETRIES_MAX
from p2p.net.chunks import (
    HEADER,
    ChunkProtocolViolation,
    ChunkRef,
    ProviderSession,
    PullPlan,
    RecordKind,
    error_from_body,
    error_to_body,
    parse_header,
    record,
)


def chunk(data: bytes) -> ChunkRef:
    return ChunkRef(sha256(data).digest(), len(data))


def header_of(size: int) -> bytes:
    return HEADER.pack(RecordKind.CHUNK.value, size)


def wanted_of(session: ProviderSession) -> list[bytes]:
    return list(iter(session.next_wanted, None))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=30), st.integers(1, 8), st.data())
def test_a_transfer_brings_every_chunk_once_whatever_is_lost_or_flipped(
    contents: list[bytes], ahead: int, data: st.DataObject
) -> None:
    by_hash = {sha256(content).digest(): content for content in contents}
    plan = PullPlan(chunk(content) for content in contents)
    arrived: list[bytes] = []
    faults = 6  # fewer than any chunk may be retried
    while not plan.finished:
        session = ProviderSession()
        while not plan.finished:
            session.receive(plan.asks(ahead))
            wanted = session.next_wanted()
            assert wanted == plan.due.hash
            content = by_hash[wanted]
            assert plan.chunk_length(header_of(len(content))) == len(content)
            fault = data.draw(st.sampled_from(["none", "cut", "flip"])) if faults else "none"
            if fault == "cut":
                faults -= 1
                plan.lost(data.draw(st.integers(0, len(content))))
                break
            if fault == "flip":
                faults -= 1
                flipped = bytes((content[0] ^ 1,)) + content[1:]
                assert not plan.verify(memoryview(flipped))
                continue
            assert plan.verify(memoryview(content))
            arrived.append(content)
            plan.stored()
    assert sorted(arrived) == sorted(set(contents))
    assert plan.done_bytes == sum(map(len, set(contents)))
    assert plan.resent_bytes <= 6 * 40


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20), st.data())
def test_wants_may_arrive_in_any_pieces(hashes: list[bytes], data: st.DataObject) -> None:
    session = ProviderSession()
    sent = b"".join(record(RecordKind.WANT, wanted) for wanted in hashes)
    while sent:
        count = data.draw(st.integers(1, len(sent)))
        session.receive(sent[:count])
        sent = sent[count:]
    assert wanted_of(session) == hashes


def test_at_most_so_many_are_wanted_at_once() -> None:
    session = ProviderSession()
    session.receive(record(RecordKind.WANT, bytes(32 * BULK_WANTS_OUTSTANDING_MAX)))
    with pytest.raises(ChunkProtocolViolation, match="at once"):
        session.receive(record(RecordKind.WANT, bytes(32)))


@pytest.mark.parametrize(
    "data",
    [
        record(RecordKind.HELLO, bytes(32)),
        record(RecordKind.CHUNK, b"x"),
        record(RecordKind.WANT, b""),
        record(RecordKind.WANT, bytes(33)),
        HEADER.pack(2, 32 * BULK_WANTS_OUTSTANDING_MAX + 32),
        HEADER.pack(99, 0),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_provider_ends_a_session_that_breaks_the_rules(data: bytes) -> None:
    with pytest.raises(ChunkProtocolViolation):
        ProviderSession().receive(data)


def test_a_puller_ends_a_session_that_breaks_the_rules() -> None:
    plan = PullPlan([chunk(b"abc")])
    with pytest.raises(ChunkProtocolViolation):  # not asked yet
        plan.chunk_length(header_of(3))
    plan.asks(4)
    for header in (header_of(4), header_of(0), HEADER.pack(RecordKind.WANT.value, 0), header_of(CHUNK_BYTES)):
        with pytest.raises(ChunkProtocolViolation):
            plan.chunk_length(header)
    with pytest.raises(ChunkProtocolViolation):
        plan.chunk_length(header_of(CHUNK_BYTES + 1))
    assert plan.chunk_length(header_of(3)) == 3


def test_a_chunk_that_stays_corrupt_is_named() -> None:
    ref = chunk(b"abc")
    plan = PullPlan([ref])
    for _ in range(CHUNK_RETRIES_MAX):
        plan.asks(1)
        assert not plan.verify(memoryview(b"abd"))
    plan.asks(1)
    with pytest.raises(EnvironmentFailure, match=ref.hash.hex()) as caught:
        plan.verify(memoryview(b"abd"))
    assert caught.value.code == "chunk_corrupt"


def test_what_was_asked_when_the_session_was_lost_is_asked_again_in_order() -> None:
    refs = [chunk(b"a"), chunk(b"b"), chunk(b"c")]
    plan = PullPlan(refs)
    first = plan.asks(2)
    plan.lost(0)
    assert plan.asks(2) == first
    assert plan.due == refs[0]


def test_the_same_content_is_asked_once() -> None:
    assert PullPlan([chunk(b"a")] * 5).asks(9) == record(RecordKind.WANT, chunk(b"a").hash)


@pytest.mark.parametrize("size", [0, -1, CHUNK_BYTES + 1])
def test_no_such_chunk(size: int) -> None:
    with pytest.raises(ValueError, match="not a chunk"):
        ChunkRef(os.urandom(32), size)
    with pytest.raises(ValueError, match="not a chunk"):
        ChunkRef(os.urandom(31), 1)


@given(
    st.text(max_size=50),
    st.text(max_size=50),
    st.text(max_size=50),
    st.booleans(),
    st.sampled_from(ErrorFamily),
)
def test_an_error_survives_its_record(
    what: str, meaning: str, hint: str, retry: bool, family: ErrorFamily
) -> None:
    error = ErrorBody(family, "code", what, meaning, hint, retry)
    body = error_to_body(error)
    assert parse_header(record(RecordKind.FAILED, body)[: HEADER.size]) == (RecordKind.FAILED, len(body))
    assert error_from_body(body) == error


@given(st.binary(max_size=60))
def test_a_junk_error_is_a_violation_or_an_error(body: bytes) -> None:
    try:
        error_from_body(body)
    except ChunkProtocolViolation:
        return
