"""Reading the parameters of commands: a job by its id, a package, plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from p2p.core.errors import UserError
from p2p.core.ids import HASH_BYTES, is_job_id_prefix
from p2p.core.money import Asset
from p2p.engine.context import Engine
from p2p.engine.packaging import PackageRequest
from p2p.store.engine import JobRow

Params = dict[str, Any]


async def job_of(engine: Engine, params: Params) -> JobRow:
    """A job by its id or the beginning of it.

    :raises UserError: none or several fit.
    """
    text = text_of(params, "job").lower()
    found = await engine.tables.by_prefix(text) if is_job_id_prefix(text) else ()
    if len(found) == 1:
        return found[0]
    what = "fits several jobs" if found else "is not a job of this engine"
    raise UserError(
        "unknown_job", f"{text[:40]!r} {what}.", "Nothing was done.", "`cyxwiz jobs` lists yours."
    )


def text_of(params: Params, name: str) -> str:
    """A text that has to be there."""
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise UserError("bad_message", f"The parameter {name!r} is missing.")
    return value


def count_of(params: Params, name: str, default: int, most: int) -> int:
    """A whole number from 0 to ``most``; more is taken for ``most``."""
    value = params.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError("bad_message", f"The parameter {name!r} is not a count.")
    return min(value, most)


def path_of(params: Params, name: str) -> Path | None:
    """A path, if one is given."""
    return Path(params[name]) if params.get(name) else None


def package_request(params: Params) -> PackageRequest:
    """What ``plan`` and ``measure`` were asked for.

    :raises UserError: a value that cannot be.
    """
    return PackageRequest(
        script=Path(text_of(params, "script")),
        asset=asset_of(params),
        requirements=path_of(params, "requirements"),
        data=path_of(params, "data"),
        data_url=str(params.get("data_url") or ""),
        data_sha256=sha256_of(params),
        config=path_of(params, "config"),
        overrides=dict(params.get("overrides") or {}),
        exclude=tuple(params.get("exclude") or ()),
        name=str(params.get("name") or ""),
    )


def asset_of(params: Params) -> Asset:
    """The asset named in ``params``; USDC when none is.

    :raises UserError: there is no such asset.
    """
    name = params.get("asset") or Asset.USDC.value
    try:
        return Asset(name)
    except ValueError:
        names = ", ".join(asset.value for asset in Asset)
        raise UserError("bad_asset", f"{str(name)[:20]!r} is not one of {names}.") from None


def sha256_of(params: Params) -> bytes:
    """The parameter ``data_sha256``; empty when it is not given."""
    text = params.get("data_sha256")
    try:
        found = bytes.fromhex(text or "")
    except ValueError:
        found = b"?"
    if len(found) not in (0, HASH_BYTES):
        raise UserError("bad_hash", f"{str(text)[:80]!r} is not a SHA-256 in hex.", "Nothing was sent.")
    return found
