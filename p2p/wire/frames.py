"""The control channel's envelope to bytes and back. Hot path, so written out instead of mapped."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from p2p.core.errors import UserError
from p2p.core.frames import ErrorBody, ErrorFamily, Frame, FrameKind
from p2p.core.limits import FRAME_MAX_BYTES, METHOD_NAME_MAX_CHARS
from p2p.wire.gen.cyxwiz.v1 import frame_pb2


def encode_frame(frame: Frame) -> bytes:
    """Serialise ``frame`` (without the length prefix, which is the channel's)."""
    message = frame_pb2.Frame(
        id=frame.id,
        kind=frame.kind.value,  # type: ignore[arg-type]  # the numbers are the enum's own
        method=frame.method,
        payload=frame.payload,
        credit_bytes=frame.credit_bytes,
    )
    if frame.error is not None:
        error = frame.error
        message.error.family = error.family.value  # type: ignore[assignment]
        message.error.code = error.code
        message.error.what = error.what
        message.error.meaning = error.meaning
        message.error.hint = error.hint
        message.error.retryable = error.retryable
    return message.SerializeToString()


def decode_frame(data: bytes) -> Frame:
    """Parse one frame.

    :raises UserError: ``bad_frame``: too long, malformed, or of a kind that does not exist.
    """
    if len(data) > FRAME_MAX_BYTES:
        raise UserError("bad_frame", f"A frame of {len(data)} bytes is over the limit.")
    try:
        message = frame_pb2.Frame.FromString(data)
        kind = FrameKind(message.kind)
        error = None
        if message.HasField("error"):
            body = message.error
            error = ErrorBody(
                ErrorFamily(body.family), body.code, body.what, body.meaning, body.hint, body.retryable
            )
    except (DecodeError, ValueError) as problem:
        raise UserError("bad_frame", f"A malformed frame was received: {problem}.") from None
    if len(message.method) > METHOD_NAME_MAX_CHARS or message.id < 0 or message.credit_bytes < 0:
        raise UserError("bad_frame", "A frame with impossible fields was received.")
    return Frame(message.id, kind, message.method, message.payload, message.credit_bytes, error)
