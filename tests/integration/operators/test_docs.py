"""The commands of docs/escrow.md, one after another as they stand there, on the real chain."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from p2p.chain import program

Station = Any  # of conftest.py
PAGE = (Path(__file__).parents[3] / "docs/escrow.md").read_text()
START = "cyxwiz-coordinator escrow "


def documented() -> list[str]:
    """Every command in a block of the chapter for operators, in its order."""
    chapter = PAGE[PAGE.index("## Operating it") :].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)
    return [line.strip() for block in blocks for line in block.strip().splitlines()]


def test_every_documented_command_runs(empty_station: Station) -> None:
    station = empty_station
    station.patch.chdir(station.folder)
    station.fresh("deployer", 3 * 10**9)
    shutil.copy("deployer.json", "admin.json")
    made = {"WALLET": station.fresh("somebody").address, "FEE_OWNER": station.fresh("fees").address}
    for name in ("arbiter", "new-admin", "new-arbiter", "new-authority"):
        made[name.upper().replace("-", "_")] = station.fresh(name).address
    commands = documented()
    assert len(commands) > 20
    for line in commands:
        assert line.startswith(START)
        if " upgrade " in line:
            binary = bytearray(program.escrow_program())
            binary[binary.index(b"session")] ^= 1
            station.patch.setattr(program, "escrow_program", lambda changed=bytes(binary): changed)
        arguments = [_filled(station, made, word) for word in line.removeprefix(START).split()]
        agreed = () if arguments[0] in ("show", "new-key") else ("--yes",)
        if agreed:
            station.next_block()
        done = station(*arguments, *agreed)
        assert done.code == 0, (line, done.stderr)
        if arguments[0] == "new-key":
            _remember(station, made, arguments, done.stdout.strip())


def _filled(station: Station, made: dict[str, str], word: str) -> str:
    if word.startswith("keys/"):
        return str(station.home.coordinator.folder / "keys" / f"{made['NEW_COORDINATOR']}.json")
    return made.get(word, word)


def _remember(station: Station, made: dict[str, str], arguments: list[str], address: str) -> None:
    """What the pages tell to do between the commands: config.toml, and SOL for fees."""
    name = Path(arguments[1]).stem.upper() if len(arguments) > 1 else "NEW_COORDINATOR"
    made[name] = address
    if name == "PROGRAM":
        station.write_config(address)
    else:
        station.fund(address)
