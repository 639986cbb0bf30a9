"""What goes wrong around a job, or is walked away from: nothing is lost, and everything is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.docker]

Make = Callable[..., Path]

SLOW = """
import time
for epoch in range(1, 9):
    print(f"Epoch {epoch}/8", flush=True)
    time.sleep(0.5)
"""
LARGE = "import os\nopen(os.environ['OUTPUT_DIR'] + '/model.bin', 'wb').write(os.urandom(1 << 20))"
END_TIMEOUT_S = 60


def test_ctrl_c_leaves_the_job_running(network, job: Make) -> None:
    folder = job(SLOW)
    arguments = ["run", str(folder / "train.py"), "--data", str(folder / "data"), "--yes"]
    command = [sys.executable, "-m", "p2p.engine.cli", *arguments, "--out", str(folder / "out")]
    process = subprocess.Popen(
        command,
        env=network.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        assert any("Epoch 1/8" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=END_TIMEOUT_S)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "goes on without this terminal" in said
    assert "cyxwiz logs -f" in said
    job_id = network.cli("jobs", "--json").json[0]["job_id"]
    network.wait(job_id, "settled")
    network.until(job_id, lambda shown: shown["fetched"])
    assert (folder / "out" / "log.txt").read_text().splitlines() == [f"Epoch {n}/8" for n in range(1, 9)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own needs root to mount it")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_results_that_find_no_room_wait_for_another_disk(network, job: Make, small_disk: Path) -> None:
    folder = job(LARGE)
    before = network.balances()
    arguments = ["run", str(folder / "train.py"), "--data", str(folder / "data"), "--yes"]
    done = network.cli(*arguments, "--out", str(small_disk / "out"))
    assert done.code == 3, done.stdout + done.stderr
    assert "cannot be written" in done.stderr
    assert "--out" in done.stderr
    assert not (small_disk / "out").exists()
    shown = network.cli("jobs", "--json").json[0]
    assert shown["problem"]["code"] == "disk_full"
    assert network.balances().node == before.node  # not verified, so not paid
    fetched = network.cli("fetch", shown["job_id"], "--out", str(folder / "out"))
    assert fetched.code == 0, fetched.stderr
    assert (folder / "out" / "outputs" / "model.bin").stat().st_size == 1 << 20
    network.wait(shown["job_id"], "settled")
    assert network.balances().node > before.node
    assert list(small_disk.iterdir()) == []


def test_a_node_without_docker_says_what_is_missing(network, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(network.home.config, home / "config.toml")
    environment = {
        **network.environment(),
        "CYXWIZ_HOME": str(home),
        "DOCKER_HOST": f"unix://{tmp_path}/none",
    }
    command = [sys.executable, "-m", "p2p.node.cli", "check"]
    done = subprocess.run(
        [*command, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (row,) = [row for row in json.loads(done.stdout) if row["name"] == "docker"]
    assert (row["ok"], row["required"]) == (False, True)
    assert row["fix"]
    assert "Traceback" not in done.stderr
    plain = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False
    )
    assert plain.returncode == 1
    assert row["fix"] in " ".join(plain.stdout.split())


READS = [
    ("p2p.engine.cli", "jobs"),
    ("p2p.engine.cli", "offers"),
    ("p2p.engine.cli", "wallet balance"),
    ("p2p.engine.cli", "wallet history"),
    ("p2p.engine.cli", "local status"),
    ("p2p.node.cli", "status"),
    ("p2p.node.cli", "check"),
    ("p2p.node.cli", "jobs"),
    ("p2p.node.cli", "earnings"),
    ("p2p.node.cli", "balance"),
    ("p2p.node.cli", "set"),
    ("coordinator.cli", "status"),
    ("coordinator.cli", "nodes"),
    ("coordinator.cli", "jobs"),
    ("coordinator.cli", "rates list"),
    ("coordinator.cli", "accounts"),
    ("coordinator.cli", "ledger check"),
]


@pytest.mark.parametrize(("program", "command"), READS, ids=lambda value: value.replace(" ", "-"))
def test_every_read_has_json(network, program: str, command: str) -> None:
    done = network.cli(*command.split(), "--json", program=program)
    assert done.code == 0, done.stderr
    assert isinstance(done.json, dict | list)
    assert done.stderr == ""
