"""Wrong input at the command line: three parts, the documented exit code, nothing half-done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.docker]

GOOD = "print('hello')"
Make = Callable[..., Path]


def _config(folder: Path, **fields: object) -> list[str]:
    (folder / "config.json").write_text(json.dumps(fields))
    return []


def _write(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return []


def _remove(path: Path) -> list[str]:
    path.unlink()
    return []


def _evil_requirements(folder: Path) -> list[str]:
    _write(folder / "r.txt", "evil @ file:///tmp/evil.tar.gz")
    return ["--requirements", str(folder / "r.txt")]


DEAR = ["--asset", "usdc", "--gpu", "h200", "--timeout", "86400"]

MISTAKES: dict[str, tuple[Callable[[Path], list[str]], int, str]] = {
    "wrong config": (lambda folder: _config(folder, gpu="any"), 2, "unknown field 'gpu'"),
    "config not json": (lambda folder: _write(folder / "config.json", "{"), 2, "not valid JSON"),
    "missing script": (lambda folder: _remove(folder / "train.py"), 2, "train.py"),
    "broken script": (lambda folder: _write(folder / "train.py", "def ("), 2, "line 1"),
    "missing data": (lambda folder: ["--data", str(folder / "nowhere")], 2, "nowhere"),
    "unknown gpu": (lambda folder: _config(folder, gpu_type="rtx9999"), 2, "rtx9999"),
    "price too low": (lambda folder: _config(folder, max_price=0.0001), 4, "price"),
    "not enough balance": (lambda _: DEAR, 4, "balance"),
    "bad requirements": (_evil_requirements, 2, "evil"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_costs_nothing_and_is_explained(network, job: Make, mistake: str) -> None:
    prepare, code, words = MISTAKES[mistake]
    folder = job(GOOD)
    options = prepare(folder)
    before, jobs = network.balances(), network.cli("jobs", "--json").stdout
    arguments = ["run", str(folder / "train.py"), "--config", str(folder / "config.json"), "--yes"]
    if "--data" not in options:
        arguments += ["--data", str(folder / "data")]
    done = network.cli(*arguments, "--out", str(folder / "out"), *options)
    assert done.code == code, done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) >= 2
    assert network.balances() == before
    assert network.cli("jobs", "--json").stdout == jobs
    assert not (folder / "out").exists()


def test_unreadable_data_is_named(network, job: Make) -> None:
    folder = job(GOOD)
    os.symlink("/nowhere/at/all", folder / "data" / "dangling")
    done = network.cli("run", str(folder / "train.py"), "--data", str(folder / "data"), "--yes")
    assert done.code == 2
    assert "dangling" in done.stderr


def test_an_unknown_job_is_refused(network) -> None:
    for command in (["show"], ["logs"], ["fetch"], ["cancel", "--yes"]):
        done = network.cli(*command, "0" * 32)
        assert done.code in (2, 4), done.stderr
        assert done.stderr.startswith("error: ")


def test_without_a_coordinator_it_says_so_and_how_to_go_on(network, job: Make) -> None:
    folder = job(GOOD)
    before = network.balances()
    network.kill9(network.home.coordinator)
    try:
        done = network.cli("run", str(folder / "train.py"), "--data", str(folder / "data"), "--yes")
        assert done.code == 3
        assert "coordinator" in done.stderr
        assert network.balances() == before
    finally:
        network.restart()
