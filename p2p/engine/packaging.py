"""From a script and a folder of data to a job's specification and manifest.

Everything that can be wrong is found here, before anything is sent or paid. Data are hashed where they
lie and never copied; the script and its requirements are small and are copied, so that they can be edited
while the job waits.
"""

from __future__ import annotations

import os
import stat
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import trio

from p2p.core.clock import Clock
from p2p.core.errors import UserError
from p2p.core.jobspec import (
    JobConfig,
    JobSpec,
    check_data_url,
    check_gpu_type,
    check_max_price,
    check_min_vram,
    check_network,
    check_timeout,
    parse_config,
)
from p2p.core.limits import (
    CHUNK_BYTES,
    CONFIG_MAX_BYTES,
    FRAME_MAX_BYTES,
    JOB_NAME_MAX_CHARS,
    KIB,
    REQUIREMENTS_MAX_BYTES,
    SCRIPT_MAX_BYTES,
)
from p2p.core.manifest import FileEntry, Manifest, check_path, make_manifest
from p2p.core.money import Asset
from p2p.core.requirements import check_requirements
from p2p.core.text import clean_name
from p2p.engine.data_files import DATA, find_data
from p2p.engine.hashing import NOTHING_SENT, FoundFile, Progress, hash_files, unreadable
from p2p.store.engine import EngineTables
from p2p.wire.codec import encode

REQUIREMENTS = "requirements.txt"

CONFIG_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "gpu_type": ("gpu_type", check_gpu_type),
    "min_vram": ("min_vram_bytes", check_min_vram),
    "max_price": ("max_price_usd_micros_per_hour", check_max_price),
    "timeout": ("timeout_s", check_timeout),
    "network": ("network", check_network),
}
"""The fields of ``config.json``: what :class:`JobConfig` calls them, and what reads their values."""


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """What a buyer names. ``overrides`` has fields of ``config.json`` that win over the file's."""

    script: Path
    asset: Asset
    requirements: Path | None = None
    data: Path | None = None
    data_url: str = ""
    data_sha256: bytes = b""
    config: Path | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A checked job. ``copies`` are the small inputs by manifest path, to be written into the job's folder;
    ``sources`` are the data where they lie."""

    spec: JobSpec
    manifest: Manifest
    copies: dict[str, bytes]
    sources: dict[str, Path]
    known_bytes: int


async def package(
    request: PackageRequest, tables: EngineTables, clock: Clock, progress: Progress | None = None
) -> Package:
    """Validate and hash.

    :raises UserError: the first thing that is wrong, naming the file, field or line.
    """
    try:
        return await _package(request, tables, clock, progress)
    except UserError as error:
        if error.meaning:
            raise
        raise UserError(error.code, error.what, NOTHING_SENT, error.hint) from None


async def check_small(request: PackageRequest) -> None:
    """Everything of :func:`package` that takes no time: script, requirements, config.

    :raises UserError: as :func:`package`.
    """
    try:
        await trio.to_thread.run_sync(_read_small, request)
        await trio.to_thread.run_sync(read_config, request.config, request.overrides)
    except UserError as error:
        raise UserError(error.code, error.what, error.meaning or NOTHING_SENT, error.hint) from None


async def _package(
    request: PackageRequest, tables: EngineTables, clock: Clock, progress: Progress | None
) -> Package:
    copies = await trio.to_thread.run_sync(_read_small, request)
    config = await trio.to_thread.run_sync(read_config, request.config, request.overrides)
    script = next(iter(copies))
    found: list[FoundFile] = []
    if request.data is not None:
        found = await trio.to_thread.run_sync(find_data, request.data, request.exclude)
    hashed = await hash_files(found, tables, clock, progress)
    small = [FileEntry(path, len(body), _hash_small(body)) for path, body in copies.items()]
    manifest = _manifest([*small, *hashed.entries])
    spec = JobSpec(
        name=clean_name(request.name or Path(script).stem, JOB_NAME_MAX_CHARS) or "job",
        script=script,
        config=config,
        input_root=manifest.root(),
        input_bytes=manifest.size_bytes,
        input_files=len(manifest.files),
        has_requirements=REQUIREMENTS in copies,
        asset=request.asset,
        data_url=check_data_url(request.data_url) if request.data_url else "",
        data_sha256=request.data_sha256,
    )
    sources = {file.path: file.source for file in found}
    return Package(spec, manifest, copies, sources, hashed.known_bytes)


def _read_small(request: PackageRequest) -> dict[str, bytes]:
    """The script first, then the requirements."""
    name, script = read_script(request.script)
    copies = {name: script}
    if request.requirements is not None:
        copies[REQUIREMENTS] = read_requirements(request.requirements)
    return copies


def read_script(path: Path) -> tuple[str, bytes]:
    """Its name in the job, and what is in it; Python can read it, but it is never run here.

    :raises UserError: it cannot be a job's script.
    """
    script = _read_file(path, SCRIPT_MAX_BYTES, "script")
    name = check_path(unicodedata.normalize("NFC", path.name))
    if name.casefold() in (REQUIREMENTS, DATA):
        raise UserError(
            "bad_script", f"The script cannot be called {name}.", NOTHING_SENT, "Give it another name."
        )
    _check_script(script, path)
    return name, script


def read_requirements(path: Path) -> bytes:
    """The node applies the same rules; here they cost no waiting.

    :raises UserError: it cannot be read, or has a line that no node would install.
    """
    raw = _read_file(path, REQUIREMENTS_MAX_BYTES, "requirements")
    try:
        check_requirements(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(
            "bad_requirement", f"{path} is not UTF-8.", NOTHING_SENT, "Save it as UTF-8."
        ) from None
    except UserError as error:
        raise UserError(error.code, error.what, NOTHING_SENT, error.hint) from None
    return raw


def _check_script(raw: bytes, path: Path) -> None:
    try:
        source = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(
            "bad_script",
            f"{path}, line {line}: not UTF-8.",
            NOTHING_SENT,
            "Save the script as UTF-8.",
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, path.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise UserError(
            "bad_script",
            f"{path}, line {error.lineno or 1}: {error.msg}.",
            f"The job would fail at once. {NOTHING_SENT}",
            f"Mend the line; `python -m py_compile {path.name}` shows the same.",
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError("bad_script", f"{path} is not Python source: {error}.", NOTHING_SENT) from None


def read_config(path: Path | None, overrides: Mapping[str, Any]) -> JobConfig:
    """``config.json``, if there is one, and the fields that win over it.

    :raises UserError: it cannot be read, or names a field that cannot be.
    """
    config = JobConfig()
    if path is not None:
        raw = _read_file(path, CONFIG_MAX_BYTES, "config")
        try:
            config = parse_config(raw)
        except UserError as error:
            raise UserError(error.code, error.what, error.meaning, error.hint or f"Mend {path}.") from None
    values = {name: getattr(config, name) for name in JobConfig.__dataclass_fields__}
    for name, value in overrides.items():
        if name not in CONFIG_FIELDS:
            raise UserError("bad_config", f"There is no field {name[:40]!r}.", NOTHING_SENT)
        target, check = CONFIG_FIELDS[name]
        values[target] = check(value)
    return JobConfig(**values)


def _read_file(path: Path, max_bytes: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"no_{what}", f"{path} is not a file.", NOTHING_SENT)
            raw = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise UserError(
            f"no_{what}", f"There is no {what} file {path}.", NOTHING_SENT, "Check the path."
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    if len(raw) > max_bytes:
        raise UserError(
            "too_large",
            f"{path} is larger than {max_bytes // KIB} KiB.",
            NOTHING_SENT,
            f"A {what} file is small; put data into the folder that --data names.",
        )
    return raw


def _hash_small(body: bytes) -> tuple[bytes, ...]:
    return tuple(sha256(body[at : at + CHUNK_BYTES]).digest() for at in range(0, len(body), CHUNK_BYTES))


def _manifest(entries: list[FileEntry]) -> Manifest:
    try:
        manifest = make_manifest(entries)
    except UserError as error:
        hint = "Rename it, or leave it out with --exclude."
        raise UserError(error.code, error.what, error.meaning, error.hint or hint) from None
    if len(encode(manifest)) > FRAME_MAX_BYTES // 2:
        raise UserError(
            "too_many_files",
            "The list of the files is too long to be sent.",
            NOTHING_SENT,
            "Pack many small files into fewer, or shorten their names.",
        )
    return manifest
