"""Being told that a Qt object has ended, safely."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject

_WAITING: set[_Ending] = set()


class _Ending:
    """Kept in :data:`_WAITING` until it was called. Python's collector may empty a function that only a dying
    window still knows, and Qt calls it all the same when the window then goes: that ends the process."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do

    def run(self) -> None:
        _WAITING.discard(self)
        self._do()


def when_destroyed(thing: QObject, do: Callable[[], object]) -> None:
    """Have ``do`` called when ``thing`` is no more. It must not know ``thing``."""
    ending = _Ending(do)
    _WAITING.add(ending)
    thing.destroyed.connect(ending.run)
