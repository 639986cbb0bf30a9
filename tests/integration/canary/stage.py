"""The real programs in one home, everything that they say kept in files, and every command line seen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from p2p.core.paths import Home
from p2p.local.home import HOME_VARIABLE
from p2p.local.platform import is_locked, kill, lock_owner

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 120.0
SAMPLE_S = 0.05
CRASH = """
import sys
{patch}
from {module} import main
sys.argv = {argv!r}
main()
"""


class Watch:
    """Remembers every command line and environment of the programs of one home."""

    def __init__(self, root: Path) -> None:
        self._mark = str(root).encode()
        self.seen: dict[tuple[int, str], bytes] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(SAMPLE_S):
            for folder in Path("/proc").glob("[0-9]*"):
                self._look(folder)

    def _look(self, folder: Path) -> None:
        try:
            shown = {name: (folder / name).read_bytes() for name in ("cmdline", "environ")}
        except OSError:
            return
        if any(self._mark in data for data in shown.values()) and folder.name != str(os.getpid()):
            for name, data in shown.items():
                self.seen[hash((folder.name, data)), name] = data


class Stage:
    """A home, its processes, and all that they say, in files under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.said = root / "said"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.tokens: list[str] = []
        for folder in (self.home.root, self.said, root / "tmp"):
            folder.mkdir()
        self.page = root / "page"
        self.browser = root / "browser"
        self.browser.write_text(
            f'#!/bin/sh\nprintf %s "$1" > {self.page}.new\nmv {self.page}.new {self.page}\n'
        )
        self.browser.chmod(0o700)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "BROWSER")}
        here = {
            HOME_VARIABLE: str(self.home.root),
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.root / "tmp"),
            "DOCKER_HOST": f"unix://{self.root}/no-docker",
            "BROWSER": str(self.browser),
            "NO_COLOR": "1",
        }
        return {**kept, **here}

    def start(self, name: str, command: list[str], secrets: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a program whose output is kept; ``secrets``: lines for its CYXWIZ_PASSWORD_FD."""
        environment, descriptors = self.environment(), tuple[int, ...]()
        if secrets:
            reader, writer = os.pipe()
            os.write(writer, "".join(f"{line}\n" for line in secrets).encode())
            os.close(writer)
            environment["CYXWIZ_PASSWORD_FD"], descriptors = str(reader), (reader,)
        with (self.said / f"{name}.out").open("wb") as out, (self.said / f"{name}.err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=descriptors,
                cwd=self.root,
            )
        for descriptor in descriptors:
            os.close(descriptor)
        self.processes.append(process)
        return process

    def run(
        self, name: str, program: str, *arguments: str, secrets: tuple[str, ...] = (), code: int | None = 0
    ) -> str:
        """A command to its end; what it printed."""
        process = self.start(name, ["-m", program, *arguments], secrets)
        return self._end(name, process, code)

    def crash(
        self, name: str, program: str, patch: str, *arguments: str, secrets: tuple[str, ...] = ()
    ) -> str:
        """A command with a mistake of ours planted in it; what it said of it."""
        code = CRASH.format(patch=patch, module=program, argv=["cyxwiz", *arguments])
        self._end(name, self.start(name, ["-c", code], secrets), 1)
        return (self.said / f"{name}.err").read_text()

    def _end(self, name: str, process: subprocess.Popen[bytes], code: int | None) -> str:
        ended = process.wait(DEADLINE_S)
        said = (self.said / f"{name}.err").read_text()
        assert code is None or ended == code, (name, ended, said)
        return (self.said / f"{name}.out").read_text()

    def until(self, condition: Any, what: str) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s, what
            time.sleep(0.05)

    def stop(self) -> None:
        for lock in (self.home.engine.lock, self.home.node.lock):
            if is_locked(lock) and (pid := lock_owner(lock)) is not None:
                kill(pid)
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(DEADLINE_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
