"""``cyxwiz-node`` as a program: what it prints, its JSON, its exit codes."""

from __future__ import annotations

import csv
import io
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
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.core.messages.nodes import Assignment, Earning, StateReport
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.core.states import FailureCode, JobState
from p2p.local.home import HOME_VARIABLE
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import NodeTables, Place
from p2p.wire.codec import encode

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


async def test_the_switch_and_the_conditions_without_an_agent(tmp_path: Path) -> None:
    hours = ("--hours", "mon-fri 18:00-08:00, sat,sun 00:00-24:00")
    done = await node(
        tmp_path, "set", "--available", "schedule", *hours, "--exclusive-apps", "blender, steam"
    )
    assert "schedule" in done.out
    assert "blender, steam" in done.out
    for wrong in (("--hours", "weekends"), ("--hours", ""), ("--idle-minutes", "0")):
        assert (await node(tmp_path, "set", *wrong)).code == ExitCode.USAGE, wrong
    assert (await node(tmp_path, "pause", "soon")).code == ExitCode.USAGE
    paused = await node(tmp_path, "pause", "1h30m", "--json")
    assert paused.json["paused_until_s"] > 0
    assert (await node(tmp_path, "on", "--json")).json == {"switch": "available"}
    settings = (await node(tmp_path, "set", "--json")).json
    assert (settings["available"], settings["scheduled"], settings["paused_until_s"]) == (True, True, 0.0)
    refused = await node(tmp_path, "pause", "31d")
    assert (refused.code, "at most 30 days" in refused.err) == (ExitCode.USAGE, True)
    for command in ("finish", "off"):
        assert (await node(tmp_path, command, "--json")).json == {"switch": "off"}


async def test_off_without_an_agent_says_what_goes_on(tmp_path: Path, engine: Any) -> None:
    """Containers outlive the agent, and nobody ends them while there is none."""
    journal = Home(tmp_path).node.journal
    journal.parent.mkdir(parents=True)
    job = engine.job({"train.py": b""})
    async with Journal.open(journal, migrations("node")) as opened:
        await NodeTables(opened).accept(job.job_id, 1, encode(job), Place("", "sha256:1", 2.0, 1 << 30))
    done = await node(tmp_path, "off", "--json")
    assert (done.code, done.json) == (0, {"switch": "off"})
    assert f"{job.job_id[:12]} test goes on without the agent" in done.err
    assert (await node(tmp_path, "finish", "--json")).err == ""


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
        assert (await node(home.root, "status", "--json")).json["availability"]["reason"] == "off"
        await node(home.root, "on")
        await coordinator.until(lambda: coordinator.registered[-1].advert.available)
        await one_job_is_stopped(home.root, coordinator, engine)
        await shows_earnings(home.root, coordinator)
        assert (await node(home.root, "stop")).code == 0
        with trio.fail_after(60):
            assert await agent.wait() == 0
        assert coordinator.left
    finally:
        if agent.returncode is None:
            agent.send_signal(signal.SIGKILL)
            await agent.wait()


async def shows_earnings(home: Path, coordinator: Any) -> None:
    """More jobs than a page of the coordinator's holds: none is lost."""
    assert (await node(home, "earnings")).out.strip() == "Nothing earned yet."
    assert (await node(home, "earnings", "--json")).json == []
    start_s = 1_780_000_000.0
    count = JOBS_LISTED_MAX + 2
    coordinator.earned += [
        Earning(f"{seq:032x}", start_s + seq, "usdc", 90, 10, JobState.SETTLED, "5sig", "=1+1", 60, seq=seq)
        for seq in range(1, count)
    ]
    coordinator.earned.append(
        Earning("ff" * 16, start_s + 9e6, "usdc", 900, 100, JobState.COMPLETED, "", "later", 60, 2e9, count)
    )
    shown = (await node(home, "earnings", "--limit", "2")).out
    assert "claimed and in review until 2033-05-18" in shown
    assert f"paid: {format_amount(90 * (count - 1), Asset.USDC)} (fee " in shown
    assert shown.count("5sig") == 1
    listed = (await node(home, "earnings", "--json", "--limit", "2")).json
    assert [(each["pay"], each["name"]) for each in listed] == [("in_review", "later"), ("paid", "=1+1")]
    months = (await node(home, "earnings", "--by", "month", "--json")).json
    assert sum(month["jobs"] for month in months) == count
    assert sum(month["pay"]["paid"]["net_units"] for month in months) == 90 * (count - 1)
    days = await node(home, "earnings", "--by", "day")
    assert "(UTC" in days.err
    assert days.out.splitlines()[0].split()[:2] == ["day", "jobs"]
    later = (await node(home, "earnings", "--since", "2026-06-20", "--csv")).out
    rows = list(csv.DictReader(io.StringIO(later)))
    assert [(row["state"], row["net"], row["review_ends_at"]) for row in rows] == [
        ("in_review", "0.000900", "2033-05-18T03:33:20Z")
    ]
    every = list(csv.DictReader(io.StringIO((await node(home, "earnings", "--csv")).out)))
    assert {row["name"] for row in every} == {"later", "'=1+1"}
    for wrong in (("--csv", "--json"), ("--since", "yesterday"), ("--by", "year"), ("--limit", "0")):
        assert (await node(home, "earnings", *wrong)).code == ExitCode.USAGE


async def one_job_is_stopped(home: Path, coordinator: Any, engine: Any) -> None:
    """Its owner is told what that means, and the coordinator that the node did it."""
    job = engine.job({"train.py": b"import time\nprint(1, flush=True)\ntime.sleep(600)"})
    assert (await coordinator.assign(job)).accepted
    await coordinator.until(lambda: any(_is(report, job, JobState.RUNNING) for report in coordinator.reports))
    shown = (await node(home, "status", "--json")).json
    assert (shown["availability"]["reason"], shown["availability"]["takes"]) == ("full", True)
    assert shown["jobs"][-1]["limits"]["memory_bytes"] == 1 << 30
    finishing = (await node(home, "finish", "--json")).json
    assert (finishing["switch"], finishing["takes"]) == ("finishing", False)
    asked = await node(home, "stop-job", job.job_id[:8])
    assert asked.code == ExitCode.USAGE
    assert "not paid" in asked.err
    assert (await node(home, "off")).code == ExitCode.USAGE
    assert (await node(home, "stop-job", "abcd0000", "--yes")).code == ExitCode.USAGE
    assert (await node(home, "stop-job", job.job_id[:8], "--yes")).code == 0
    await coordinator.until(lambda: any(_is(report, job, JobState.FAILED) for report in coordinator.reports))
    failed = next(report for report in coordinator.reports if _is(report, job, JobState.FAILED))
    assert failed.failure is FailureCode.STOPPED
    paused = (await node(home, "pause", "1h", "--json")).json
    assert (paused["switch"], paused["reason"]) == ("off", "off")
    assert (await node(home, "off", "--json")).json["switch"] == "off"


def _is(report: StateReport, job: Assignment, state: JobState) -> bool:
    return report.job_id == job.job_id and report.state is state
