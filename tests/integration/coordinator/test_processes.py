"""The programs as people start them: embedded PostgreSQL, ``serve``, the operator's commands."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import psycopg
import pytest
from rich.console import Console

from coordinator.cli import main
from coordinator.store.embedded import EmbeddedPostgres
from p2p.core.errors import EnvironmentFailure
from p2p.core.paths import Home
from p2p.local.home import HOME_VARIABLE
from p2p.local.platform import is_alive, kill

DEADLINE_S = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "postgres")
    yield made
    made.stop()


def _pid(server: EmbeddedPostgres) -> int:
    return int((server.folder / "postmaster.pid").read_text().split()[0])


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- embedded PostgreSQL


def test_the_server_is_durable_private_and_found_again(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    with psycopg.connect(dsn) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        connection.execute("CREATE TABLE t AS SELECT 1 AS one")
    assert (server.folder.stat().st_mode & 0o777) == 0o700
    assert EmbeddedPostgres(server.folder).start() == dsn  # as after kill -9 of a coordinator
    kill(_pid(server))  # and as after a power cut
    _wait(lambda: not server.is_running())
    server.start()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT one FROM t").fetchone() == (1,)
    server.stop()
    assert not server.is_running()
    server.stop()
    server.folder.parent.chmod(0o700)  # closed to the server's user, where that is another
    server.start()
    assert server.is_running()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be refused")
def test_another_user_of_the_machine_is_kept_out(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    # Even if the folder's own permissions were opened up.
    server.folder.chmod(0o777)
    command = [server._bin / "psql", dsn, "-c", "SELECT 1"]
    done = subprocess.run(
        command, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Peer authentication failed" in done.stderr


def test_a_process_id_of_somebody_else_does_not_stop_a_start(server: EmbeddedPostgres) -> None:
    server.start()
    text = (server.folder / "postmaster.pid").read_text()
    server.stop()
    (server.folder / "postmaster.pid").write_text(text.replace(text.split()[0], str(os.getpid()), 1))
    server.start()
    assert _pid(server) != os.getpid()


def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure) as caught:
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()
    assert caught.value.code == "postgres_failed"
    assert len(caught.value.lines()) == 3


# -- serve and the operator's commands


class Installation:
    """A home with a configuration, its coordinator as a process."""

    def __init__(self, root: Path, localnet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.home = Home(root)
        self.paths = self.home.coordinator
        self.paths.folder.mkdir(parents=True)
        copyfile(localnet.folder / "coordinator.json", self.paths.folder / "coordinator.json")
        address = '[coordinator]\naddress = "/ip4/127.0.0.1/tcp/1/p2p/x"\n\n'
        self.home.config.write_text(address + localnet.config.to_toml())
        self.environment = {**os.environ, HOME_VARIABLE: str(root), "NO_COLOR": "1", "COLUMNS": "200"}

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "coordinator.cli", "serve", "--listen", "/ip4/127.0.0.1/tcp/0"]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise AssertionError(process.communicate(timeout=DEADLINE_S)[1])
            assert (self.paths.folder / "address").read_text().strip() == line
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_S)

    def process(self, *arguments: str) -> Done:
        """A command as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "coordinator.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def cli(self, *arguments: str) -> Done:
        """A command in this process: the same entry point, without the start of an interpreter."""
        out, err = io.StringIO(), io.StringIO()
        self.monkeypatch.setattr(sys, "argv", ["cyxwiz-coordinator", *arguments])
        self.monkeypatch.setattr("p2p.local.cli.out", Console(file=out, width=200))
        self.monkeypatch.setattr("p2p.local.cli.err", Console(file=err, width=200))
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def installation(tmp_path: Path, localnet: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    made = Installation(tmp_path / "home", localnet, monkeypatch)
    yield made
    EmbeddedPostgres(made.paths.folder / "postgres").stop()


@pytest.mark.process
def test_a_coordinator_from_start_to_end(installation: Installation) -> None:
    nothing = installation.cli("jobs")
    assert nothing.returncode == 3
    assert "cyxwiz-coordinator serve" in nothing.stderr
    with installation.serving() as process:
        status = json.loads(installation.process("status", "--json").stdout)
        assert status["running"]
        assert status["address"].startswith("/ip4/127.0.0.1/tcp/")
        second = installation.process("serve", "--listen", "/ip4/127.0.0.1/tcp/0")
        assert second.returncode == 3
        assert str(process.pid) in second.stderr
        _reads(installation)
        _rates(installation)
        process.kill()
        process.wait(DEADLINE_S)
    # PostgreSQL is a process of its own; the next coordinator, or a read, finds it again.
    assert json.loads(installation.cli("status", "--json").stdout)["running"] is False
    with installation.serving() as process:
        rates = json.loads(installation.cli("rates", "list", "--json").stdout)
        assert (rates["sol"]["set_usd_micros"], rates["sol"]["source"], rates["sol"]["fault"]) == (
            140_000_000,
            "admin",
            "",
        )
        postgres = _pid(EmbeddedPostgres(installation.paths.folder / "postgres"))
        assert "runs and needs it" in installation.cli("postgres", "stop").stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    _wait(lambda: not is_alive(postgres))
    assert not (installation.paths.folder / "address").exists()
    assert "up to date" in installation.cli("migrate").stdout


def _reads(installation: Installation) -> None:
    for command in ("nodes", "jobs", "accounts"):
        assert json.loads(installation.cli(command, "--json").stdout) == []
        assert installation.cli(command).returncode == 0
    checked = installation.cli("ledger", "check", "--json")
    found = json.loads(checked.stdout)
    # The chain of this test session owes money that this empty ledger knows nothing of.
    assert checked.returncode == (0 if found["agrees"] else 1)
    for job, code, word in (("zz", 2, "hex"), ("abcd", 4, "no job")):
        done = installation.cli("job", job)
        assert done.returncode == code
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def _rates(installation: Installation) -> None:
    assert installation.cli("rates", "set", "rtx4090", "0.45").returncode == 0
    assert installation.cli("rates", "set", "sol", "140").returncode == 0
    listed = json.loads(installation.cli("rates", "list", "--json").stdout)
    assert {"rtx4090": 450_000}.items() <= {
        rate["gpu_class"]: rate["usd_micros_per_hour"] for rate in listed["rates"]
    }.items()
    for name, price in (("any", "1"), ("A B", "1"), ("cpu", "0"), ("cpu", "cheap"), ("cpu", "-1")):
        done = installation.cli("rates", "set", "--", name, price)
        assert done.returncode == 2, (name, price)


@pytest.mark.process
@pytest.mark.parametrize("lacking", ["config", "keypair"])
def test_serve_says_what_is_missing(installation: Installation, lacking: str, tmp_path: Path) -> None:
    if lacking == "config":
        installation.home.config.unlink()
    else:
        (installation.paths.folder / "coordinator.json").unlink()
    done = installation.process("serve", "--listen", "/ip4/127.0.0.1/tcp/0")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (installation.paths.folder / "postgres").exists()  # nothing was begun


@pytest.mark.process
def test_a_stolen_or_mistaken_key_is_noticed(installation: Installation, localnet: Any) -> None:
    copyfile(localnet.folder / "admin.json", installation.paths.folder / "coordinator.json")
    done = installation.process("serve", "--listen", "/ip4/127.0.0.1/tcp/0")
    assert done.returncode == 2
    assert "coordinator is" in done.stderr
