"""Which jobs are taken, from whom orders are, and what becomes of earlier attempts; on real Docker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, NetworkMode
from p2p.core.messages.nodes import AssignReply, StopOrder
from p2p.core.messages.transfer import LogRequest, ManifestRequest, ReceivedNotice, Side
from p2p.core.paths import Home
from p2p.core.states import FailureCode, JobState
from p2p.net.peer import Peer
from p2p.node.agent import NodeAgent
from p2p.store.node import JobRecord, NodeTables, Phase
from p2p.wire.codec import decode, encode

pytestmark = pytest.mark.docker

Start = Callable[[], AbstractAsyncContextManager[NodeAgent]]
FOREVER = b"import time\nprint('up', flush=True)\ntime.sleep(600)"
LONG = JobConfig(timeout_s=900)


async def phase_of(agent: NodeAgent, job_id: str, epoch: int, wanted: Phase) -> None:
    with trio.fail_after(60):
        while True:
            record = await agent.tables.find(job_id, epoch)
            if record is not None and record.phase is wanted:
                return
            await trio.sleep(0.02)


async def read_log(peer: Peer, node: str, addrs: tuple[str, ...], job_id: str) -> None:
    async with peer.stream(node, "logs.follow", encode(LogRequest(job_id, 1, 0)), addrs=addrs) as items:
        async for _ in items:
            pass


async def test_a_later_attempt_takes_the_place_of_an_earlier_one(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        first = engine.job({"train.py": FOREVER}, config=LONG)
        assert (await coordinator.assign(first)).accepted
        await coordinator.until_state(JobState.RUNNING)
        second = replace(first, epoch=2)
        assert (await coordinator.assign(second)).accepted
        await phase_of(agent, first.job_id, 1, Phase.CLEANED)
        late = await coordinator.assign(first)
        assert (late.accepted, "later attempt" in late.reason) == (False, True)
        await coordinator.until(
            lambda: any(
                report.epoch == 2 and report.state is JobState.RUNNING for report in coordinator.reports
            )
        )
        coordinator.stop.append(StopOrder(first.job_id, 2, "superseded"))  # by heartbeat this time
        await phase_of(agent, first.job_id, 2, Phase.CLEANED)
        ended = await coordinator.assign(second)
        assert (ended.accepted, "ended" in ended.reason) == (False, True)


async def test_an_order_to_stop_an_earlier_attempt_leaves_the_later_one_alone(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        job = engine.job({"train.py": FOREVER}, config=LONG, epoch=5)
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.RUNNING)
        await coordinator.order_stop(StopOrder(job.job_id, 4, "superseded"))
        await coordinator.order_stop(StopOrder(new_job_id(), 9, "unknown"))
        record = await agent.tables.find(job.job_id, 5)
        assert record is not None
        assert record.stop_reason is None
        await agent.jobs.stop_all("The owner needs the machine.")
        report = await coordinator.until_state(JobState.FAILED)
        assert report.failure is FailureCode.STOPPED
        assert report.detail == "The owner needs the machine."
        await phase_of(agent, job.job_id, 5, Phase.CLEANED)
        record = await agent.tables.find(job.job_id, 5)
        assert record is not None
        assert record.finished_at_s is not None  # its clock does not run on
        assert report.run_seconds == record.finished_at_s - (record.started_at_s or 0)
        assert b"up" in await engine.log(coordinator.node, agent.peer.addresses, job)


async def test_an_order_to_stop_interrupts_a_transfer(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    never = trio.Event()
    over = False
    real = engine.source.read_chunk

    async def wait() -> None:
        with trio.move_on_after(60):
            await never.wait()

    def read_chunk(grant: str, chunk_hash: bytes, into: memoryview) -> int:
        if not over:
            trio.from_thread.run(wait)
        size: int = real(grant, chunk_hash, into)
        return size

    engine.source.read_chunk = read_chunk
    async with start_agent() as agent:
        job = engine.job({"train.py": b"print(1)"})
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.STAGING)
        await coordinator.order_stop(StopOrder(job.job_id, 1, "cancelled"))
        await phase_of(agent, job.job_id, 1, Phase.CLEANED)
        record = await agent.tables.find(job.job_id, 1)
        assert record is not None
        assert (record.stop_reason, record.started_at_s) == ("cancelled", None)
        over = True
        never.set()
        other = engine.job({"train.py": b"print(2)"})  # the slot is free again
        assert (await coordinator.assign(other)).accepted
        await coordinator.until_state(JobState.DELIVERING)


async def test_a_node_that_is_switched_off_or_has_no_image_takes_nothing(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        job = engine.job({"train.py": b"print(1)"})
        await agent.change_settings({"available": False})
        reply = await coordinator.assign(job)
        assert (reply.accepted, reply.reason) == (False, "The node takes no jobs now.")
        await coordinator.until(lambda: not coordinator.registered[-1].advert.available)
        await agent.change_settings({"available": True, "image": "cyxwiz/job:no-such-tag"})
        reply = await coordinator.assign(job)
        assert not reply.accepted
        assert "no-such-tag" in agent.gate.verdict().words
        await coordinator.until(lambda: coordinator.registered[-1].advert.image_digest == "")
        await agent.change_settings({"image": "", "network": False})
        outbound = engine.job({"train.py": b"1"}, config=JobConfig(network=NetworkMode.OUTBOUND))
        reply = await coordinator.assign(outbound)
        assert (reply.accepted, "internet" in reply.reason) == (False, True)
        await coordinator.until(lambda: coordinator.registered[-1].advert.networks == (NetworkMode.NONE,))
        gpu = replace(job, gpu_class="rtx4090")
        assert not (await coordinator.assign(gpu)).accepted
        assert not await agent.tables.newest(10)


async def test_strangers_get_nothing(coordinator: Any, engine: Any, start_agent: Start) -> None:
    async with start_agent() as agent:
        job = engine.job({"train.py": b"print(1)"})
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.DELIVERING)
        node, addrs = coordinator.node, agent.peer.addresses
        orders = {
            "job.assign": encode(replace(job, epoch=9)),
            "job.stop": encode(StopOrder(job.job_id, 9, "x")),
        }
        for method, payload in orders.items():  # the engine is not the coordinator
            with pytest.raises(CyxWizError) as caught:
                await engine.peer.call(node, method, payload, addrs=addrs)
            assert caught.value.code == "not_coordinator"
        asks = {
            "files.manifest": encode(ManifestRequest(job.job_id, 1, Side.OUTPUTS)),
            "job.received": encode(ReceivedNotice(job.job_id, 1)),
        }
        for method, payload in asks.items():  # and the coordinator is not the engine
            with pytest.raises(CyxWizError) as caught:
                await coordinator.peer.call(node, method, payload, addrs=addrs)
            assert caught.value.code == "unknown_job"
        with pytest.raises(CyxWizError) as caught:
            await read_log(coordinator.peer, node, addrs, job.job_id)
        assert caught.value.code == "unknown_job"
        with pytest.raises(CyxWizError) as caught:
            await engine.log(node, addrs, job, offset=10_000)
        assert caught.value.code == "bad_offset"


async def test_inputs_that_do_not_match_fail_the_job_as_the_buyers(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        job = engine.job({"train.py": b"print(1)"})
        engine.job({"train.py": b"print('something else')"})
        assert (await coordinator.assign(job)).accepted
        report = await coordinator.until_state(JobState.FAILED)
        assert report.failure is FailureCode.INPUT
        assert report.failure.is_buyers
        await phase_of(agent, job.job_id, 1, Phase.CLEANED)
        assert await engine.log(coordinator.node, agent.peer.addresses, job) == b""


async def test_a_container_that_somebody_removed_fails_the_job_as_the_nodes(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    job = engine.job({"train.py": FOREVER}, config=LONG)
    async with start_agent() as agent:
        assert (await coordinator.assign(job)).accepted
        await coordinator.until_state(JobState.RUNNING)
        (supervisor,) = agent.jobs.supervisors()
        container = supervisor.record.container_id
    await trio.run_process(["docker", "rm", "-f", container], capture_stdout=True)
    async with start_agent():
        report = await coordinator.until_state(JobState.FAILED)
    assert report.failure is FailureCode.NODE
    assert not report.failure.is_buyers
    assert "container" in report.detail


async def test_a_wrong_message_is_refused_and_the_node_stays_up(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        await coordinator.until(lambda: bool(coordinator.node))
        addrs = agent.peer.addresses
        for method in ("job.assign", "job.stop"):
            with pytest.raises(CyxWizError):
                await coordinator.peer.call(coordinator.node, method, b"\xff\xff", addrs=addrs)
        job = replace(engine.job({"train.py": b"1"}), job_id="../../../etc")
        raw = await coordinator.peer.call(
            coordinator.node, "job.assign", encode(job), addrs=agent.peer.addresses
        )
        assert not decode(AssignReply, raw).accepted
        script = replace(job.spec, script="../evil.py")
        evil = replace(job, job_id=new_job_id(), spec=script)
        assert not (await coordinator.assign(evil)).accepted
        assert (await coordinator.assign(engine.job({"train.py": b"print(1)"}))).accepted


async def test_the_log_of_a_finished_job_goes_when_it_is_too_old(
    coordinator: Any, engine: Any, home: Home, start_agent: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_agent() as agent:
        job = engine.job({"train.py": b"print(1)\nraise SystemExit(1)"})
        assert (await coordinator.assign(job)).accepted
        await phase_of(agent, job.job_id, 1, Phase.CLEANED)
        await agent.jobs.tidy()
        assert await engine.log(coordinator.node, agent.peer.addresses, job) == b"1\n"
        monkeypatch.setattr("p2p.node.jobs.LOGS_KEPT_S", -1.0)

        def busy(_: object) -> None:
            raise EnvironmentFailure("cleanup_failed", "It is in use.")

        with monkeypatch.context() as patched:
            patched.setattr("p2p.node.jobs.remove_tree", busy)
            with pytest.raises(EnvironmentFailure):
                await agent.jobs.tidy()
        await agent.jobs.tidy()  # it was not forgotten
        assert not list(home.node.jobs.iterdir())
        with pytest.raises(CyxWizError) as caught:
            await engine.log(coordinator.node, agent.peer.addresses, job)
        assert caught.value.code == "log_gone"


async def test_a_journal_that_cannot_be_written_for_a_while_costs_neither_the_job_nor_a_line(
    coordinator: Any, engine: Any, start_agent: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = b"import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.05)"
    tried_to_fail = trio.Event()
    disk_is_full = True
    note = NodeTables.note

    async def note_if_there_is_room(tables: NodeTables, job: JobRecord, **values: Any) -> JobRecord:
        if disk_is_full and ("log_bytes" in values or "failure" in values):
            if "failure" in values:
                tried_to_fail.set()
            raise EnvironmentFailure("disk_full", "The disk is full.")
        return await note(tables, job, **values)

    monkeypatch.setattr(NodeTables, "note", note_if_there_is_room)
    async with start_agent() as agent:
        job = engine.job({"train.py": script})
        assert (await coordinator.assign(job)).accepted
        with trio.fail_after(60):
            await tried_to_fail.wait()
        disk_is_full = False
        await coordinator.until_state(JobState.DELIVERING)
        log = await engine.log(coordinator.node, agent.peer.addresses, job)
        assert log == b"".join(b"%d\n" % number for number in range(40))


async def test_a_mistake_of_the_agent_ends_the_attempt_as_the_nodes_and_frees_the_slot(
    coordinator: Any, engine: Any, start_agent: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret 4711")

    async with start_agent() as agent:
        with monkeypatch.context() as patched:
            patched.setattr("p2p.node.staging.check_inputs", broken)
            job = engine.job({"train.py": b"print(1)"})
            assert (await coordinator.assign(job)).accepted
            report = await coordinator.until_state(JobState.FAILED)
        assert report.failure is FailureCode.NODE
        assert "4711" not in report.detail
        await phase_of(agent, job.job_id, 1, Phase.CLEANED)
        assert (await coordinator.assign(engine.job({"train.py": b"print(2)"}))).accepted


async def test_a_result_that_the_coordinator_will_never_accept_is_given_up(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        coordinator.refused_states = {JobState.DELIVERING}
        job = engine.job({"train.py": b"print(1)"})
        assert (await coordinator.assign(job)).accepted
        await phase_of(agent, job.job_id, 1, Phase.CLEANED)
        await coordinator.until(lambda: not coordinator.held)  # so that its lease runs out


async def test_off_ends_a_job_that_is_being_taken_at_that_moment(
    coordinator: Any, engine: Any, start_agent: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_agent() as agent, trio.open_nursery() as nursery:
        job, is_taken, goes_on = engine.job({"train.py": FOREVER}, config=LONG), trio.Event(), trio.Event()
        accept = agent.tables.accept

        async def slowly(*fields: Any) -> JobRecord:
            record = await accept(*fields)
            is_taken.set()
            await goes_on.wait()
            return record

        monkeypatch.setattr(agent.tables, "accept", slowly)
        nursery.start_soon(coordinator.assign, job)
        await is_taken.wait()
        nursery.start_soon(agent.jobs.give_up_all, "The owner needs the machine.")
        await wait_all_tasks_blocked()
        goes_on.set()
        await phase_of(agent, job.job_id, 1, Phase.CLEANED)
        record = await agent.tables.find(job.job_id, 1)
        assert record is not None
        assert record.failure is FailureCode.STOPPED
