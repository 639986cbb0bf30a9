"""The codec and the .proto files say the same thing as the dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core import jobspec, manifest, money, signing, states
from p2p.core.errors import UserError
from p2p.core.frames import Frame, FrameKind
from p2p.core.messages import auth, disputes, jobs, nodes, transfer
from p2p.core.messages.nodes import StateReport
from p2p.wire.codec import decode, encode, message_class
from p2p.wire.frames import decode_frame, encode_frame

_COMMON = (
    jobspec.JobConfig,
    jobspec.JobSpec,
    manifest.FileEntry,
    manifest.Manifest,
    signing.Signed,
)


def _messages() -> list[type]:
    found = [
        kind
        for module in (auth, jobs, nodes, transfer, disputes)
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind)
    ]
    return [*found, *_COMMON]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
for _enum in (money.Asset, states.JobState, states.FailureCode, states.DisputeState, jobspec.NetworkMode):
    st.register_type_strategy(_enum, st.sampled_from(_enum))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(str, _TEXT)
st.register_type_strategy(float, st.floats(allow_nan=False))


@pytest.mark.parametrize("kind", _messages(), ids=lambda kind: kind.__name__)
def test_every_message_has_exactly_the_fields_of_its_dataclass(kind: type) -> None:
    descriptor = message_class(kind).DESCRIPTOR
    assert [field.name for field in descriptor.fields] == [f.name for f in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind", _messages(), ids=lambda kind: kind.__name__)
def test_every_message_survives_the_wire(kind: type) -> None:
    @given(st.from_type(kind))
    def check(value: object) -> None:
        assert decode(kind, encode(value)) == value

    check()


def test_an_enum_value_that_does_not_exist_is_refused() -> None:
    raw = message_class(StateReport)(job_id="a", state=99).SerializeToString()  # type: ignore[call-arg]
    with pytest.raises(UserError, match="state has the unknown value 99"):
        decode(StateReport, raw)


def test_a_message_without_a_required_part_is_refused() -> None:
    with pytest.raises(UserError, match="spec is missing"):
        decode(jobs.QuoteRequest, b"")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    for kind in (jobs.QuoteRequest, nodes.RegisterRequest, manifest.Manifest):
        with suppress(UserError):
            assert isinstance(decode(kind, data), kind)


@given(st.from_type(Frame).filter(lambda f: f.id >= 0 and f.credit_bytes >= 0))
def test_frames_survive_the_wire(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(st.binary(max_size=200))
def test_no_bytes_break_the_frame_decoder(data: bytes) -> None:
    with suppress(UserError):
        assert isinstance(decode_frame(data).kind, FrameKind)
