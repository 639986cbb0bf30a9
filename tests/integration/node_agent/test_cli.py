"""``cyxwiz-node`` as a program: what it prints, its JSON, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.core.errors import ExitCode
from p2p.core.paths import Home
from p2p.local.home import HOME_VARIABLE

pytestmark = pytest.mark.process


class Done:
    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in self.err, self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def node(home: Path, *arguments: str) -> Done:
    environment = {**os.environ, HOME_VARIABLE: str(home)}
    command = [sys.executable, "-m", "p2p.node.cli", *arguments]
    with trio.fail_after(120):
        return Done(
            await trio.run_process(
                command, env=environment, capture_stdout=True, capture_stderr=True, check=False
            )
        )


async def test_without_a_network_it_says_so_in_three_parts(tmp_path: Path) -> None:
    done = await node(tmp_path, "run")
    assert done.code == ExitCode.USAGE
    lines = done.err.strip().splitlines()
    assert len(lines) == 3
    assert "no network configuration" in lines[0]


async def test_without_an_agent_reads_say_how_to_start_one(tmp_path: Path) -> None:
    for command in ("status", "earnings", "stop"):
        done = await node(tmp_path, command)
        assert done.code == ExitCode.ENVIRONMENT
        assert "cyxwiz-node run" in done.err
    done = await node(tmp_path, "jobs", "--json")
    assert (done.code, done.json) == (0, [])


async def test_settings_are_changed_without_an_agent(tmp_path: Path) -> None:
    done = await node(tmp_path, "set", "--min-price", "0.25", "--available", "off", "--memory", "2", "--json")
    assert done.code == 0
    assert done.json["min_price_usd_micros_per_hour"] == 250_000
    assert done.json["available"] is False
    assert done.json["memory_bytes"] == 2 << 30
    shown = await node(tmp_path, "set")
    assert "$0.25 an hour" in shown.out
    for wrong in (("--min-price", "cheap"), ("--cpus", "-1"), ("--memory", "-3"), ("--available", "maybe")):
        refused = await node(tmp_path, "set", *wrong)
        assert refused.code == ExitCode.USAGE, wrong
    assert (await node(tmp_path, "set", "--json")).json == done.json


@pytest.mark.docker
async def test_the_self_test_names_what_is_missing(tmp_path: Path) -> None:
    done = await node(tmp_path, "check", "--json")
    assert done.code == ExitCode.FAILED  # there is no coordinator
    rows = {row["name"]: row for row in done.json}
    assert rows["docker"]["ok"]
    assert not rows["coordinator"]["ok"]
    for row in rows.values():
        assert row["found"]
        assert row["needed"]
        assert row["why"]
        assert row["ok"] or row["fix"]
    assert oct((tmp_path / "node" / "wallet.json").stat().st_mode & 0o777) == "0o600"


@pytest.mark.docker
async def test_a_running_agent_answers_changes_and_stops(
    home: Home, coordinator: Any, engine: Any, nursery: trio.Nursery
) -> None:
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    with home.node.log.open("ab") as log:
        agent = await trio.lowlevel.open_process(
            [sys.executable, "-m", "p2p.node.cli", "run"], env=environment, stdout=log, stderr=log
        )
    try:
        await coordinator.until(lambda: bool(coordinator.registered))
        status = await node(home.root, "status", "--json")
        assert status.json["registered"] is True
        assert status.json["peer_id"] == coordinator.node
        assert (await node(home.root, "status")).out.count("registered") == 1
        second = await node(home.root, "run")
        assert second.code == ExitCode.ENVIRONMENT
        assert str(agent.pid) in second.err

        script = b"print(1)"
        job = engine.job({"train.py": script}, name="na\x1b]0;x\x07me")
        assert (await coordinator.assign(job)).accepted
        await coordinator.until(lambda: any(report.statement for report in coordinator.reports))
        (listed,) = (await node(home.root, "jobs", "--json")).json
        assert (listed["job_id"], listed["phase"], listed["name"]) == (job.job_id, "delivering", "name")
        assert job.job_id[:12] in (await node(home.root, "jobs")).out

        await node(home.root, "set", "--available", "off")
        await coordinator.until(lambda: not coordinator.registered[-1].advert.available)
        earnings = await node(home.root, "earnings")
        assert earnings.code == ExitCode.USAGE  # this scripted coordinator does not serve it
        assert (await node(home.root, "stop")).code == 0
        with trio.fail_after(60):
            assert await agent.wait() == 0
        assert coordinator.left
    finally:
        if agent.returncode is None:
            agent.send_signal(signal.SIGKILL)
            await agent.wait()
