"""Core dataclasses to protobuf bytes and back.

A dataclass ``X`` corresponds to ``cyxwiz.v1.X`` field by field and name by name; enum members correspond
to ``X_NAME``. Decoding is strict: a malformed message, an unknown enum value or a missing nested message
is refused, so that code behind it never sees half a message. What protobuf cannot say (lengths, ranges)
is checked by whoever uses the message.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

from google.protobuf.message import DecodeError, Message

from p2p.core.errors import UserError
from p2p.wire.gen.cyxwiz.v1 import (
    auth_pb2,
    common_pb2,
    disputes_pb2,
    estimates_pb2,
    extensions_pb2,
    jobs_pb2,
    nodes_pb2,
    sponsor_pb2,
    transfer_pb2,
    usage_pb2,
)

T = TypeVar("T")

_MODULES = (
    common_pb2,
    auth_pb2,
    nodes_pb2,
    jobs_pb2,
    transfer_pb2,
    disputes_pb2,
    sponsor_pb2,
    estimates_pb2,
    usage_pb2,
    extensions_pb2,
)
_SCALARS = (int, str, bytes, float, bool)


def encode(value: object) -> bytes:
    """Serialise a core dataclass. Equal values give equal bytes on one version of this code."""
    return _to_message(value).SerializeToString(deterministic=True)


def decode(kind: type[T], data: bytes) -> T:
    """Parse ``data`` as ``kind``.

    :raises UserError: ``bad_message``: not such a message.
    """
    message = message_class(cast(Any, kind))()
    try:
        message.ParseFromString(data)
        return cast(T, _from_message(kind, message))
    except (DecodeError, ValueError) as error:
        raise UserError("bad_message", f"A malformed {kind.__name__} message came: {error}.") from None


@cache
def message_class(kind: Any) -> type[Message]:
    """The generated class for the core dataclass ``kind``."""
    for module in _MODULES:
        found = getattr(module, kind.__name__, None)
        if found is not None:
            return cast("type[Message]", found)
    raise TypeError(f"no protobuf message for {kind.__name__}")


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
    repeated: bool
    optional: bool
    put: Callable[[Any], Any] | None  # None: nested message, filled in place
    get: Callable[[Any], Any]


@cache
def _fields(kind: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(kind)
    return tuple(_field(field.name, hints[field.name]) for field in dataclasses.fields(kind))


def _field(name: str, hint: Any) -> _Field:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    repeated = origin is tuple
    optional = origin in (typing.Union, types.UnionType)
    if repeated:
        hint = arguments[0]
    elif optional:
        (hint,) = (argument for argument in arguments if argument is not type(None))
    if hint in _SCALARS:
        return _Field(name, repeated, optional, lambda value: value, lambda value: value)
    if issubclass(hint, Enum):
        numbers, members = _enum_maps(hint)
        return _Field(name, repeated, optional, numbers.__getitem__, _enum_getter(name, members))
    return _Field(name, repeated, optional, None, lambda message: _from_message(hint, message))


def _enum_getter(name: str, members: dict[int, Enum]) -> Callable[[int], Enum]:
    def get(number: int) -> Enum:
        member = members.get(number)
        if member is None:
            raise ValueError(f"{name} has the unknown value {number}")
        return member

    return get


@cache
def _enum_maps(kind: Any) -> tuple[dict[Enum, int], dict[int, Enum]]:
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper()
    for module in _MODULES:
        descriptor = module.DESCRIPTOR.enum_types_by_name.get(kind.__name__)
        if descriptor is not None:
            numbers = {m: descriptor.values_by_name[f"{prefix}_{m.name}"].number for m in kind}
            return numbers, {number: member for member, number in numbers.items()}
    raise TypeError(f"no protobuf enum for {kind.__name__}")


def _to_message(value: Any) -> Message:
    message = message_class(cast(Any, type(value)))()
    _fill(message, value)
    return message


def _fill(message: Message, value: Any) -> None:
    for field in _fields(cast(Any, type(value))):
        item = getattr(value, field.name)
        if field.repeated:
            target = getattr(message, field.name)
            if field.put is None:
                for element in item:
                    _fill(target.add(), element)
            else:
                target.extend([field.put(element) for element in item])
        elif item is None and field.optional:
            continue
        elif field.put is None:
            nested = getattr(message, field.name)
            nested.SetInParent()
            _fill(nested, item)
        else:
            setattr(message, field.name, field.put(item))


def _from_message(kind: type, message: Any) -> Any:
    values: dict[str, Any] = {}
    for field in _fields(kind):
        if field.repeated:
            values[field.name] = tuple(field.get(element) for element in getattr(message, field.name))
        elif field.optional:
            present = message.HasField(field.name)
            values[field.name] = field.get(getattr(message, field.name)) if present else None
        elif field.put is None and not message.HasField(field.name):
            raise ValueError(f"{field.name} is missing")
        else:
            values[field.name] = field.get(getattr(message, field.name))
    return kind(**values)
