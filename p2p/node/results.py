"""The outputs of a finished job: their manifest, and the statement that the node signs about them."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from p2p.core.errors import UserError
from p2p.core.limits import CHUNK_BYTES, FRAME_MAX_BYTES, KIB, LOG_TOTAL_MAX_BYTES, OUTPUT_MAX_BYTES
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.core.messages.jobs import ResultStatement
from p2p.core.messages.nodes import Assignment
from p2p.core.signing import Domain, Signed, signing_input
from p2p.net.identity import PeerIdentity
from p2p.store.node import JobRecord
from p2p.wire.codec import encode

MANIFEST_ENCODED_MAX_BYTES = FRAME_MAX_BYTES - 64 * KIB
"""It travels in one reply."""


def describe(folder: Path, paths: tuple[str, ...]) -> Manifest:
    """The manifest of ``paths`` below ``folder``, each hashed in chunks. Blocks.

    :raises UserError: ``bad_manifest`` and the like; ``output_full``; ``too_many_files``: the list itself is
        too long to send.
    """
    manifest = make_manifest([_describe_file(folder, path) for path in paths])
    if manifest.size_bytes > OUTPUT_MAX_BYTES:  # a job's file system is a little larger
        raise UserError("output_full", f"It may write {OUTPUT_MAX_BYTES >> 20} MiB.")
    if len(encode(manifest)) > MANIFEST_ENCODED_MAX_BYTES:
        raise UserError(
            "too_many_files",
            f"The list of the {len(paths)} files that the script wrote is longer than can be sent.",
            "The outputs are not released.",
            "Write fewer files, or give them shorter names.",
        )
    return manifest


def _describe_file(folder: Path, path: str) -> FileEntry:
    chunks: list[bytes] = []
    size_bytes = 0
    descriptor = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        while block := file.read(CHUNK_BYTES):
            chunks.append(sha256(block).digest())
            size_bytes += len(block)
    return FileEntry(path, size_bytes, tuple(chunks))


def make_statement(
    job: Assignment, record: JobRecord, manifest: Manifest, log_sha256: bytes, image_digest: str
) -> ResultStatement:
    """What the node swears to about the attempt in ``record``, which has ended with exit code 0.

    :raises UserError: ``log_full``: the log is longer than a job may have, and nobody would accept it.
    """
    if record.log_bytes > LOG_TOTAL_MAX_BYTES:
        raise UserError("log_full", f"It may print {LOG_TOTAL_MAX_BYTES >> 20} MiB.")
    started_at_s, finished_at_s = record.started_at_s or 0.0, record.finished_at_s or 0.0
    return ResultStatement(
        job_id=job.job_id,
        epoch=job.epoch,
        input_root=job.spec.input_root,
        image_digest=image_digest,
        output_root=manifest.root(),
        output_bytes=manifest.size_bytes,
        output_files=len(manifest.files),
        log_sha256=log_sha256,
        log_bytes=record.log_bytes,
        exit_code=record.exit_code or 0,
        started_at_s=started_at_s,
        finished_at_s=finished_at_s,
        run_seconds=max(0.0, finished_at_s - started_at_s),
        cpu_seconds=record.cpu_seconds,
        memory_peak_bytes=record.memory_peak_bytes,
    )


def sign(identity: PeerIdentity, statement: ResultStatement) -> Signed:
    """The statement, signed by the node's peer key over the exact bytes that are sent."""
    payload = encode(statement)
    return Signed(payload, identity.peer_id, identity.sign(signing_input(Domain.RESULT, payload)))
