"""Text that must not be seen: passwords, seed phrases, private keys."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Shows nothing of itself in a ``repr``, an f-string, a traceback with locals, or a pickle.

    :meth:`wipe` overwrites the one copy that this object holds. Copies made by :meth:`text` are
    Python's own and live until they are collected: ask late, and keep nothing.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes | bytearray) -> None:
        self._value = bytearray(value.encode() if isinstance(value, str) else value)

    def text(self) -> str:
        return self._value.decode()

    def raw(self) -> bytes:
        return bytes(self._value)

    def wipe(self) -> None:
        wipe(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


def wipe(buffer: bytearray) -> None:
    """Overwrite with zeros, in place, and empty it."""
    buffer[:] = bytes(len(buffer))
    buffer.clear()
