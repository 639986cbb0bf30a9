"""``cyxwiz`` as a process of its own: texts, exit codes, the agent that it starts and finds again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from p2p.core.paths import Home
from p2p.engine.cli_run import plan_params
from p2p.local.home import HOME_VARIABLE

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 60
pytestmark = pytest.mark.process


@dataclass
class Cli:
    home: Home
    folder: Path

    def __call__(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, HOME_VARIABLE: str(self.home.root), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "p2p.engine.cli", *arguments]
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,  # results go to ./out unless they are told where
            **options,
        )


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    made = Cli(Home(tmp_path / "home"), tmp_path)
    try:
        yield made
    finally:
        for pid in agents_of(made.home):
            os.kill(pid, signal.SIGKILL)


def agents_of(home: Home) -> list[int]:
    """Every agent of this test's own home, also one that is about to find that another was faster."""
    mark = f"{HOME_VARIABLE}={home.root}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"p2p.engine.agent" in command and mark in environment.split(b"\0"):
            found.append(int(folder.name))
    return found


def script(tmp_path: Path, body: str = "print(1)\n") -> str:
    path = tmp_path / "train.py"
    path.write_text(body)
    return str(path)


Case = tuple[Callable[[Path], list[str]], int, str]
NO_NETWORK: dict[str, Case] = {
    "usage": (lambda p: ["run"], 2, "Missing argument"),
    "unknown command": (lambda p: ["dance"], 2, "No such command"),
    "bad option value": (lambda p: ["run", script(p), "--network", "lan"], 2, "'lan' is not one of"),
    "missing script": (lambda p: ["run", str(p / "none.py"), "--yes"], 2, "There is no script file"),
    "broken script": (lambda p: ["run", script(p, "def ("), "--yes"], 2, "line 1"),
    "negative timeout": (lambda p: ["run", script(p), "--timeout", "-5", "--yes"], 2, "timeout must be"),
    "no network": (lambda p: ["run", script(p), "--yes"], 2, "no network configuration"),
    "hash without url": (lambda p: ["run", script(p), "--data-sha256", "00", "--yes"], 2, "goes with a URL"),
    "json without yes": (lambda p: ["run", script(p), "--json"], 2, "--json asks no questions"),
    "unknown job": (lambda p: ["show", "abcd"], 2, "is not a job of this engine"),
    "no such prefix": (lambda p: ["logs", "zz"], 2, "is not a job of this engine"),
    "not logged in": (lambda p: ["wallet", "balance"], 4, "not logged in"),
    "no keypair": (lambda p: ["login", "--keypair", str(p / "none.json")], 2, "cannot be read"),
    "bad amount": (lambda p: ["wallet", "deposit", "1e9", "--yes"], 2, "is not an amount"),
    "too fine": (lambda p: ["wallet", "deposit", "0.0000001", "--yes"], 2, "only 6 decimals"),
    "deposit of nobody": (lambda p: ["wallet", "deposit", "1"], 4, "not logged in"),
    "no page without network": (lambda p: ["login"], 2, "no network configuration"),
    "no keystore": (lambda p: ["login", "--keystore"], 2, "There is no keystore at"),
    "no keystore there": (lambda p: ["login", "--keystore", str(p / "k")], 2, "There is no keystore at"),
    "two wallets": (lambda p: ["login", "--keypair", "a", "--keystore"], 2, "exclude each other"),
    "three wallets": (lambda p: ["wallet", "reclaim", "ab12", "--browser", "--keystore"], 2, "exclude each"),
    "words for nobody": (lambda p: ["wallet", "create"], 2, "There is no terminal on which the words"),
    "no password": (lambda p: ["wallet", "import"], 2, "there is no terminal to ask for it"),
    "nothing to export": (
        lambda p: ["wallet", "export", "--keypair", str(p / "k")],
        2,
        "There is no keystore at",
    ),
    "nothing to change": (lambda p: ["wallet", "password"], 2, "There is no keystore at"),
    "sessions of nobody": (lambda p: ["wallet", "sessions"], 4, "not logged in"),
    "reclaim for nobody": (lambda p: ["wallet", "reclaim", "ab12"], 4, "not logged in"),
    "csv and json": (lambda p: ["wallet", "history", "--csv", "--json"], 2, "exclude each other"),
    "network down": (lambda p: ["local", "status"], 1, "stopped"),
}


def test_mistakes_are_explained_with_the_documented_exit_code(cli: Cli, tmp_path: Path) -> None:
    for name, (arguments, code, words) in NO_NETWORK.items():
        done = cli(*arguments(tmp_path))
        shown = done.stdout + done.stderr
        assert done.returncode == code, (name, shown)
        assert words in shown, name
        assert "Traceback" not in shown, name
    assert cli("jobs", "--json").stdout.strip() == "[]"


def test_the_agent_is_started_once_and_survives_the_command(cli: Cli) -> None:
    assert cli("agent", "status").returncode == 1
    assert cli("jobs").stdout.startswith("No jobs yet.")
    first = json.loads(cli("agent", "status", "--json").stdout)
    assert json.loads(cli("agent", "status", "--json").stdout)["pid"] == first["pid"]
    assert oct(cli.home.engine.folder.stat().st_mode & 0o777) == "0o700"
    assert cli("agent", "stop").returncode == 0
    assert cli("agent", "status").returncode == 1


def test_an_agent_that_was_killed_is_started_again_with_its_identity(cli: Cli) -> None:
    cli("jobs")
    first = json.loads(cli("agent", "status", "--json").stdout)
    os.kill(first["pid"], signal.SIGKILL)
    cli("jobs")
    second = json.loads(cli("agent", "status", "--json").stdout)
    assert second["pid"] != first["pid"]
    assert (second["peer_id"], second["addresses"]) == (first["peer_id"], first["addresses"])


def test_five_commands_at_once_start_one_agent(cli: Cli) -> None:
    environment = {**os.environ, HOME_VARIABLE: str(cli.home.root), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "p2p.engine.cli", "jobs"]
    options: Any = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    several = [subprocess.Popen(command, **options) for _ in range(5)]
    for process in several:
        shown, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, shown
    log = cli.home.engine.log.read_text()
    assert log.count("the engine runs as") == 1


def test_an_agent_that_cannot_start_says_why(cli: Cli) -> None:
    cli.home.engine.folder.mkdir(parents=True)
    cli.home.engine.journal.write_bytes(b"this is no database" * 100)
    done = cli("jobs")
    assert done.returncode == 3
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_written_is_named(cli: Cli) -> None:
    cli.home.root.parent.mkdir(exist_ok=True)
    cli.home.root.write_text("a file where the home should be")
    done = cli("jobs")
    assert done.returncode == 3
    assert str(cli.home.engine.folder) in done.stderr


def test_paths_are_made_absolute_for_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    empty = dict.fromkeys(
        (
            "gpu",
            "min_vram",
            "max_price",
            "timeout",
            "network",
            "data_sha256",
            "requirements",
            "config",
            "name",
        )
    )
    options = {
        **empty,
        "script": Path("a.py"),
        "out": Path("out"),
        "data": "d",
        "exclude": (),
        "asset": "usdc",
    }
    params = plan_params({**options, "gpu": "cpu"})
    assert params["script"] == str(tmp_path / "a.py")
    assert params["data"] == str(tmp_path / "d")
    assert params["overrides"] == {"gpu_type": "cpu"}
    url = plan_params({**options, "data": "https://example.org/d.zip"})
    assert (url["data"], url["data_url"]) == (None, "https://example.org/d.zip")
