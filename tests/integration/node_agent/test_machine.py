"""The machine over time, the news, what a window watches: through the agent's own socket."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import READINGS_LISTED_MAX, SAMPLES_KEPT_MAX
from p2p.core.messages.nodes import Earning
from p2p.core.metrics import Progress
from p2p.core.paths import Home
from p2p.core.states import JobState
from p2p.local.client import LocalClient
from p2p.local.server import LocalServer
from p2p.node.agent import NodeAgent
from p2p.node.hardware import GpuReading
from p2p.node.history import History, put_together
from p2p.node.local_api import LocalApi
from p2p.node.reading import Sample
from p2p.node.script_progress import progress_in
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import Phase
from p2p.store.readings import GpuPoint, Point, ReadingTables
from p2p.testing.marketplace import MovableClock
from p2p.testing.nvml import FakeGpu, FakeNvml

GB = 1 << 30
DEADLINE_S = 60.0


# -- the week in the journal


@asynccontextmanager
async def history(folder: Path, clock: MovableClock) -> AsyncIterator[History]:
    async with Journal.open(folder / "journal.db", migrations("node")) as journal:
        yield History(ReadingTables(journal), clock)


def sample(at_s: float, cpu: float, *gpus: GpuReading) -> Sample:
    return Sample(at_s, cpu, 4 * GB, gpus)


async def test_minutes_outlive_the_agent_and_are_forgotten_after_a_week(tmp_path: Path) -> None:
    clock = MovableClock()
    minute_s = clock.now_s() // 60 * 60
    gpu = GpuReading("a", 80, GB, 60, 200.0)
    async with history(tmp_path, clock) as kept:
        for part in range(12):
            await kept.add(sample(minute_s + 5 * part, 10.0 * part, replace(gpu, temperature_c=50 + part)))
        await kept.add(sample(minute_s + 60, 0.0, replace(gpu, power_w=None)))
        await kept.add(sample(minute_s + 120, 0.0))
    async with history(tmp_path, clock) as kept:
        step, points = await kept.over(3600)
        assert step == 1
        assert points == (
            Point(minute_s, 55.0, 4 * GB, (GpuPoint("a", 80.0, GB, 55.5, 200.0),)),
            Point(minute_s + 60, 0.0, 4 * GB, (GpuPoint("a", 80.0, GB, 60.0, None),)),
        )
        assert await kept.busy_power_w(3600) == 200.0
        step, points = await kept.over(7 * 24 * 3600)
        assert step * READINGS_LISTED_MAX >= 7 * 24 * 60
        assert len(points) in (1, 2)
        clock.ahead_s = 8 * 24 * 3600
        later_s = clock.now_s()
        for at_s in (later_s, later_s + 60):
            await kept.add(sample(at_s, 1.0))
        assert [point.cpu_percent for point in (await kept.over(30 * 24 * 3600))[1]] == [1.0]
        assert await kept.busy_power_w(30 * 24 * 3600) is None


async def test_the_last_hour_is_read_on_from_a_number(tmp_path: Path) -> None:
    clock = MovableClock()
    async with history(tmp_path, clock) as kept:
        first = kept.count
        for part in range(SAMPLES_KEPT_MAX + 10):
            await kept.add(sample(clock.now_s(), float(part)))
        assert [each.cpu_percent for each in kept.after(kept.count - 2)] == [
            SAMPLES_KEPT_MAX + 8,
            SAMPLES_KEPT_MAX + 9,
        ]
        assert kept.after(kept.count) == ()
        assert len(kept.after(first)) == len(kept.after(kept.count + 5)) == SAMPLES_KEPT_MAX


def test_a_gpu_counts_where_it_answered() -> None:
    silent = GpuReading("a", None, None, None, None)
    point = put_together([sample(0, 1.0, silent), sample(5, 2.0)])
    assert point == Point(0, 1.5, 4 * GB, (GpuPoint("a", None, None, None, None),))


def test_progress_is_read_from_the_end_of_a_log() -> None:
    tail = b'och": 1}\nEpoch 3/10 loss=0.5\n\xff\xfe 40%|####      | 4/10 [00:01\r 50%|#####     | 5/10 ['
    found = progress_in(tail, Progress())
    assert (found.epoch, found.epochs, found.step, found.steps) == (3, 10, 5, 10)
    assert found.fraction == 0.3
    assert progress_in(b"nothing\n", found) == found


# -- through the socket


@asynccontextmanager
async def served(agent: NodeAgent, home: Home) -> AsyncIterator[LocalClient]:
    async with trio.open_nursery() as nursery:
        api = LocalApi(agent)
        await nursery.start(LocalServer(api.handlers(), api.streams()).serve, home.node.socket)
        nursery.start_soon(agent.books.keep, agent.clock.now_s)
        yield LocalClient(home.node.socket)
        nursery.cancel_scope.cancel()


Start = Callable[[], AbstractAsyncContextManager[NodeAgent]]


@pytest.mark.docker
async def test_hardware_and_readings_of_a_machine_with_gpus(
    home: Home, start_agent: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = [
        FakeGpu("GPU-a", "NVIDIA GeForce RTX 4090"),
        FakeGpu("GPU-b", "NVIDIA H100 80GB HBM3", mute=("power",)),
    ]
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(gpus))
    async with start_agent() as agent, served(agent, home) as client:
        await client.call("set", {"gpus": ["GPU-a"], "electricity_usd_micros_per_kwh": 300_000})
        cursor = (await client.call("readings"))["cursor"]
        await agent.gate.look()
        gpus[0].temperature = 71
        await agent.gate.look()
        found = await client.call("hardware")
        assert [(gpu["gpu_class"], gpu["offered"], gpu["busy"]) for gpu in found["gpus"]] == [
            ("rtx4090", True, False),
            ("h100", False, False),
        ]
        answer = await client.call("readings", {"after": cursor})
        assert answer["cursor"] == cursor + 2
        shown = [[gpu["temperature_c"] for gpu in point["gpus"]] for point in answer["points"]]
        assert shown == [[60, 60], [71, 60]]
        assert [gpu["power_w"] for gpu in answer["points"][0]["gpus"]] == [200.0, None]
        assert (await client.call("readings", {"after": answer["cursor"]}))["points"] == []
        assert (await client.call("readings", {"span_s": 3600}))["points"] == []
        for wrong in ({"after": -1}, {"span_s": "x"}, {"span_s": True}):
            with pytest.raises(UserError):
                await client.call("readings", wrong)


@pytest.mark.docker
async def test_a_window_watches_and_hears_the_news(
    home: Home, start_agent: Start, coordinator: Any, engine: Any
) -> None:
    async with start_agent() as agent, served(agent, home) as client, trio.open_nursery() as nursery:
        heard: list[dict[str, Any]] = []
        seen: list[dict[str, Any]] = []
        more = trio.Event()

        async def follow(method: str, into: list[dict[str, Any]], **params: int) -> None:
            nonlocal more
            async with aclosing(client.stream(method, dict(params))) as items:
                async for item in items:
                    into.append(item)
                    more.set()
                    more = trio.Event()

        async def until(condition: Callable[[], bool]) -> None:
            with trio.fail_after(DEADLINE_S):
                while not condition():
                    await more.wait()

        start = agent.news.newest
        nursery.start_soon(lambda: follow("news", heard, after=start))
        nursery.start_soon(lambda: follow("watch", seen))
        script = b"import time\nprint('Epoch 1/4', flush=True)\ntime.sleep(600)"
        job = engine.job({"train.py": script}, name="na\x1b]0;x\x07me")
        assert (await coordinator.assign(job)).accepted
        await until(lambda: [item["kind"] for item in heard] == ["job_taken"])
        assert "name" in heard[0]["words"]
        assert heard[0]["job_id"] == job.job_id
        await until(lambda: any(jobs and jobs[0]["phase"] == "running" for jobs in _jobs(seen)))
        (supervisor,) = agent.jobs.supervisors()
        with trio.fail_after(DEADLINE_S):
            while not supervisor.spool.size_bytes:
                await trio.sleep(0.05)
        await agent.progress.look(agent.jobs.supervisors())
        await until(lambda: any(jobs and jobs[0]["progress"] == 0.25 for jobs in _jobs(seen)))
        await client.call("stop_job", {"job": job.job_id})
        await until(lambda: [item["kind"] for item in heard] == ["job_taken", "job_stopped"])
        await until(lambda: seen[-1]["slots_busy"] == 0)
        assert seen[-1]["availability"]["reason"] == "waiting"

        earning = Earning(
            job.job_id, SYSTEM_CLOCK.now_s(), "usdc", 90, 10, JobState.COMPLETED, "", "n", 60, seq=1
        )
        coordinator.earned.append(earning)
        await agent.books.look(SYSTEM_CLOCK.now_s())
        coordinator.earned[0] = replace(earning, state=JobState.SETTLED, at_s=SYSTEM_CLOCK.now_s())
        await agent.books.look(SYSTEM_CLOCK.now_s())
        await until(lambda: heard[-1]["kind"] == "job_paid")
        assert heard[-1]["words"] == "0.000090 USDC paid for the job n."
        await until(lambda: bool(seen[-1]["earned"]["assets"]))
        (earned,) = seen[-1]["earned"]["assets"]
        assert (earned["lifetime_units"], earned["today_units"], earned["unpaid_units"]) == (90, 90, 0)
        await client.call("set", {"electricity_usd_micros_per_kwh": 300_000, "watts": 400})
        (cpu, other) = await client.call("rates", {})
        assert (cpu["gpu_class"], cpu["usd_micros_per_hour"], cpu["nodes_online"]) == ("cpu", 60_000, 3)
        assert (cpu["own"], other["own"]) == (True, False)
        projection = await client.call("projection", {"days": 7})
        assert projection["assets"][0]["per_month_units"] == 90 * 30
        electricity = projection["electricity"]
        assert (electricity["watts"], electricity["measured"], electricity["cost_usd_micros"]) == (
            400,
            False,
            2000,
        )
        assert electricity["net_usd_micros"] == 90 - 2000
        numbers = [item["number"] for item in heard]
        assert numbers == sorted(set(numbers))
        nursery.cancel_scope.cancel()


def _jobs(seen: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [status["jobs"] for status in seen]


@pytest.mark.docker
async def test_pay_so_far_is_the_rate_without_the_fee(
    home: Home, start_agent: Start, coordinator: Any, engine: Any
) -> None:
    job = replace(engine.job({"train.py": b"print(1)"}), rate_units_per_hour=3_600_000, fee_bps=1000)
    async with start_agent() as agent, served(agent, home) as client:
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.DELIVERING)
        (listed,) = await client.call("jobs")
        assert listed["phase"] == Phase.DELIVERING.value
        used = 1000 * -(-listed["run_seconds"] // 1)
        pay = listed["pay"]
        assert (pay["state"], pay["estimate"], pay["fee_bps"]) == ("waiting_for_signature", True, 1000)
        assert (pay["net_units"], pay["fee_units"]) == (used - used // 10, used // 10)
        assert listed["stop_means"] is None


async def all_of(client: LocalClient, method: str, **params: str) -> list[Any]:
    async with aclosing(client.stream(method, dict(params))) as items:
        return [item async for item in items]


@pytest.mark.docker
async def test_a_window_looks_after_the_node(
    home: Home, start_agent: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_found() -> list[Any]:
        return []

    async with start_agent() as agent, served(agent, home) as client:
        rows = {row["id"]: row for row in await client.call("check")}
        assert {"driver", "hardware", "docker", "gpu-runtime", "disk", "outbound-network"} < set(rows)
        assert {"job-image", "wallet", "available", "coordinator"} < set(rows)
        await client.call("switch", {"to": "off"})
        off = next(row for row in await client.call("check") if row["id"] == "available")
        assert (off["ok"], off["commands"], off["action"]) == (False, ["cyxwiz-node on"], "Take jobs.")
        assert [item["row"]["ok"] for item in await all_of(client, "fix", id="available")] == [True]
        found = await all_of(client, "fix", id="job-image")
        assert any("exists already" in item.get("line", "") for item in found)
        assert found[-1]["row"]["ok"]
        with pytest.raises(UserError):
            await all_of(client, "fix", id="disk")
        with monkeypatch.context() as patch:
            patch.setattr(agent.runner, "check", nothing_found)
            with pytest.raises(EnvironmentFailure, match="cannot say"):
                await all_of(client, "fix", id="job-image")
        home.node.log.write_text("a line\n")
        assert [item["lines"] for item in await all_of(client, "log")] == [["a line"]]
        with pytest.raises(UserError):
            await client.call("support_bundle", {"file": "not/absolute.zip"})
        bundle = await client.call("support_bundle", {"file": str(tmp_path / "b.zip")})
        names = {part["name"].partition(".json")[0] for part in bundle["parts"]}
        assert names == {"agent.log", "check", "hardware", "jobs", "status", "versions"}
        assert (await client.call("autostart"))["how"] in ("systemd", "desktop")
