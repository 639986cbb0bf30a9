"""What a job would send, and what stands in its way: everything at once, before anything is hashed.

A form that is still being filled in asks this again and again, so nothing is missed that packaging would
refuse, and each problem names the field that it belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from p2p.core.errors import UserError
from p2p.core.jobspec import JobConfig, check_data_url
from p2p.core.limits import (
    GIB,
    LEFT_OUT_LISTED_MAX,
    MANIFEST_BYTES_MAX,
    MANIFEST_FILES_MAX,
    MEASURE_STEP_FILES,
    PROBLEMS_LISTED_MAX,
)
from p2p.core.manifest import check_path
from p2p.core.money import USD_MICROS
from p2p.engine.data_files import LeftOut, walk_data
from p2p.engine.hashing import NOTHING_SENT, FoundFile
from p2p.engine.packaging import CONFIG_FIELDS, read_config, read_requirements, read_script
from p2p.engine.parameters import Params, path_of, sha256_of
from p2p.engine.results import check_out_folder
from p2p.local.protocol import error_to_json
from p2p.store.engine import EngineTables

Json = dict[str, Any]
Progress = Callable[[int, int], None]
"""Called with how many files were found so far, and how many bytes."""


@dataclass
class Measure:
    """What is known of a job so far."""

    files: int = 0
    size_bytes: int = 0
    data: list[FoundFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    left_out_count: int = 0
    problems: list[tuple[str, UserError]] = field(default_factory=list)
    problem_count: int = 0
    config: JobConfig | None = None

    def add(self, size_bytes: int) -> None:
        """One more file."""
        self.files += 1
        self.size_bytes += size_bytes

    def complain(self, name: str, error: UserError) -> None:
        """Something is wrong with a field."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_LISTED_MAX:
            self.problems.append((name, error))

    @contextmanager
    def about(self, name: str) -> Iterator[None]:
        """What goes wrong in the block is wrong with the field ``name``."""
        try:
            yield
        except UserError as error:
            self.complain(name, error)


async def measure(tables: EngineTables, params: Params, progress: Progress) -> Json:
    """Look at whatever of a job is given. Nothing is hashed, sent or kept."""
    found = Measure()
    await trio.to_thread.run_sync(_look_at_fields, params, found)
    if (root := path_of(params, "data")) is not None:
        exclude = tuple(str(pattern) for pattern in params.get("exclude") or ())
        await trio.to_thread.run_sync(_look_at_data, root, exclude, found, progress)
    known = await tables.hashes((os.fsencode(file.source), file.identity) for file in found.data)
    known_bytes = sum(file.size_bytes for file in found.data if os.fsencode(file.source) in known)
    return {
        "files": found.files,
        "bytes": found.size_bytes,
        "known_bytes": known_bytes,
        "left_out": [{"path": item.path, "pattern": item.pattern} for item in found.left_out],
        "left_out_count": found.left_out_count,
        "problems": [{"field": name, **error_to_json(error)} for name, error in found.problems],
        "problem_count": found.problem_count,
        "config": None if found.config is None else config_to_json(found.config),
    }


def config_to_json(config: JobConfig) -> Json:
    """As a ``config.json`` would say it."""
    price = config.max_price_usd_micros_per_hour
    return {
        "gpu_type": config.gpu_type,
        "min_vram": config.min_vram_bytes / GIB,
        **({} if price is None else {"max_price": price / USD_MICROS}),
        "timeout": config.timeout_s,
        "network": config.network.value,
    }


def _look_at_fields(params: Params, found: Measure) -> None:
    if (script := path_of(params, "script")) is not None:
        with found.about("script"):
            found.add(len(read_script(script)[1]))
    if (requirements := path_of(params, "requirements")) is not None:
        with found.about("requirements"):
            found.add(len(read_requirements(requirements)))
    if params.get("data_url"):
        with found.about("data_url"):
            check_data_url(str(params["data_url"]))
    with found.about("data_sha256"):
        sha256_of(params)
    if (out := path_of(params, "out")) is not None:
        with found.about("out"):
            check_out_folder(out)
    _look_at_config(params, found)


def _look_at_config(params: Params, found: Measure) -> None:
    """The file as a whole, and each field that wins over it by itself."""
    before, path = found.problem_count, path_of(params, "config")
    overrides = dict(params.get("overrides") or {})
    with found.about("config"):
        read_config(path, {name: value for name, value in overrides.items() if name not in CONFIG_FIELDS})
    for name in CONFIG_FIELDS:
        if name in overrides:
            with found.about(name):
                read_config(None, {name: overrides[name]})
    if found.problem_count == before:
        with found.about("config"):
            found.config = read_config(path, overrides)


def _look_at_data(root: Path, exclude: tuple[str, ...], found: Measure, progress: Progress) -> None:
    for seen, item in enumerate(walk_data(root, exclude)):
        if seen % MEASURE_STEP_FILES == 0:
            # Also where this thread ends if nobody wants to know any more.
            trio.from_thread.run_sync(progress, found.files, found.size_bytes)
        if isinstance(item, UserError):
            found.complain("exclude" if item.code == "too_many_excludes" else "data", item)
        elif isinstance(item, LeftOut):
            found.left_out_count += 1
            if len(found.left_out) < LEFT_OUT_LISTED_MAX:
                found.left_out.append(item)
        else:
            with found.about("data"):
                check_path(item.path)
            found.add(item.size_bytes)
            found.data.append(item)
            if found.files > MANIFEST_FILES_MAX:
                what = f"{root} has more than {MANIFEST_FILES_MAX} files."
                hint = "Pack many small files into fewer, or leave some out with --exclude."
                found.complain("data", UserError("too_many_files", what, NOTHING_SENT, hint))
                return
    if found.size_bytes > MANIFEST_BYTES_MAX:
        what = f"{root} is larger than {MANIFEST_BYTES_MAX // GIB} GiB."
        found.complain("data", UserError("too_large", what, NOTHING_SENT, "Leave some out with --exclude."))
