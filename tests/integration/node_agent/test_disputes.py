"""A disputed job on a real node: outputs kept and proven, to its coordinator alone, over the real network."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

from coordinator.service.chunks import pull_and_drop
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.limits import OUTPUTS_KEPT_S
from p2p.core.manifest import ChunkRef, is_proven
from p2p.core.messages.auth import Ack
from p2p.core.messages.disputes import (
    DisputeNotice,
    DisputeRequest,
    DisputeStatement,
    ProofReply,
    ProofRequest,
)
from p2p.core.messages.jobs import ResultStatement
from p2p.core.messages.nodes import PAID_UNFETCHED, StopOrder
from p2p.core.signing import Domain, signing_input
from p2p.core.states import DisputeState, JobState
from p2p.net.identity import verify_peer_signature
from p2p.net.peer import Call
from p2p.node.agent import NodeAgent
from p2p.node.api_jobs import JobsApi
from p2p.node.keeping import kept_until_s
from p2p.wire.codec import decode, encode

pytestmark = pytest.mark.docker

Start = Callable[[], AbstractAsyncContextManager[NodeAgent]]
SCRIPT = b"open('model', 'w').write('weights' * 1000); open('empty', 'w')"


def notice(job: Any, state: DisputeState = DisputeState.OPEN, keep_s: float = 10**6) -> DisputeNotice:
    until_s = SYSTEM_CLOCK.now_s() + keep_s
    return DisputeNotice(job.job_id, job.epoch, state, "\x1b[31mempty", until_s)


async def tell(coordinator: Any, found: DisputeNotice) -> None:
    raw = await coordinator.peer.call(coordinator.node, "job.disputed", encode(found))
    assert decode(Ack, raw) == Ack()


async def prove(peer: Any, coordinator: Any, job: Any, index: int, draw: int = 7) -> ProofReply:
    request = encode(ProofRequest(job.job_id, job.epoch, index, draw))
    addrs = coordinator.registered[-1].advert.addresses
    return decode(ProofReply, await peer.call(coordinator.node, "files.prove", request, addrs=addrs))


async def delivered(coordinator: Any, engine: Any) -> tuple[Any, ResultStatement]:
    job = engine.job({"train.py": SCRIPT})
    assert (await coordinator.assign(job)).accepted
    report = await coordinator.until_state(JobState.DELIVERING)
    return job, decode(ResultStatement, report.statement.payload)


async def test_outputs_are_kept_and_proven(coordinator: Any, engine: Any, start_agent: Start) -> None:
    answers = []

    async def answered(call: Call) -> bytes:
        answers.append(decode(DisputeRequest, call.payload).statement)
        return encode(Ack())

    coordinator.peer.serve("dispute.answer", answered)
    async with start_agent() as agent:
        job, statement = await delivered(coordinator, engine)
        with pytest.raises(Refused, match="no outputs of a disputed job"):
            await prove(coordinator.peer, coordinator, job, 0)
        with pytest.raises(Refused, match="only to its coordinator"):
            await prove(engine.peer, coordinator, job, 0)
        await tell(coordinator, notice(job))
    async with start_agent() as agent:  # and through a restart of the node
        with pytest.raises(Refused, match="only to its coordinator"):
            await prove(engine.peer, coordinator, job, 0)
        for index in (-1, 2):
            with pytest.raises(UserError, match="no such output"):
                await prove(coordinator.peer, coordinator, job, index)
        empty, model = [await prove(coordinator.peer, coordinator, job, index) for index in range(2)]
        for index, reply in enumerate((empty, model)):
            assert is_proven(reply.entry, index, statement.output_files, reply.path, statement.output_root)
        assert (empty.entry.path, empty.grant) == ("empty", "")
        (ref,) = model.entry.refs()
        await pull_and_drop(coordinator.peer, coordinator.node, model.grant, ref)
        with pytest.raises(UserError, match="no chunk"):
            await pull_and_drop(coordinator.peer, coordinator.node, model.grant, ChunkRef(b"x" * 32, 5))
        with pytest.raises(Refused, match="not released to this peer"):
            await pull_and_drop(engine.peer, coordinator.node, model.grant, ref)

        api = JobsApi(agent)
        (shown,) = await api.jobs({})
        assert (shown["dispute"]["state"], shown["dispute"]["reason"]) == ("open", "\x1b[31mempty")
        assert await api.answer({"job": job.job_id[:8], "text": " It ran. "}) == {"job_id": job.job_id}
        (signed,) = answers
        assert decode(DisputeStatement, signed.payload).text == "It ran."
        assert verify_peer_signature(
            coordinator.node, signing_input(Domain.ANSWER, signed.payload), signed.signature
        )
        with pytest.raises(UserError, match="characters"):
            await api.answer({"job": job.job_id, "text": " "})
        with pytest.raises(Refused, match="that is disputed is on this node"):
            await api.answer({"job": "ffff", "text": "x"})

        supervisor = agent.jobs.find(job.job_id, job.epoch)
        assert supervisor is not None
        (supervisor.outputs / "model").write_bytes(b"zeroes!" * 1000)
        with pytest.raises(EnvironmentFailure) as broken:
            await pull_and_drop(coordinator.peer, coordinator.node, model.grant, ref)
        assert broken.value.code == "chunk_corrupt"


async def test_outputs_go_when_the_dispute_has_ended(
    coordinator: Any, engine: Any, start_agent: Start
) -> None:
    async with start_agent() as agent:
        job, _ = await delivered(coordinator, engine)
        supervisor = agent.jobs.find(job.job_id, job.epoch)
        assert supervisor is not None
        usual_s = kept_until_s(supervisor.record)
        await tell(coordinator, notice(job, keep_s=OUTPUTS_KEPT_S + 3600))
        assert kept_until_s(supervisor.record) > usual_s + 3000
        await tell(coordinator, notice(job, keep_s=10**12))
        assert kept_until_s(supervisor.record) < usual_s + 10**7  # nobody makes it keep them for ever
        coordinator.stop.append(StopOrder(job.job_id, job.epoch, PAID_UNFETCHED))
        await tell(coordinator, notice(job, DisputeState.RESOLVED))
        assert kept_until_s(supervisor.record) == usual_s
        await tell(coordinator, notice(job))  # sent before the end, and heard after it
        assert kept_until_s(supervisor.record) == usual_s
        with pytest.raises(Refused, match="no outputs of a disputed job"):
            await prove(coordinator.peer, coordinator, job, 0)
        coordinator.stop[:] = [StopOrder(job.job_id, job.epoch, "settled")]
        with trio.fail_after(60):
            await coordinator.order_stop(coordinator.stop[0])
            await supervisor.finished.wait()
        assert not supervisor.outputs.exists()
