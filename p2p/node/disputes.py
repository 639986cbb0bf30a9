"""What a node does in a dispute: keeps its outputs, proves them to its coordinator, and has its own say."""

from __future__ import annotations

import math

import trio

from p2p.core.clock import Clock
from p2p.core.errors import Refused, UserError
from p2p.core.ids import is_job_id_prefix
from p2p.core.limits import DISPUTE_KEEP_MAX_S, DISPUTE_TEXT_MAX_CHARS
from p2p.core.messages.auth import Ack
from p2p.core.messages.disputes import (
    DisputeNotice,
    DisputeRequest,
    DisputeStatement,
    ProofReply,
    ProofRequest,
    check_words,
)
from p2p.core.signing import Domain, Signed, signing_input
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Call, Peer
from p2p.node.jobs import Jobs
from p2p.node.keeping import dispute_of, is_disputed
from p2p.node.reports import Coordinator
from p2p.node.supervisor import Supervisor
from p2p.node.transfer import OutputSource
from p2p.store.node import JobRecord
from p2p.wire.codec import decode, encode


class Disputes:
    """``job.disputed`` and ``files.prove``, for the coordinator alone."""

    def __init__(self, jobs: Jobs, outputs: OutputSource, coordinator: str, clock: Clock) -> None:
        self._jobs = jobs
        self._outputs = outputs
        self._coordinator = coordinator
        self._clock = clock

    def attach(self, peer: Peer) -> None:
        """Serve on ``peer``."""
        peer.serve("job.disputed", self.disputed)
        peer.serve("files.prove", self.prove)

    async def disputed(self, call: Call) -> bytes:
        """``job.disputed``: answered once it is in the journal."""
        self._check_coordinator(call)
        notice = decode(DisputeNotice, call.payload)
        if not math.isfinite(notice.keep_until_s):
            raise UserError("bad_message", "The notice of a dispute names no time.")
        latest_s = self._clock.now_s() + DISPUTE_KEEP_MAX_S
        supervisor = self._find(notice.job_id, notice.epoch)
        known = dispute_of(supervisor.record)
        if known is not None and known.state.is_final:
            return encode(Ack())  # word that was on its way when the dispute ended
        await supervisor.note_dispute(
            DisputeNotice(
                job_id=notice.job_id,
                epoch=notice.epoch,
                state=notice.state,
                reason=notice.reason[:DISPUTE_TEXT_MAX_CHARS],
                keep_until_s=min(notice.keep_until_s, latest_s),
                decided_units=notice.decided_units,
            )
        )
        return encode(Ack())

    async def prove(self, call: Call) -> bytes:
        """``files.prove``: an output with its way to the signed root, and a grant for one chunk of it."""
        self._check_coordinator(call)
        request = decode(ProofRequest, call.payload)
        supervisor = self._find(request.job_id, request.epoch)
        manifest = supervisor.manifest()
        if manifest is None or not is_disputed(supervisor.record):
            raise _nothing_to_prove()
        if not 0 <= request.file_index < len(manifest.files) or request.draw < 0:
            raise UserError("bad_proof", "The job has no such output.")
        entry = manifest.files[request.file_index]
        path = await trio.to_thread.run_sync(manifest.prove, request.file_index)
        grant = ""
        if entry.chunks:
            index = request.draw % len(entry.chunks)
            grant = self._outputs.release_chunk(
                *supervisor.record.key, call.peer_id, supervisor.outputs, entry, index
            )
        return encode(ProofReply(entry, path, grant))

    def _find(self, job_id: str, epoch: int) -> Supervisor:
        supervisor = self._jobs.find(job_id, epoch)
        if supervisor is None:
            raise _nothing_to_prove()
        return supervisor

    def _check_coordinator(self, call: Call) -> None:
        if call.peer_id != self._coordinator:
            raise Refused("not_coordinator", "This node proves its outputs only to its coordinator.")


async def answer(
    jobs: Jobs, identity: PeerIdentity, coordinator: Coordinator, clock: Clock, prefix: str, text: str
) -> JobRecord:
    """Say to the arbiter what there is to say; signed by the node.

    :raises UserError: there is no such job here; ``bad_text``.
    :raises Refused: it is not disputed, or was answered before.
    """
    text = check_words(text)
    record = _disputed(jobs, prefix.lower())
    payload = encode(DisputeStatement(record.job_id, text, clock.now_s()))
    signature = identity.sign(signing_input(Domain.ANSWER, payload))
    signed = Signed(payload, identity.peer_id, signature)
    await coordinator.call("dispute.answer", DisputeRequest(record.job_id, signed), Ack)
    return record


def _disputed(jobs: Jobs, prefix: str) -> JobRecord:
    held = [supervisor.record for supervisor in jobs.supervisors()]
    found = [record for record in held if is_job_id_prefix(prefix) and record.job_id.startswith(prefix)]
    if len({record.job_id for record in found}) > 1:
        raise UserError("unknown_job", f"Several jobs begin with {prefix[:40]!r}.", hint="Give more digits.")
    disputed = [record for record in found if is_disputed(record)]
    if not disputed:
        raise Refused(
            "not_disputed",
            f"No job {prefix[:40]!r} that is disputed is on this node.",
            "Nothing was sent.",
            "`cyxwiz-node jobs` shows what is disputed.",
        )
    return disputed[0]


def _nothing_to_prove() -> Refused:
    return Refused(
        "not_released",
        "This node has no outputs of a disputed job under that id and epoch.",
        "Nothing can be proven.",
    )
