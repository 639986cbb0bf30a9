"""Schema steps as plain SQL files, ``<agent>/<number>_<name>.sql``: applied in order, never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number (1, 2, ... without gaps), its name, the statements."""

    number: int
    name: str
    sql: str


def migrations(agent: str) -> tuple[Migration, ...]:
    """The steps of ``agent`` (``engine`` or ``node``), in order.

    :raises ValueError: the files are not numbered 1, 2, ... without gaps.
    """
    found = []
    for item in files(__package__).joinpath(agent).iterdir():
        match = _FILE_NAME.match(item.name)
        if match:
            found.append(Migration(int(match[1]), match[2], item.read_text("utf-8")))
    found.sort(key=lambda step: step.number)
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations of {agent} are not numbered from 1 without gaps")
    return tuple(found)
