"""What a buyer asks for: ``config.json`` and the job's specification."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from p2p.core.errors import UserError
from p2p.core.limits import (
    CONFIG_MAX_BYTES,
    GIB,
    TIMEOUT_DEFAULT_S,
    TIMEOUT_MAX_S,
    TIMEOUT_MIN_S,
    URL_MAX_CHARS,
)
from p2p.core.money import Asset, parse_usd

ANY_GPU = "any"
CPU_CLASS = "cpu"

_GPU_TYPE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_CONFIG_FIELDS = ("gpu_type", "min_vram", "max_price", "timeout", "network")
_VRAM_MAX_GB = 1024


class NetworkMode(Enum):
    """What a job's container may reach."""

    NONE = "none"
    OUTBOUND = "outbound"  # the internet, but neither the host nor any private range


@dataclass(frozen=True, slots=True)
class JobConfig:
    """``config.json``: which node, at which price, for how long."""

    gpu_type: str = ANY_GPU
    min_vram_bytes: int = 0
    max_price_usd_micros_per_hour: int | None = None
    timeout_s: int = TIMEOUT_DEFAULT_S
    network: NetworkMode = NetworkMode.NONE


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as coordinator and node see it: the config, and its inputs by hash.

    The input manifest holds ``script`` at the top, ``requirements.txt`` beside it when
    ``has_requirements``, and data under ``data/`` unless ``data_url`` is given, from which the node
    fetches one file itself and compares it with ``data_sha256`` when the buyer gave one.
    """

    name: str
    script: str
    config: JobConfig
    input_root: bytes
    input_bytes: int
    input_files: int
    has_requirements: bool
    asset: Asset
    data_url: str = ""
    data_sha256: bytes = b""


def parse_config(raw: bytes) -> JobConfig:
    """Read ``config.json``, with exactly the documented fields.

    :raises UserError: not a JSON object, an unknown field, or a value out of range; names the field.
    """
    if len(raw) > CONFIG_MAX_BYTES:
        raise _bad("config", f"is larger than {CONFIG_MAX_BYTES} bytes")
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UserError("bad_config", f"The config file is not valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise UserError("bad_config", "The config file is not a JSON object.")
    unknown = sorted(set(fields) - set(_CONFIG_FIELDS))
    if unknown:
        raise UserError(
            "bad_config",
            f"The config file has an unknown field {unknown[0][:40]!r}.",
            hint=f"The fields are {', '.join(_CONFIG_FIELDS)}.",
        )
    price = fields.get("max_price")
    return JobConfig(
        gpu_type=check_gpu_type(fields.get("gpu_type", ANY_GPU)),
        min_vram_bytes=check_min_vram(fields.get("min_vram", 0)),
        max_price_usd_micros_per_hour=None if price is None else check_max_price(price),
        timeout_s=check_timeout(fields.get("timeout", TIMEOUT_DEFAULT_S)),
        network=check_network(fields.get("network", NetworkMode.NONE.value)),
    )


def check_gpu_type(value: Any) -> str:
    """``any`` or a class name such as ``rtx4090``; whether anybody offers it is the coordinator's to say."""
    if not isinstance(value, str) or not _GPU_TYPE.match(value.lower()):
        raise _bad("gpu_type", 'must be "any" or a class such as "rtx4090"')
    return value.lower()


def check_min_vram(value: Any) -> int:
    """GB (GiB, as GPU makers count) into bytes."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _VRAM_MAX_GB:
        raise _bad("min_vram", f"must be a number of GB from 0 to {_VRAM_MAX_GB}")
    return int(value * GIB)


def check_max_price(value: Any) -> int:
    """Dollars per hour into USD micros per hour."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _bad("max_price", "must be dollars per hour, such as 0.8")
    try:
        micros = parse_usd(value)
    except UserError:
        raise _bad("max_price", "must be dollars per hour, such as 0.8") from None
    if micros == 0:
        raise _bad("max_price", "must be more than 0")
    return micros


def check_timeout(value: Any) -> int:
    """Whole seconds."""
    if isinstance(value, bool) or not isinstance(value, int) or not TIMEOUT_MIN_S <= value <= TIMEOUT_MAX_S:
        raise _bad("timeout", f"must be whole seconds from {TIMEOUT_MIN_S} to {TIMEOUT_MAX_S}")
    return value


def check_network(value: Any) -> NetworkMode:
    """``none`` or ``outbound``."""
    try:
        return NetworkMode(value)
    except ValueError:
        raise _bad("network", 'must be "none" or "outbound"') from None


def check_data_url(url: str) -> str:
    """An ``https`` or ``http`` URL without credentials.

    :raises UserError: anything else.
    """
    if len(url) > URL_MAX_CHARS or not re.match(r"https?://[^\s/@]+(/\S*)?\Z", url):
        raise UserError("bad_data_url", f"{url[:100]!r} is not a plain http(s) URL.")
    return url


def _bad(field: str, problem: str) -> UserError:
    return UserError("bad_config", f"{field} {problem}.", "Nothing was sent and nothing was paid.")
