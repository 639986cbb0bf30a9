"""What a new job is made of, as the form has it, and what the agent is asked with it; the agent says what is
wrong with it. No widgets in here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gui_kit.words import tr
from p2p.core.durations import parse_duration
from p2p.core.errors import CyxWizError, UserError
from p2p.core.jobspec import ANY_GPU, JobConfig, NetworkMode, parse_config
from p2p.core.limits import GIB, TIMEOUT_DEFAULT_S
from p2p.core.money import format_usd
from p2p.core.text import is_clean
from p2p.local.protocol import error_from_json

Json = dict[str, Any]

_TIME_UNITS = (("h", 3600), ("min", 60))


@dataclass(frozen=True, slots=True)
class JobForm:
    """As typed. ``data``: a folder, a file or a URL; ``exclude``: patterns with commas between them;
    ``timeout``: as 90 min or 2 h; ``vram`` in GB, ``price`` in dollars an hour."""

    script: str = ""
    requirements: str = ""
    data: str = ""
    data_sha256: str = ""
    exclude: str = ""
    name: str = ""
    out: str = ""
    gpu_type: str = ANY_GPU
    min_vram: str = ""
    max_price: str = ""
    timeout: str = f"{TIMEOUT_DEFAULT_S // 3600} h"
    outbound: bool = False
    asset: str = "usdc"


FIELDS = tuple(field.name for field in fields(JobForm))
"""In the order in which they are filled in."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a job would send, and what is wrong with it by field of the form. ``config``: what the fields of
    ``config.json`` come to, None as long as one of them is wrong."""

    files: int
    size_bytes: int
    known_bytes: int
    left_out: int
    problems: dict[str, str]
    config: Json | None


def is_url(text: str) -> bool:
    """Whether the data are fetched by the node itself."""
    return text.strip().lower().startswith(("http://", "https://"))


def patterns(text: str) -> list[str]:
    """The patterns of names to leave out."""
    return [part.strip() for part in text.split(",") if part.strip()]


def gpu_classes(offers: Iterable[Json]) -> tuple[str, ...]:
    """The classes to choose from. One whose name is more than letters can be no choice."""
    return tuple(sorted({offer["gpu_class"] for offer in offers if is_clean(offer["gpu_class"])}))


def missing(form: JobForm) -> tuple[str, str] | None:
    """The field that has to be filled in first, and what to do with it."""
    if not form.script.strip():
        return "script", tr("Choose a script")
    if not form.out.strip():
        return "out", tr("Choose a results folder")
    return None


# -- for the agent


def local_problems(form: JobForm) -> dict[str, str]:
    """What is not even in the form in which the agent takes it."""
    found = {}
    for name, read in (("min_vram", _vram), ("timeout", _timeout_s)):
        try:
            read(form)
        except UserError as error:
            found[name] = problem_text(error)
    return found


def overrides(form: JobForm) -> Json:
    """The fields of ``config.json``.

    :raises UserError: one of them can't be read.
    """
    network = NetworkMode.OUTBOUND if form.outbound else NetworkMode.NONE
    found: Json = {
        "gpu_type": form.gpu_type.strip() or ANY_GPU,
        "min_vram": _vram(form),
        "timeout": _timeout_s(form),
        "network": network.value,
    }
    if form.max_price.strip():
        found["max_price"] = form.max_price.strip()
    return found


def measure_params(form: JobForm) -> Json:
    """What ``measure`` is asked with.

    :raises UserError: as :func:`overrides`.
    """
    data = form.data.strip()
    url = data if is_url(data) else ""
    return {
        "script": _path(form.script),
        "out": _path(form.out),
        "data": None if url else _path(data),
        "data_url": url or None,
        "data_sha256": (form.data_sha256.strip().lower() or None) if url else None,
        "requirements": _path(form.requirements),
        "overrides": overrides(form),
        "exclude": patterns(form.exclude) if data and not url else [],
    }


def plan_params(form: JobForm) -> Json:
    """What ``plan`` is asked with. Raises as :func:`overrides`."""
    return {**measure_params(form), "name": form.name.strip(), "asset": form.asset}


def measured(answer: Json) -> Measured:
    """From the last item of ``measure``. Of several problems with one field the first is shown."""
    problems: dict[str, str] = {}
    for problem in answer["problems"]:
        name = {"data_url": "data", "network": "outbound", "config": ""}.get(
            problem["field"], problem["field"]
        )
        if name in FIELDS:
            problems.setdefault(name, problem_text(error_from_json(problem)))
    return Measured(
        answer["files"], answer["bytes"], answer["known_bytes"], answer["left_out_count"], problems,
        answer["config"],
    )  # fmt: skip


def problem_text(error: CyxWizError) -> str:
    """What is said beside a field: what is wrong and what to do."""
    return " ".join(part for part in (error.what, error.hint) if part)


# -- config.json


def config_text(form: JobForm) -> str:
    """The form's choices as a ``config.json``. Raises as :func:`overrides`."""
    found = overrides(form)
    if "max_price" in found:
        found["max_price"] = found["max_price"].removeprefix("$")
    return json.dumps(found, indent=2) + "\n"


def with_config(form: JobForm, raw: bytes) -> JobForm:
    """The form with the fields of a ``config.json``.

    :raises UserError: it is none.
    """
    return _with_choices(form, parse_config(raw))


def duplicate_of(job: Json, request: Json, out: str) -> JobForm:
    """A job of ``show`` as a new one; ``out``: a folder that is free. ``request``: what it was planned with,
    as far as the agent knows it; what it doesn't stays empty."""
    config = JobConfig(
        job["gpu_type"], job["min_vram_bytes"], job["max_price_usd_micros_per_hour"], job["timeout_s"],
        NetworkMode(job["network"]),
    )  # fmt: skip
    form = JobForm(
        script=request.get("script") or "",
        requirements=request.get("requirements") or "",
        data=request.get("data") or job["input"]["data_url"],
        data_sha256=request.get("data_sha256") or "",
        exclude=", ".join(request.get("exclude") or ()),
        name=job["name"],
        out=out,
        asset=job["asset"],
    )
    return _with_choices(form, config)


def _with_choices(form: JobForm, config: JobConfig) -> JobForm:
    price = config.max_price_usd_micros_per_hour
    return replace(
        form,
        gpu_type=config.gpu_type,
        min_vram=f"{config.min_vram_bytes / GIB:g}" if config.min_vram_bytes else "",
        max_price=format_usd(price).removeprefix("$") if price is not None else "",
        timeout=limit_text(config.timeout_s),
        outbound=config.network is NetworkMode.OUTBOUND,
    )


def limit_text(seconds: int) -> str:
    """A time limit in the largest unit in which it is a whole number."""
    for unit, size in _TIME_UNITS:
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# -- files


def sort_dropped(
    form: JobForm, dropped: Iterable[str], is_folder: Callable[[str], bool]
) -> tuple[JobForm, str]:
    """The form with what was dropped on it, each at its place by its name; and the path of a ``config.json``
    among it, to be read."""
    config = ""
    for item in dropped:
        name = Path(item).name.lower()
        if is_url(item) or is_folder(item):
            form = replace(form, data=item)
        elif name.endswith(".py"):
            form = replace(form, script=item)
        elif name.endswith(".txt") and "requirements" in name:
            form = replace(form, requirements=item)
        elif name == "config.json":
            config = item
        else:
            form = replace(form, data=item)
    return form, config


def free_folder(script: str, exists: Callable[[Path], bool]) -> str:
    """A folder for the results beside the script that is not there yet: ``out``, ``out-2`` …"""
    path = _path(script)
    if path is None:
        return ""
    base = Path(path).parent / "out"
    number, found = 1, base
    while exists(found):
        number += 1
        found = base.with_name(f"out-{number}")
    return str(found)


def _path(text: str) -> str | None:
    """Absolute, because the agent has another folder."""
    return str(Path(text.strip()).expanduser().absolute()) if text.strip() else None


def _vram(form: JobForm) -> float:
    try:
        return float(form.min_vram.strip() or 0)
    except ValueError:
        raise UserError("bad_number", tr("VRAM is a number of GB, such as 8.")) from None


def _timeout_s(form: JobForm) -> int:
    try:
        return parse_duration(form.timeout)
    except UserError:
        raise UserError("bad_duration", tr("Write the time limit like 90 min or 2 h.")) from None
