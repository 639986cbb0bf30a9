"""A marketplace in which claims are disputed: the node's own proofs, over the scripted wire."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, PeerId
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import ChunkRef, Manifest
from p2p.core.messages.disputes import DisputeNotice, DisputeRequest, DisputeStatement
from p2p.core.messages.jobs import JobView
from p2p.core.signing import Domain
from p2p.net.calls import Call
from p2p.node.disputes import Disputes
from p2p.node.jobs import Jobs
from p2p.node.keeping import dispute_of
from p2p.node.results import describe
from p2p.node.transfer import OutputSource
from p2p.store.node import JobRecord, Phase
from p2p.testing.claiming import claimed
from p2p.wire.codec import encode

Cli = Callable[..., Awaitable[tuple[int, str, str]]]
"""``await cli("disputes", …)``: exit code, standard output, standard error of an operator's command."""

FILES = {"model.pt": b"weights" * 1000, "logs/a.txt": b"a", "logs/b.txt": b"b", "empty": b""}


class KeptOutputs:
    """What a node's supervisor keeps of a job that it delivered, without the job having run."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.outputs = folder
        for path, body in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        self._manifest = describe(folder, tuple(files))
        values: dict[str, Any] = dict.fromkeys(field.name for field in fields(JobRecord))
        self.record = JobRecord(**{**values, "job_id": "", "epoch": 1, "phase": Phase.DELIVERING})

    def manifest(self) -> Manifest:
        return self._manifest

    def find(self, job_id: str, epoch: int) -> KeptOutputs | None:
        """As :meth:`p2p.node.jobs.Jobs.find`."""
        return self if (job_id, epoch) == self.record.key else None

    async def note_dispute(self, notice: DisputeNotice) -> None:
        self.record = replace(self.record, dispute=encode(notice))

    @property
    def notice(self) -> DisputeNotice | None:
        return dispute_of(self.record)

    @property
    def changes(self) -> dict[str, Any]:
        """Of a statement about them."""
        manifest = self._manifest
        return {
            "output_root": manifest.root(),
            "output_bytes": manifest.size_bytes,
            "output_files": len(manifest.files),
        }

    def serve(self, world: Any, node: Any, job_id: str) -> None:
        """Let the node answer its coordinator as a real one does; chunks are read from its own source."""
        self.record = replace(self.record, job_id=job_id)
        source, coordinator = OutputSource(), PeerId(world.identity.peer_id)
        disputes = Disputes(cast(Jobs, self), source, coordinator, world.clock)

        async def disputed(payload: bytes) -> bytes:
            return await disputes.disputed(Call(coordinator, "job.disputed", payload))

        async def prove(payload: bytes) -> bytes:
            return await disputes.prove(Call(coordinator, "files.prove", payload))

        async def pull(peer_id: str, grant: str, ref: ChunkRef) -> None:
            source.authorise(coordinator, grant)
            into = bytearray(CHUNK_BYTES)
            size = source.read_chunk(grant, ref.hash, memoryview(into))
            if sha256(into[:size]).digest() != ref.hash:
                raise EnvironmentFailure("chunk_corrupt", "Its hash is wrong.")

        node.connect()
        world.wire.peers[node.identity.peer_id] |= {"job.disputed": disputed, "files.prove": prove}
        world.coordinator.context.pull = pull


async def claimed_with(
    world: Any, folder: Path, files: dict[str, bytes] | None = None
) -> tuple[Any, Any, str, KeptOutputs]:
    """A claim that stands for work whose outputs lie in ``folder``."""
    kept = KeptOutputs(folder, FILES if files is None else files)
    buyer, node, job_id = await claimed(world, **kept.changes)
    kept.serve(world, node, job_id)
    return buyer, node, job_id, kept


async def dispute_on_chain(world: Any, buyer: Any, job_id: str) -> None:
    """The buyer's wallet disputes."""
    owner = buyer.signer.address
    await world.chain.send_and_confirm(await world.chain.prepare_dispute(buyer.signer, owner, JobId(job_id)))


async def say(
    person: Any, job_id: str, text: str, *, method: str = "job.dispute", reply: type[Any] = JobView
) -> Any:
    """A side's statement to the coordinator."""
    domain = Domain.DISPUTE if method == "job.dispute" else Domain.ANSWER
    signed = person.sign(domain, encode(DisputeStatement(job_id, text, 1.0)))
    return await person.call(method, DisputeRequest(job_id, signed), reply)


async def disputed(
    world: Any, folder: Path, files: dict[str, bytes] | None = None, reason: str = "The model is empty."
) -> tuple[Any, Any, str, KeptOutputs]:
    """A claim that its buyer disputes; evidence was not asked for yet."""
    buyer, node, job_id, kept = await claimed_with(world, folder, files)
    await dispute_on_chain(world, buyer, job_id)
    await say(buyer, job_id, reason)
    return buyer, node, job_id, kept


async def shown(cli: Cli, job_id: str) -> Any:
    """The dispute, as the arbiter's program sees it."""
    code, out, err = await cli("dispute", "show", job_id[:8], "--json")
    assert code == 0, err
    return json.loads(out)
