"""What the agent says of the market, of a job's inside and of the network; nothing of it changes anything."""

from __future__ import annotations

from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.core.errors import UserError
from p2p.core.limits import LOGIN_SOON_S, MEASURE_STEP_FILES
from p2p.core.messages.usage import UsageSample
from p2p.core.states import FailureCode, JobState
from p2p.engine.context import view_of
from p2p.engine.news import look_at_login
from p2p.engine.wallets import Account
from p2p.net.identity import PeerIdentity
from p2p.store.stages import Stage

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


async def told(running: Any, **params: Any) -> list[dict[str, Any]]:
    """All news that there is."""
    async with aclosing(running.api.streams()["news"](params)) as items:
        return [item async for item in items if item["news"] is not None]


async def test_news_come_once_and_outlive_the_agent(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        await world.coordinator.run(job_id)
        world.coordinator.move(job_id, JobState.RUNNING, used_seconds=479)
        await running.until(job_id, lambda job: view_of(job).used_seconds == 479)
        assert await told(running, after=0) == []
        for seconds in (480, 500):
            world.coordinator.move(job_id, JobState.RUNNING, used_seconds=seconds)
            await running.until(job_id, lambda job, used=seconds: view_of(job).used_seconds == used)
        (low,) = await told(running, after=0)
        assert (low["news"]["kind"], low["news"]["job_id"]) == ("low_budget", job_id)
        assert low["news"]["detail"] == "480 s of 600 s"
        assert (await running.api.handlers()["show"]({"job": job_id}))["budget_used"] > 0.8
    async with world.engine() as running:
        world.coordinator.deliver(job_id)
        await running.until(job_id, lambda job: job.stage.is_final)
        news = await told(running, after=low["cursor"])
        assert [item["news"]["kind"] for item in news] == ["finished"]
        assert await told(running, after=news[-1]["cursor"]) == []
        assert await told(running) == []
        assert await told(running, after=10**6) == []


async def test_a_refund_is_news_and_says_whether_it_was_wanted(world: Any) -> None:
    async with world.engine() as running:
        for cancel, kind in ((False, "failed"), (True, "cancelled")):
            job_id = await world.submit(running, out=str(world.folder / kind))
            if cancel:
                await running.api.cancel({"job": job_id})
                await running.until(job_id, lambda job: job.stage is Stage.CLOSING)
            else:
                await world.coordinator.run(job_id)
                world.coordinator.move(job_id, JobState.FAILED, failure=FailureCode.SCRIPT_ERROR)
            await world.coordinator.refund(job_id)
            await running.until(job_id, lambda job: job.stage.is_final)
            assert (await told(running, after=0))[-1]["news"]["kind"] == kind


async def test_a_login_that_only_the_person_can_renew_is_said_to_end(world: Any) -> None:
    async with world.engine(resume=False) as running:
        engine = running.engine
        account = await engine.wallets.account()
        coordinator = engine.link.network().coordinator_peer_id
        soon_s = engine.clock.now_s() + LOGIN_SOON_S - 60
        await engine.wallets.remember_login(account.wallet, coordinator, soon_s)
        await look_at_login(engine)
        assert await told(running, after=0) == []  # its key is in a file
        await engine.wallets.remember(Account(account.wallet))
        await look_at_login(engine)
        await look_at_login(engine)
        (news,) = await told(running, after=0)
        assert (news["news"]["kind"], news["news"]["job_id"]) == ("login_ends", None)


async def test_results_name_each_file_with_its_hash_and_whether_it_is_there(world: Any) -> None:
    world.node.outputs = {"model.pt": b"weights" * 1000, "a/b.txt": b"x", "empty": b""}
    async with world.engine() as running:
        job_id = await world.submit(running)
        results = running.api.handlers()["results"]
        assert (await results({"job": job_id}))["files"] == []
        await world.coordinator.run(job_id)
        world.coordinator.deliver(job_id)
        await running.until(job_id, lambda job: job.fetched_at_s is not None)
        out = world.folder / "out"
        (out / "outputs" / "a" / "b.txt").unlink()
        (out / "outputs" / "empty").write_text("no more")
        found = await results({"job": job_id})
        assert found["root"] == world.node.manifest().root().hex()
        files = {file["path"]: file for file in found["files"]}
        states = {path: file["state"] for path, file in files.items()}
        assert states == {
            "outputs/a/b.txt": "missing",
            "outputs/empty": "changed",
            "outputs/model.pt": "verified",
        }
        assert files["outputs/model.pt"]["sha256"] == sha256(world.node.outputs["model.pt"]).hexdigest()
        assert {file["path"] for file in found["beside"]} >= {"log.txt", "statement.json", "metrics.csv"}


async def test_a_log_is_read_backwards_and_followed_from_where_it_ended(world: Any) -> None:
    lines = [f"line {number} {'x' * 90}" for number in range(9000)]
    world.node.log, world.node.log_ended = ("\n".join(lines) + "\nhalf").encode(), False
    async with world.engine() as running:
        job_id = await world.submit(running)
        await running.engine.tables.note(job_id, epoch=1)
        await trio.to_thread.run_sync(running.engine.log(job_id, 1).append, 0, world.node.log)
        before = running.api.handlers()["log_before"]
        newest = await before({"job": job_id})
        read, start = newest["lines"], newest["start"]
        assert newest["offset"] == newest["size"] - len("half")
        while start > 0:
            page = await before({"job": job_id, "epoch": 1, "before": start})
            assert page["offset"] == start
            read, start = page["lines"] + read, page["start"]
        assert read == lines
        await trio.to_thread.run_sync(running.engine.log(job_id, 1).append, newest["size"], b" and half\n")
        follow = {"job": job_id, "epoch": 1, "offset": newest["offset"]}
        items = [item async for item in running.api.logs(follow)]
        assert [line for item in items for line in item["lines"]] == ["half and half"]
        assert items[-1]["offset"] == newest["size"] + len(" and half\n")
        other = [item async for item in running.api.logs({**follow, "epoch": 7})]
        assert sum(len(item["lines"]) for item in other) == len(lines) + 1


async def test_money_is_sent_to_the_wallets_own_address(world: Any) -> None:
    async with world.engine(resume=False) as running:
        found = await running.api.handlers()["deposit_address"]({})
        mint = running.engine.link.chain_config().usdc_mint
    assert found["wallet"] == world.buyer
    assert [each["uri"] for each in found["assets"]] == [
        f"solana:{world.buyer}?spl-token={mint}",
        f"solana:{world.buyer}",
    ]


async def test_a_job_says_what_it_was_planned_with_until_it_is_given_up(world: Any) -> None:
    data = world.folder / "data"
    data.mkdir()
    (data / "a.bin").write_bytes(b"x")
    async with world.engine() as running:
        asked = {"data": str(data), "exclude": ["*.tmp"]}
        plan = await world.plan(running, **asked)
        shown = await running.api.show({"job": plan["job_id"]})
        assert shown["request"] == {
            "script": str(world.folder / "train.py"),
            "requirements": "",
            "data_sha256": "",
            **asked,
        }
        assert shown["transactions"] == []
        await running.api.discard({"job": plan["job_id"]})
        assert (await running.api.show({"job": plan["job_id"]}))["request"] is None


async def test_a_transaction_of_this_engine_is_in_the_list(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running)
        first = (await running.api.show({"job": job_id}))["transactions"][0]
        assert (first["action"], first["explorer"]) == ("open", None), "a localnet is seen from nowhere"
        assert first["signature"]
