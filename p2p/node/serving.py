"""What the node answers: assignments and orders to its coordinator, logs and outputs to the job's engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import trio

from p2p.core.errors import Refused, UserError
from p2p.core.limits import USAGE_SAMPLES_MAX, USAGE_SAMPLES_PER_REPLY_MAX
from p2p.core.messages.auth import Ack
from p2p.core.messages.nodes import Assignment, StopOrder
from p2p.core.messages.transfer import (
    LogItem,
    LogRequest,
    ManifestReply,
    ManifestRequest,
    ReceivedNotice,
    Side,
)
from p2p.core.messages.usage import UsageReply, UsageRequest
from p2p.net.bulk import BulkServer
from p2p.net.peer import Call, Peer
from p2p.node.jobs import Jobs
from p2p.node.spool import log_gone
from p2p.node.supervisor import may_still_print
from p2p.node.transfer import OutputSource
from p2p.store.node import JobRecord, NodeTables
from p2p.wire.codec import decode, encode


class Serving:
    """The node's handlers."""

    def __init__(self, jobs: Jobs, tables: NodeTables, outputs: OutputSource, coordinator: str) -> None:
        self._jobs = jobs
        self._tables = tables
        self._outputs = outputs
        self._coordinator = coordinator

    def attach(self, peer: Peer) -> None:
        """Serve on ``peer``."""
        peer.serve("job.assign", self.assign)
        peer.serve("job.stop", self.stop)
        peer.serve("files.manifest", self.manifest)
        peer.serve("job.usage", self.usage)
        peer.serve("job.received", self.received)
        peer.serve_stream("logs.follow", self.follow)
        BulkServer(peer, self._outputs)

    # -- for the coordinator

    async def assign(self, call: Call) -> bytes:
        """``job.assign``."""
        self._check_coordinator(call)
        return encode(await self._jobs.assign(decode(Assignment, call.payload)))

    async def stop(self, call: Call) -> bytes:
        """``job.stop``: answered once the order is in the journal."""
        self._check_coordinator(call)
        await self._jobs.stop(decode(StopOrder, call.payload))
        return encode(Ack())

    def _check_coordinator(self, call: Call) -> None:
        if call.peer_id != self._coordinator:
            raise Refused(
                "not_coordinator", "This node takes orders only from its coordinator.", "Nothing was done."
            )

    # -- for the engine

    async def manifest(self, call: Call) -> bytes:
        """``files.manifest``: the outputs of a job that succeeded, to its own engine."""
        request = decode(ManifestRequest, call.payload)
        record = await self._own_job(call, request.job_id, request.epoch)
        supervisor = self._jobs.find(*record.key)
        manifest = supervisor.manifest() if supervisor is not None and request.side is Side.OUTPUTS else None
        if supervisor is None or manifest is None:
            raise Refused(
                "not_released",
                "The job has no outputs to fetch on this node.",
                "Outputs are released when the job has succeeded, and kept until it is settled.",
            )
        grant = self._outputs.release(*record.key, call.peer_id, supervisor.outputs, manifest)
        return encode(ManifestReply(encode(manifest), grant))

    async def received(self, call: Call) -> bytes:
        """``job.received``: the engine has everything."""
        notice = decode(ReceivedNotice, call.payload)
        record = await self._own_job(call, notice.job_id, notice.epoch)
        supervisor = self._jobs.find(*record.key)
        if supervisor is not None:
            await supervisor.order_received()
        return encode(Ack())

    async def follow(self, call: Call) -> AsyncGenerator[bytes, None]:
        """``logs.follow``: the job's log from an offset until it has ended."""
        request = decode(LogRequest, call.payload)
        record = await self._own_job(call, request.job_id, request.epoch)
        if not record.log_kept:
            raise log_gone()
        spool = await self._jobs.spool(record)
        offset = request.offset
        if not 0 <= offset <= spool.size_bytes:
            raise UserError("bad_offset", f"The log has {spool.size_bytes} bytes, not {offset}.")
        ended = False
        while not ended:
            data = await spool.read(offset)
            ended = spool.ended and offset + len(data) >= spool.size_bytes
            yield encode(LogItem(offset, data, ended))
            offset += len(data)

    async def usage(self, call: Call) -> bytes:
        """``job.usage``: what the job's container used, after the samples that its engine has."""
        request = decode(UsageRequest, call.payload)
        if not 0 <= request.after <= USAGE_SAMPLES_MAX:
            raise UserError("bad_offset", f"An attempt has at most {USAGE_SAMPLES_MAX} samples.")
        record = await self._own_job(call, request.job_id, request.epoch)
        ended = not may_still_print(record.phase)  # before the samples are read, which come until then
        file = self._jobs.samples(record)
        found = await trio.to_thread.run_sync(file.read, request.after, USAGE_SAMPLES_PER_REPLY_MAX)
        more = len(found) == USAGE_SAMPLES_PER_REPLY_MAX
        return encode(UsageReply(found, more, ended, record.cpus, record.memory_bytes))

    async def _own_job(self, call: Call, job_id: str, epoch: int) -> JobRecord:
        """The attempt, if the caller is its engine; the same answer whether it is not or there is none."""
        record = await self._tables.find(job_id, epoch)
        if record is None or decode(Assignment, record.assignment).engine_peer_id != call.peer_id:
            raise Refused(
                "unknown_job",
                "This node has no such job of yours.",
                "It may run on another node by now.",
                "`cyxwiz show JOB` names the node.",
            )
        return record
