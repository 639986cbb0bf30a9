"""Result statements: whose are believed, and what is kept of those that contradict one another."""

from __future__ import annotations

from typing import Any

from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import StateReport
from p2p.core.signing import Domain
from p2p.core.states import FailureCode, JobState
from p2p.wire.codec import encode


async def test_statements_that_are_not_believed(world: Any, refused: Any) -> None:
    buyer, node, other = await world.buyer(), world.node(), world.node()
    await node.join()
    await other.login()
    view = await buyer.submit()
    job = await node.next_job()

    async def report(by: Any, signed: Any, **changes: Any) -> None:
        fields = {"job_id": view.job_id, "epoch": 1, "state": JobState.DELIVERING, "run_seconds": 1.0}
        await by.call("job.report", StateReport(**{**fields, "statement": signed, **changes}), Ack)

    good = node.sign(Domain.RESULT, encode(node.statement(job, 1.0)))
    with refused("superseded"):
        await report(other, other.sign(Domain.RESULT, good.payload))
    with refused("bad_signature"):
        await report(node, other.sign(Domain.RESULT, good.payload))
    with refused("bad_signature"):
        await report(node, node.sign(Domain.RECEIPT, good.payload))
    for changes in ({"exit_code": 1}, {"epoch": 2}, {"job_id": "0" * 32}, {"output_root": b""}):
        with refused("bad_statement"):
            await report(node, node.sign(Domain.RESULT, encode(node.statement(job, 1.0, **changes))))
    with refused("bad_statement"):
        await report(node, node.sign(Domain.RESULT, encode(node.statement(job, 1.0, input_root=b"x" * 32))))
    for changes in ({"run_seconds": float("nan")}, {"run_seconds": -1.0}):
        with refused("bad_message"):
            await report(node, good, **changes)
    with refused("bad_message"):
        large = encode(node.statement(job, 1.0, image_digest="x" * 5000))
        await report(node, node.sign(Domain.RESULT, large))
    for changes in ({"failure": FailureCode.NODE}, {"state": JobState.SETTLED}, {"state": JobState.FAILED}):
        with refused("bad_report"):
            await report(node, good, **changes)
    await report(node, good)
    for run_s in (2.0, 2.0, 3.0):
        with refused("equivocation"):
            await report(node, node.sign(Domain.RESULT, encode(node.statement(job, run_s))))
    await report(node, good)  # the answer was lost
    assert (await buyer.show(view.job_id)).statement == good
    proof = world.query("jobs.statements", job_id=view.job_id, epoch=1)
    assert [row["payload"] for row in proof] == [good.payload, encode(node.statement(job, 2.0))]
