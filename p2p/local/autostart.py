"""Start a program when its person logs in: by their systemd, else by the desktop; on Windows by the registry.

Only files of the person's own are written, and nothing is started or stopped now.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from p2p.core.errors import EnvironmentFailure

_SYSTEMD = Path("/run/systemd/system")
_RELOAD_TIMEOUT_S = 10.0
_RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"


class How(Enum):
    """What starts it."""

    SYSTEMD = "systemd"
    DESKTOP = "desktop"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Autostart:
    """Whether it is on. ``place``: the file or key that says so."""

    on: bool
    how: How
    place: str


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: ``name`` is that of the file, ``title`` for people."""

    name: str
    title: str
    command: Sequence[str]
    environment: Mapping[str, str]


def how() -> How:
    """What this machine has."""
    if sys.platform == "win32":
        return How.REGISTRY
    return How.SYSTEMD if _SYSTEMD.is_dir() and shutil.which("systemctl") else How.DESKTOP


def state(name: str, by: How | None = None) -> Autostart:
    """Whether the program of that name starts at login."""
    by = by or how()
    if by is How.REGISTRY:
        return Autostart(_registry_value(name) is not None, by, f"HKEY_CURRENT_USER\\{_RUN_KEY}\\{name}")
    place = _link(name) if by is How.SYSTEMD else _desktop_file(name)
    return Autostart(place.is_symlink() or place.exists(), by, str(place))


def turn_on(program: Program, by: How | None = None) -> Autostart:
    """Start it at each login from now on.

    :raises EnvironmentFailure: ``autostart_failed``.
    """
    by = by or how()
    try:
        if by is How.REGISTRY:
            _set_registry(program.name, subprocess.list2cmdline(program.command))
        elif by is How.SYSTEMD:
            _write(_unit_file(program.name), unit_text(program))
            link = _link(program.name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(_unit_file(program.name))
            _reload()
        else:
            _write(_desktop_file(program.name), desktop_text(program))
    except OSError as error:
        raise _failed(error) from error
    return state(program.name, by)


def turn_off(name: str, by: How | None = None) -> Autostart:
    """Do not start it at login any more.

    :raises EnvironmentFailure: ``autostart_failed``.
    """
    by = by or how()
    try:
        if by is How.REGISTRY:
            _set_registry(name, None)
        elif by is How.SYSTEMD:
            _link(name).unlink(missing_ok=True)
            _unit_file(name).unlink(missing_ok=True)
            _reload()
        else:
            _desktop_file(name).unlink(missing_ok=True)
    except OSError as error:
        raise _failed(error) from error
    return state(name, by)


def unit_text(program: Program) -> str:
    """A unit of the user's systemd; quoted as systemd.syntax(7) and systemd.service(5) ask for."""
    environment = "".join(
        f"Environment={_unit_quoted(f'{name}={value}')}\n" for name, value in program.environment.items()
    )
    command = " ".join(_unit_quoted(word).replace("$", "$$") for word in program.command)
    return (
        f"[Unit]\nDescription={program.title}\n\n"
        f"[Service]\n{environment}ExecStart={command}\nRestart=on-failure\nRestartSec=10\n\n"
        "[Install]\nWantedBy=default.target\n"
    )


def _unit_quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped}"'


def desktop_text(program: Program) -> str:
    """An entry of the desktop's autostart folder; quoted as the Desktop Entry Specification asks for."""
    words = [f"{name}={value}" for name, value in program.environment.items()]
    command = " ".join(_desktop_quoted(word) for word in ("env", *words, *program.command))
    return f"[Desktop Entry]\nType=Application\nName={program.title}\nExec={command}\nTerminal=false\n"


def _desktop_quoted(word: str) -> str:
    for character in ("\\", '"', "`", "$"):
        word = word.replace(character, f"\\{character}")
    # The whole value is a string of the file, in which a backslash is escaped once more.
    return f'"{word}"'.replace("\\", "\\\\").replace("%", "%%")


def _config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _unit_file(name: str) -> Path:
    return _config() / "systemd" / "user" / f"{name}.service"


def _link(name: str) -> Path:
    return _config() / "systemd" / "user" / "default.target.wants" / f"{name}.service"


def _desktop_file(name: str) -> Path:
    return _config() / "autostart" / f"{name}.desktop"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def _reload() -> None:
    """Tell the user's systemd, if it runs; it reads the files at the next login anyway."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["systemctl", "--user", "daemon-reload"],
            capture_output=True,
            timeout=_RELOAD_TIMEOUT_S,
            check=False,
        )


def _registry_value(name: str) -> str | None:
    if sys.platform == "win32":
        import winreg

        with suppress(OSError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
            return str(winreg.QueryValueEx(key, name)[0])
    return None


def _set_registry(name: str, command: str | None) -> None:
    if sys.platform == "win32":
        import winreg

        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
            if command is not None:
                winreg.SetValueEx(key, name, 0, winreg.REG_SZ, command)
            else:
                with suppress(FileNotFoundError):
                    winreg.DeleteValue(key, name)


def _failed(error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        "autostart_failed",
        f"Start at login cannot be changed: {error.strerror or error}.",
        "It is as it was.",
        "Check the owner and permissions of your configuration folder.",
        retryable=False,
    )
