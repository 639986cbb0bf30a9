"""Named SQL: ``sql/<file>.sql`` with ``-- name: <query>`` headers; a query is called ``<file>.<query>``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Split one file into its queries.

    :raises ValueError: text before the first header, an empty query, or a name given twice.
    """
    before, *parts = _HEADER.split(text)
    if before.strip():
        raise ValueError("there is SQL before the first `-- name:` header")
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in found or not body.strip():
            raise ValueError(f"query {name!r} is empty or named twice")
        found[name] = body.strip().rstrip(";")
    return found


@cache
def load_all() -> dict[str, str]:
    """Every query of the package."""
    folder = files("coordinator.store") / "sql"
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".sql"):
            stem = entry.name.removesuffix(".sql")
            for name, body in parse(entry.read_text(encoding="utf-8")).items():
                found[f"{stem}.{name}"] = body
    return found
