"""What the agent says of the market, of a job's inside and of the network; nothing of it changes anything."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from p2p.core.errors import UserError
from p2p.core.limits import MEASURE_STEP_FILES
from p2p.core.messages.usage import UsageSample
from p2p.core.states import JobState
from p2p.engine.context import view_of
from p2p.net.identity import PeerIdentity

NOBODY = PeerIdentity.ephemeral().peer_id


async def test_an_estimate_needs_no_script(world: Any) -> None:
    async with world.engine() as running:
        estimate = running.api.handlers()["estimate"]
        found = await estimate({"overrides": {"timeout": 1800, "gpu_type": "cpu"}})
        assert (found["deposit_units"], found["cheapest_units"], found["fee_units"]) == (
            20_000,
            20_000,
            2_000,
        )
        assert (found["timeout_s"], found["gpu_type"], found["wait_s"]) == (1800, "cpu", 60.0)
        assert found["misfits"] == [{"rule": "busy", "nodes": 2, "words": "are busy with other jobs"}]
        for overrides in ({"timeout": 1}, {"nonsense": 1}):
            with pytest.raises(UserError):
                await estimate({"overrides": overrides})


async def measure(running: Any, **params: Any) -> tuple[list[list[int]], dict[str, Any]]:
    """What is said meanwhile, and in the end."""
    async with aclosing(running.api.streams()["measure"](params)) as stream:
        items = [item async for item in stream]
    return [item["progress"] for item in items[:-1]], items[-1]["measure"]


async def test_a_measure_counts_what_would_be_sent_and_what_would_not(world: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / ".git" / "objects").mkdir(parents=True)
    for number in range(MEASURE_STEP_FILES + 1):
        (data / f"{number}.bin").write_bytes(b"x" * 10)
    (data / ".git" / "objects" / "ab").write_bytes(b"x" * 1000)
    (data / "a.tmp").write_bytes(b"x" * 1000)
    script = tmp_path / "train.py"
    script.write_text("print('hello')\n")
    asked = {"script": str(script), "data": str(data), "exclude": [".git", "*.tmp"]}
    async with world.engine() as running:
        steps, found = await measure(running, **asked)
        files, size = MEASURE_STEP_FILES + 2, 15 + 10 * (MEASURE_STEP_FILES + 1)
        assert (found["files"], found["bytes"], found["known_bytes"]) == (files, size, 0)
        assert found["left_out"] == [
            {"path": ".git/", "pattern": ".git"},
            {"path": "a.tmp", "pattern": "*.tmp"},
        ]
        assert (found["problems"], found["left_out_count"]) == ([], 2)
        assert found["config"]["gpu_type"] == "any"
        assert steps[0] == [1, 15]
        assert len(steps) == 2
        plan = await world.plan(running, **asked)
        assert (plan["files"], plan["bytes"]) == (files, size)


async def test_a_measure_names_every_problem_with_its_field(world: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "here").write_text("x")
    (data / "link").symlink_to("/etc/passwd")
    (data / "other").symlink_to("/etc/passwd")
    (tmp_path / "requirements.txt").write_text("git+https://example.org/x\n")
    (tmp_path / "config.json").write_text('{"timeout": "long"}')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    async with world.engine() as running:
        _, found = await measure(
            running,
            script=str(tmp_path / "none.py"),
            requirements=str(tmp_path / "requirements.txt"),
            data=str(data),
            data_sha256="xyz",
            data_url="ftp://example.org",
            config=str(tmp_path / "config.json"),
            overrides={"min_vram": -1, "network": "lan", "gpu_type": "cpu"},
            out=str(tmp_path / "full"),
        )
    fields = [(problem["field"], problem["code"]) for problem in found["problems"]]
    assert fields == [
        ("script", "no_script"),
        ("requirements", "bad_requirement"),
        ("data_url", "bad_data_url"),
        ("data_sha256", "bad_hash"),
        ("out", "out_not_empty"),
        ("config", "bad_config"),
        ("min_vram", "bad_config"),
        ("network", "bad_config"),
        ("data", "link_in_data"),
        ("data", "link_in_data"),
    ]
    assert (found["config"], found["files"]) == (None, 1)


async def test_a_form_that_is_empty_has_no_problems(world: Any) -> None:
    async with world.engine() as running:
        assert (await measure(running))[1]["problems"] == []


async def test_metrics_are_followed_from_where_the_last_look_ended(world: Any) -> None:
    world.node.log, world.node.log_ended = b"Epoch 1/2 loss=0.5\nEpoch 2/2 lo", False
    async with world.engine() as running:
        job_id = await world.submit(running)
        metrics = running.api.handlers()["metrics"]
        assert (await metrics({"job": job_id}))["rows"] == []
        await world.coordinator.run(job_id)
        live, log = running.engine.live[job_id], running.engine.log(job_id, 1)
        while log.size_bytes() < len(world.node.log):
            await live.log.wait(live.log.count, 0.1)
        first = await metrics({"job": job_id})
        assert first["rows"] == [{"line": 1, "epoch": 1.0, "step": None, "values": {"loss": 0.5}}]
        assert (first["epoch"], first["line"], first["complete"], first["more"]) == (1, 1, False, False)
        world.node.log += b"ss=nan"
        world.node.log_ended = True
        await running.until(job_id, lambda job: job.log_complete)
        cursor = {name: first[name] for name in ("epoch", "offset", "line")}
        second = await metrics({"job": job_id, **cursor})
        assert second["rows"] == [{"line": 2, "epoch": 2.0, "step": None, "values": {"loss": "nan"}}]
        assert second["complete"]
        assert len((await metrics({"job": job_id, **cursor, "epoch": 7}))["rows"]) == 2


def sample(at_s: float) -> UsageSample:
    return UsageSample(at_s, 50.0, 2**20, 7, 3)


async def test_usage_is_asked_of_the_node_and_stays_when_the_node_is_gone(world: Any) -> None:
    world.node.samples, world.node.samples_ended = [sample(n) for n in range(5)], False
    async with world.engine() as running:
        job_id = await world.submit(running)
        usage = running.api.handlers()["usage"]
        none = await usage({"job": job_id})
        assert (none["samples"], none["complete"], none["cpus"]) == ([], False, None)
        await world.coordinator.run(job_id)
        await running.until(job_id, lambda job: job.epoch == 1)
        found = await usage({"job": job_id})
        assert [each["at_s"] for each in found["samples"]] == [0, 1, 2, 3, 4]
        assert (found["cpus"], found["memory_limit_bytes"], found["complete"]) == (2.0, 2**30, False)
        world.node.samples, world.node.samples_ended = [*world.node.samples, sample(5)], True
        more = await usage({"job": job_id, "epoch": found["epoch"], "after": found["after"]})
        assert ([each["at_s"] for each in more["samples"]], more["complete"]) == ([5], True)
    world.coordinator.move(job_id, JobState.RUNNING, node_addresses=(), node_peer_id=NOBODY)
    async with world.engine() as running:
        await running.until(job_id, lambda job: view_of(job).node_peer_id == NOBODY)
        kept = await running.api.handlers()["usage"]({"job": job_id})
        assert len(kept["samples"]) == 6
        assert kept["problem"]["code"] == "peer_unreachable"


async def test_samples_that_cannot_be_are_not_kept(world: Any) -> None:
    world.node.samples = [sample(float("nan"))]
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        await running.until(job_id, lambda job: job.epoch == 1)
        found = await running.api.handlers()["usage"]({"job": job_id})
        assert (found["samples"], found["problem"]["code"]) == ([], "bad_message")


async def test_the_network_says_who_is_there_and_how_files_go(world: Any) -> None:
    async with world.engine() as running:
        network = running.api.handlers()["network"]
        job_id = await world.submit(running)
        before = await network({})
        assert before["coordinator"]["reachable"]
        assert before["coordinator"]["since_s"] <= before["coordinator"]["last_reply_at_s"]
        assert [peer["role"] for peer in before["peers"]] == ["coordinator"]
        (job,) = before["jobs"]
        assert (job["node_peer_id"], job["connected"], job["relayed"]) == ("", False, None)
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, lambda job: job.fetched_at_s is not None)
        after = await network({})
        assert after["down_bytes"] == sum(len(body) for body in world.node.outputs.values())
        assert after["down_bytes_per_s"] > 0
        assert {peer["role"] for peer in after["peers"]} == {"coordinator", "node"}


async def test_a_coordinator_that_is_away_is_said_to_be(world: Any) -> None:
    text = world.home.config.read_text()
    own, port = world.coordinator.peer.addresses[0], world.coordinator.peer.addresses[0].split("/")[4]
    world.home.config.write_text(text.replace(own, own.replace(f"/{port}/", "/9/")))
    async with world.engine(resume=False) as running:
        found = await running.api.handlers()["network"]({})
    assert not found["coordinator"]["reachable"]
    assert found["coordinator"]["problem"]["code"] == "coordinator_unreachable"
    assert found["coordinator"]["last_reply_at_s"] is None
