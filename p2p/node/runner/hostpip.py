"""The seller's own pip configuration, carried into the container that resolves requirements.

Which index, proxy and certificates this machine uses is known to its pip. Only those settings go in, with
the files they point to mounted read-only; nothing of it reaches the job's own container.
"""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from docker.types import Mount

CONFIG_TIMEOUT_S = 30.0
PATHS_MAX = 16

_PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "no-index", "proxy")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_SECTIONS = ("global", "install", ":env:")  # later ones win


@dataclass
class HostPip:
    """What the resolving container gets: a pip.conf, mounts, environment, and private hosts to reach."""

    settings: dict[str, str] = field(default_factory=dict)
    mounts: list[Mount] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    reach: list[tuple[str, int]] = field(default_factory=list)

    def folders(self) -> list[Path]:
        """The mounted folders of this machine."""
        return [Path(mount["Source"]) for mount in self.mounts]

    def config_text(self) -> str:
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        return "[global]\n" + "\n".join(lines) + "\n"


def read_host_pip() -> HostPip:
    """Ask this Python's pip, and the environment. Blocking. Without a pip: the defaults."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True, text=True, timeout=CONFIG_TIMEOUT_S, check=False,
    )  # fmt: skip
    found = parse_config(done.stdout if done.returncode == 0 else "")
    environment = {
        name: value for name in _PROXIES if (value := os.environ.get(name) or os.environ.get(name.upper()))
    }
    return make_host_pip(found, environment)


def parse_config(listing: str) -> dict[str, str]:
    """The settings of ``pip config list``, the environment's before the files'."""
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in sections and value[:1] in "'\"":
            sections[section][name] = str(ast.literal_eval(value))
    return {name: value for section in _SECTIONS for name, value in sections[section].items()}


def make_host_pip(settings: dict[str, str], environment: dict[str, str]) -> HostPip:
    """Keep what matters for reaching an index; mount the files it names."""
    found = HostPip(environment=dict(environment))
    for name in _PASSED_ON:
        if name in settings:
            found.settings[name] = " ".join(_local_index(found, word) for word in settings[name].split())
    if links := settings.get("find-links"):
        found.settings["find-links"] = " ".join(_mounted(found, word) for word in links.split())
    certificate = (
        settings.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    )
    if certificate and Path(certificate).is_file():
        found.settings["cert"] = _mounted(found, certificate)
    for url in " ".join([*found.settings.values(), *environment.values()]).split():
        _reach(found, url)
    return found


def _local_index(found: HostPip, word: str) -> str:
    """A ``file:`` index refers to files beside it: its parent folder is what has to be there."""
    if word.startswith("file:"):
        folder = Path(urlsplit(word).path)
        shared = folder.parent if len(folder.parent.parts) > 1 else folder
        if shared.is_dir():
            _mount(found, shared)
    return word


def _mounted(found: HostPip, word: str) -> str:
    path = Path(urlsplit(word).path if word.startswith("file:") else word)
    if path.is_absolute() and path.exists():
        _mount(found, path)
    return word


def _mount(found: HostPip, path: Path) -> None:
    if len(found.mounts) < PATHS_MAX and all(mount["Target"] != str(path) for mount in found.mounts):
        found.mounts.append(Mount(str(path), str(path.resolve()), "bind", read_only=True))


def _reach(found: HostPip, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = socket.getaddrinfo(parts.hostname, port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return  # pip will say so
    found.reach += [(str(address[4][0]), port) for address in addresses]
