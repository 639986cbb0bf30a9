"""A window that goes takes what it waited for with it, in whatever order Python and Qt clean up."""

from __future__ import annotations

import gc
from functools import partial

from PyQt6.QtCore import QObject

from gui_kit.endings import when_destroyed


class Owner(QObject):
    """Knows a part of itself, which knows it: only the collector frees the two."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.part = QObject(self)
        self.part.setProperty("owner", self)
        when_destroyed(self.part, partial(told.append, "part"))


def test_it_is_told_once_when_the_object_is_deleted() -> None:
    told: list[str] = []
    thing = QObject()
    when_destroyed(thing, lambda: told.append("gone"))
    assert told == []
    del thing
    gc.collect()
    assert told == ["gone"]


def test_it_is_told_when_the_collector_takes_the_owner() -> None:
    told: list[str] = []
    owner = Owner(told)
    owner.setObjectName("owner")
    owner.itself = owner  # type: ignore[attr-defined]
    del owner
    gc.collect()
    assert told == ["part"]
