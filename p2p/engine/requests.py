"""What the buyer named when a job was planned, kept on this computer so that it can be sent again."""

from __future__ import annotations

import json
from typing import Any

from p2p.engine.packaging import PackageRequest
from p2p.store.engine import EngineTables


async def keep(tables: EngineTables, job_id: str, request: PackageRequest) -> None:
    """Remember what the buyer named; the rest of a job is in its specification."""
    named = {
        "script": str(request.script),
        "requirements": _text(request.requirements),
        "data": _text(request.data),
        "data_sha256": request.data_sha256.hex(),
        "exclude": list(request.exclude),
    }
    await tables.set_setting(_name(job_id), json.dumps(named))


async def kept(tables: EngineTables, job_id: str) -> dict[str, Any] | None:
    """What the buyer named; None for a job from before it was kept."""
    text = await tables.setting(_name(job_id))
    return None if text is None else dict(json.loads(text))


async def forget(tables: EngineTables, job_id: str) -> None:
    """The job was never agreed to."""
    await tables.set_setting(_name(job_id), None)


def _text(path: object) -> str:
    return "" if path is None else str(path)


def _name(job_id: str) -> str:
    return f"request:{job_id}"
