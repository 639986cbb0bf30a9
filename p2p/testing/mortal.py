"""Coordinators that die at a boundary: processes of their own, ended by ``kill -9`` where a test says.

A program (``python -m p2p.testing.mortal``) and its handle. Each line of the program's input starts a
coordinator; its address, and how it ended, are lines of the output. The libraries are loaded once, before the
coordinators fork.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from coordinator.service import serve as serving
from coordinator.service import settler, sweeps
from coordinator.service.context import Context
from coordinator.service.effects import Boundary
from coordinator.service.serve import ServeOptions, serve
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.paths import Home

CLAIM_AFTER_S = 300.0
"""Much more than the clock is moved for a start, so that a slow machine makes nobody's buyer a silent one."""
EAGER_S = 0.05
FOLLOW_S = 0.2


class FileClock:
    """The system's clock, moved on by a number of seconds in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _ahead_s(self) -> float:
        return float(self._path.read_text())

    def now_s(self) -> float:
        return SYSTEM_CLOCK.now_s() + self._ahead_s()

    def monotonic_s(self) -> float:
        return SYSTEM_CLOCK.monotonic_s() + self._ahead_s()


class Mortal:
    """The coordinators, one after the other; where the next one dies, and how late it is for them."""

    def __init__(self, process: trio.Process, root: Path) -> None:
        self._process = process
        self._root = root
        self._ahead_s = 0.0
        self.is_running = False
        self.address = ""
        self.ended_with: list[int] = []
        """Exit codes; of a signal, its number below zero."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, root: Path, dsn: str) -> AsyncIterator[Mortal]:
        """The program, for coordinators of the home ``root``; none is started yet."""
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", __name__, str(root), dsn],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that it can be ended with all that it started
        )
        mortal = cls(process, root)
        mortal.arm(None)
        mortal.move(0.0)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(mortal._read)
                yield mortal
                nursery.cancel_scope.cancel()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            with trio.CancelScope(shield=True):
                await process.wait()

    async def _read(self) -> None:
        """Take in what the program says."""
        text = ""
        assert self._process.stdout is not None
        async for part in self._process.stdout:
            *lines, text = (text + part.decode()).split("\n")
            for line in lines:
                if line.startswith("ended"):
                    self.ended_with.append(int(line.split()[1]))
                    self.is_running = False
                else:
                    self.address = line

    async def start(self) -> None:
        """The next coordinator; returns when it serves."""
        self.address, self.is_running = "", True
        assert self._process.stdin is not None
        await self._process.stdin.send_all(b"\n")
        while not self.address:
            assert self.is_running, "the coordinator did not start"
            await trio.sleep(0.005)

    def move(self, seconds: float) -> None:
        """Put the coordinators' clock on."""
        self._ahead_s += seconds
        self._put("clock", str(self._ahead_s))

    def arm(self, boundary: Boundary | None) -> None:
        """Let the coordinator die when it gets there."""
        self._put("armed", str(boundary.number) if boundary else "")

    def _put(self, name: str, text: str) -> None:
        fresh = self._root / f"{name}.new"
        fresh.write_text(text)
        os.replace(fresh, self._root / name)


def run(root: Path, dsn: str) -> None:
    """One coordinator, to its end."""
    armed = root / "armed"

    async def effect(reached: Boundary) -> None:
        if armed.read_text() == str(reached.number):
            armed.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)

    options = ServeOptions(Home(root), ("/ip4/127.0.0.1/tcp/0",), dsn)
    trio.run(serve, options, partial(print, flush=True), FileClock(root / "clock"), effect)


def main() -> None:
    """``python -m p2p.testing.mortal FOLDER DSN``."""
    for module, name, value in (
        (serving, "Context", partial(Context, claim_after_s=CLAIM_AFTER_S)),
        (settler, "SETTLER_IDLE_S", EAGER_S),
        (sweeps, "CLAIM_SWEEP_S", EAGER_S),
        (sweeps, "CLOSE_SWEEP_S", EAGER_S),
        (sweeps, "LEDGER_FOLLOW_S", FOLLOW_S),
    ):
        setattr(module, name, value)
    for _ in sys.stdin:
        process = os.fork()
        if not process:
            run(Path(sys.argv[1]), sys.argv[2])
            os._exit(0)
        _, status = os.waitpid(process, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
