"""What the seller decided: price, GPUs, how much of the machine. Kept in ``<home>/node/settings.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.hours import parse_hours
from p2p.core.ids import parse_wallet
from p2p.core.limits import (
    ADDRESSES_PER_PEER_MAX,
    ELECTRICITY_MAX_USD_MICROS,
    EXCLUSIVE_APPS_MAX,
    GIB,
    GPUS_PER_NODE_MAX,
    IDLE_MINUTES_MAX,
    JOB_CPUS_MAX,
    JOB_MEMORY_MAX_BYTES,
    JOB_MEMORY_MIN_BYTES,
    KIB,
    PRICE_MAX_USD_MICROS,
    WATTS_MAX,
)
from p2p.core.money import parse_usd

SETTINGS_FILE = "settings.json"
_SETTINGS_MAX_BYTES = 64 * KIB
_TEXT_MAX_CHARS = 256


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The seller's settings; zero or empty means "let the node decide" where a comment says so."""

    available: bool = True
    min_price_usd_micros_per_hour: int = 0
    gpus: tuple[str, ...] = ()  # NVML uuids on offer; empty: all
    cpus: float = 0.0  # for each job; 0: the machine's cores divided by its slots
    memory_bytes: int = 0  # for each job; 0: three quarters of the machine's memory divided by its slots
    network: bool = True  # whether jobs that want the internet are taken
    image: str = ""  # empty: the newest cyxwiz/job image
    wallet_keypair: str = ""  # a Solana CLI keypair file; empty: the node's own, made at first start
    wallet: str = ""  # paid instead of a keypair's: a wallet that was logged in from elsewhere
    wallet_keystore: str = ""  # the file of its key; empty: it is in a browser
    login_ends_at_s: float = 0.0  # of that wallet
    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/0",)
    private_data_urls: bool = False  # whether data may come from private addresses; for one's own network
    scheduled: bool = False  # whether only in `hours`
    hours: str = ""  # of the week, see p2p.core.hours; kept while `scheduled` is off
    maintenance: str = ""  # hours of the week in which no job may run
    paused_until_s: float = 0.0
    only_when_idle: bool = False  # only after `idle_minutes` in which nobody else used the machine
    idle_minutes: int = 10
    idle_percent: int = 20  # of all CPUs, or of a GPU: less is nobody
    on_battery: bool = False  # whether jobs are taken on battery
    exclusive_apps: tuple[str, ...] = ()  # names of programs beside which no job is taken
    exclusive_stops: bool = False  # whether they also stop the jobs that run
    electricity_usd_micros_per_kwh: int = 0  # 0: not counted
    watts: int = 0  # what a job adds to the machine's power, where the GPUs don't say; 0: unknown


def settings_path(node_folder: Path) -> Path:
    """Where the settings of the node in ``node_folder`` lie."""
    return node_folder / SETTINGS_FILE


def load_settings(path: Path) -> NodeSettings:
    """Read the settings; the defaults when there are none yet.

    :raises UserError: ``bad_settings``: the file is not what :func:`save_settings` writes.
    :raises EnvironmentFailure: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_SETTINGS_MAX_BYTES + 1)
    except FileNotFoundError:
        return NodeSettings()
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        values = json.loads(raw) if len(raw) <= _SETTINGS_MAX_BYTES else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise _bad(f"{path} is not a settings file")
    return change_settings(NodeSettings(), values)


def save_settings(path: Path, settings: NodeSettings) -> None:
    """Write the settings so that the file is the old one or the new one, never half of it.

    :raises EnvironmentFailure: the disk or its permissions don't allow it.
    """
    text = json.dumps(asdict(settings), indent=2) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _unusable(path, error) from error


def change_settings(settings: NodeSettings, values: Mapping[str, Any]) -> NodeSettings:
    """``settings`` with ``values`` (as in the JSON file) checked and put in.

    :raises UserError: ``bad_settings``: an unknown name or an impossible value; names it.
    """
    checked: dict[str, Any] = {}
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is None:
            raise _bad(f"there is no setting {str(name)[:40]!r}")
        checked[name] = check(name, value)
    if checked.get("scheduled", settings.scheduled) and not checked.get("hours", settings.hours):
        raise _bad("there are no hours to keep to")
    if "wallet_keypair" in checked:  # it is paid then, and no other
        checked = {**_NO_LOGIN, **checked}
    return replace(settings, **checked)


def price_from_text(text: str) -> int:
    """Dollars per hour as typed, in USD micros.

    :raises UserError: ``bad_price``.
    """
    return parse_usd(text)


def _number(least: int, most: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _bad(f"{name} must be a whole number from {least} to {most}")
        return value

    return check


def _hours(name: str, value: Any) -> str:
    text = " ".join(_text(name, value).split())
    parse_hours(text)
    return text


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad(f"{name} must be true or false")
    return value


def _cpus(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= JOB_CPUS_MAX:
        raise _bad(f"{name} must be a number from 0 to {JOB_CPUS_MAX}")
    return float(value)


def _memory(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _bad(f"{name} must be a whole number of bytes")
    if value and not JOB_MEMORY_MIN_BYTES <= value <= JOB_MEMORY_MAX_BYTES:
        raise _bad(f"{name} must be 0 (the node decides) or at least {JOB_MEMORY_MIN_BYTES / GIB:g} GiB")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _TEXT_MAX_CHARS or not (value == "" or value.isprintable()):
        raise _bad(f"{name} must be a short plain text")
    return value


def _wallet(name: str, value: Any) -> str:
    try:
        return parse_wallet(_text(name, value)) if value != "" else ""
    except UserError:
        raise _bad(f"{name} must be a Solana address") from None


def _moment(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**40:
        raise _bad(f"{name} must be a Unix time")
    return float(value)


def _texts(maximum: int) -> Callable[[str, Any], tuple[str, ...]]:
    def check(name: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or len(value) > maximum:
            raise _bad(f"{name} must be a list of at most {maximum}")
        return tuple(_text(name, item) for item in value)

    return check


_NO_LOGIN: dict[str, Any] = {"wallet": "", "wallet_keystore": "", "login_ends_at_s": 0.0}

LOGIN_SETTINGS = frozenset(_NO_LOGIN)
"""What a login writes, and nothing else."""

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "available": _flag,
    "scheduled": _flag,
    "hours": _hours,
    "maintenance": _hours,
    "paused_until_s": _moment,
    "only_when_idle": _flag,
    "idle_minutes": _number(1, IDLE_MINUTES_MAX),
    "idle_percent": _number(1, 100),
    "on_battery": _flag,
    "exclusive_apps": _texts(EXCLUSIVE_APPS_MAX),
    "exclusive_stops": _flag,
    "electricity_usd_micros_per_kwh": _number(0, ELECTRICITY_MAX_USD_MICROS),
    "watts": _number(0, WATTS_MAX),
    "min_price_usd_micros_per_hour": _number(0, PRICE_MAX_USD_MICROS),
    "gpus": _texts(GPUS_PER_NODE_MAX),
    "cpus": _cpus,
    "memory_bytes": _memory,
    "network": _flag,
    "image": _text,
    "wallet_keypair": _text,
    "wallet": _wallet,
    "wallet_keystore": _text,
    "login_ends_at_s": _moment,
    "listen": _texts(ADDRESSES_PER_PEER_MAX),
    "private_data_urls": _flag,
}


def _bad(problem: str) -> UserError:
    return UserError(
        "bad_settings",
        f"The node's settings are wrong: {problem}.",
        "Nothing was changed.",
        "`cyxwiz-node set --help` says what can be set.",
    )


def _unusable(path: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        "settings_unusable",
        f"The settings {path} cannot be used: {error.strerror or error}.",
        "Nothing was changed.",
        "Check the folder's owner and permissions, and that the disk is not full.",
        retryable=False,
    )
