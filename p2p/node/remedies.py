"""How to mend what the self-test found: what the agent can do itself, and commands to copy for the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict
from pathlib import Path

import trio

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import FIX_LINE_MAX_CHARS, FIX_MAX_S, KIB
from p2p.core.text import clean_line
from p2p.local.protocol import Json
from p2p.node.runner import CheckRow

_BUILD = Path(__file__).parents[2] / "image" / "build"
"""Only in a source tree; elsewhere an image is loaded from a file."""
_SYSTEMD = Path("/run/systemd/system")

IMAGE, DOCKER, GPU, SWITCH, COORDINATOR = "job-image", "docker", "hardware", "available", "coordinator"

_COMMANDS: dict[str, tuple[str, ...]] = {
    DOCKER: ("sudo systemctl enable --now docker",),
    "docker-init": ("sudo apt-get install tini",),
    "driver": ("ubuntu-drivers devices", "sudo ubuntu-drivers install", "sudo reboot"),
    "gpu-runtime": (
        "sudo apt-get install nvidia-container-toolkit",
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker",
    ),
    "output-limit": ("sudo apt-get install e2fsprogs",),
    "outbound-network": ("sudo apt-get install iptables",),
    IMAGE: ("image/build",),
    GPU: ("cyxwiz-node set --gpus all",),
    SWITCH: ("cyxwiz-node on",),
    "disk": ("docker image prune", "df -h"),
}
_INSTALL_DOCKER = ("sudo apt-get install docker.io",)


def check_id(row: CheckRow) -> str:
    """The stable name of a row, for programs: that of people with dashes."""
    return row.name.replace(" ", "-")


def action(identity: str) -> str | None:
    """What the agent would do about this row, in words; None: only a person can mend it."""
    if identity == IMAGE:
        return "Build the job image." if _BUILD.is_file() else "Load the job image: --file FILE."
    if identity == DOCKER and _can_start_docker():
        return "Start Docker."
    return {
        GPU: "Offer every GPU that is there.",
        SWITCH: "Take jobs.",
        COORDINATOR: "Try again now.",
    }.get(identity)


def check_json(row: CheckRow) -> dict[str, Json]:
    """A row with what mends it; a row that is in order needs nothing."""
    identity = check_id(row)
    commands = () if row.ok else _COMMANDS.get(identity, ())
    if identity == DOCKER and not row.ok and shutil.which("dockerd") is None:
        commands = _INSTALL_DOCKER + commands
    if not commands and row.fix.startswith("cyxwiz-node "):
        commands = (row.fix,)
    return {
        "id": identity,
        **asdict(row),
        "action": None if row.ok else action(identity),
        "commands": list(commands),
    }


def command_of(identity: str, file: str | None) -> list[str] | None:
    """The program that mends a row on the machine; None: the agent mends it by itself.

    :raises UserError: ``not_fixable``: only a person can; or there is no such file.
    """
    if identity in (GPU, SWITCH, COORDINATOR):
        return None
    if identity == IMAGE and file is not None:
        path = Path(file).expanduser().absolute()
        if not path.is_file():
            raise UserError("no_image_file", f"There is no file {path}.", "Nothing was loaded.")
        return ["docker", "load", "--input", str(path)]
    if identity == IMAGE and _BUILD.is_file():
        return [sys.executable, str(_BUILD)]
    if identity == DOCKER and _can_start_docker():
        return ["systemctl", "start", "docker"]
    raise UserError(
        "not_fixable",
        f"{identity[:40]!r} is nothing that the node can mend by itself.",
        "Nothing was changed.",
        "`cyxwiz-node check` says how to.",
    )


async def output_of(command: list[str]) -> AsyncGenerator[str, None]:
    """Run a program; its lines as they come, clean. Leaving the loop ends it.

    :raises EnvironmentFailure: ``fix_failed``: it cannot be started, fails, or takes too long.
    """
    try:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise _failed(command, str(error.strerror or error)) from error
    last = "it said nothing."
    deadline = trio.current_time() + FIX_MAX_S
    try:
        if process.stdout is None:
            raise _failed(command, last)
        rest = b""
        while trio.current_time() < deadline:
            with trio.move_on_at(deadline):
                data = await process.stdout.receive_some(64 * KIB)
                *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
                for line in lines + ([rest] if not data or len(rest) > 64 * KIB else []):
                    if text := clean_line(line.decode("utf-8", "replace"), FIX_LINE_MAX_CHARS).strip():
                        last = text
                        yield text
                if not data:
                    break
        with trio.move_on_at(deadline):
            if await process.wait() == 0:
                return
        raise _failed(command, last)
    finally:
        if process.returncode is None:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
        if process.stdout is not None:
            await trio.aclose_forcefully(process.stdout)


def _can_start_docker() -> bool:
    return _SYSTEMD.is_dir() and hasattr(os, "geteuid") and os.geteuid() == 0


def without_row(identity: str) -> EnvironmentFailure:
    """What was mended cannot be looked at."""
    return EnvironmentFailure(
        "fix_unknown",
        f"The self-test cannot say how it stands with {identity} now.",
        "Whether that helped is not known.",
        "`cyxwiz-node check` says what is missing first.",
    )


def _failed(command: list[str], last: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "fix_failed",
        f"`{' '.join(command)[:200]}` did not work: {last}",
        "What was missing is still missing.",
        "`cyxwiz-node check` says how to mend it by hand.",
    )
