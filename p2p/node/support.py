"""The support bundle: what somebody who helps has to know of a node, in one file that holds no secret."""

from __future__ import annotations

import json
import os
import platform
import zipfile  # noqa: TID251 - only written here, never opened
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import SUPPORT_LOG_MAX_BYTES
from p2p.core.paths import Home
from p2p.local.protocol import Json
from p2p.node.agent_log import earlier
from p2p.node.payout import WALLET_FILE
from p2p.node.redaction import Redactor
from p2p.node.settings import NodeSettings

_PACKAGES = ("cyxwiz", "libp2p", "trio", "docker", "psutil", "nvidia-ml-py", "solders", "PyQt6")

WHAT_IS_LEFT_OUT = (
    "Left out: keys, seed phrases, passwords, the queries of addresses, and your folder's name. "
    "Still in it: the wallet's and the node's address, your network addresses, and the names of jobs."
)


def write_bundle(
    home: Home, file: Path, settings: NodeSettings, parts: Mapping[str, Json]
) -> list[tuple[str, int]]:
    """Write ``file``: ``parts`` as JSON, versions and the end of the logs. What is in it, with sizes. Blocks.

    :raises EnvironmentFailure: ``bundle_failed``: it exists already, or cannot be written.
    """
    redactor = redactor_of(home, settings)
    texts = {f"{name}.json": json.dumps(part, indent=2) for name, part in parts.items()}
    texts["versions.json"] = json.dumps(versions(), indent=2)
    for log in (earlier(home.node.log), home.node.log):
        texts[log.name] = _tail(log)
    clean = {name: redactor.clean(text).encode() for name, text in sorted(texts.items()) if text}
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, data in clean.items():
                bundle.writestr(name, data)
    except OSError as error:
        raise EnvironmentFailure(
            "bundle_failed",
            f"{file} cannot be written: {error.strerror or error}.",
            "There is no bundle.",
            "Name a file that is not there yet, in a folder that you may write to.",
            retryable=False,
        ) from error
    return [(name, len(data)) for name, data in clean.items()]


def versions() -> dict[str, str | None]:
    """Of what matters when something does not work."""
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def redactor_of(home: Home, settings: NodeSettings) -> Redactor:
    """One that knows the keys that lie in this home, and the name of this person's folder."""
    keys: list[bytes] = []
    with suppress(OSError):
        keys.append(home.node.peer_key.read_bytes())
    for file in (home.node.folder / WALLET_FILE, Path(settings.wallet_keypair or os.devnull).expanduser()):
        with suppress(OSError, ValueError, TypeError):
            keys.append(bytes(json.loads(file.read_text())))
    folder = str(Path.home())
    written = {folder, json.dumps(folder)[1:-1]} if Path.home() != Path("/") else set()
    return Redactor(keys, dict.fromkeys(written, "~"))


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - SUPPORT_LOG_MAX_BYTES))
            return file.read(SUPPORT_LOG_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
