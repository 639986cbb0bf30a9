"""Results: pulled, verified, put in place, and only then paid for."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import trio

from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.limits import OUTPUTS_KEPT_S, SETTLE_AGAIN_S
from p2p.core.manifest import Manifest, make_manifest
from p2p.core.messages.auth import Ack
from p2p.core.messages.jobs import JobView, Receipt, ReceiptRequest, ResultStatement
from p2p.core.messages.transfer import ManifestReply, ManifestRequest, ReceivedNotice, Side
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import JobState
from p2p.engine.context import Engine, deposit_of, statement_of, terms_of
from p2p.engine.cost import COST, dump, expected_cost
from p2p.engine.following import ask_offer, finish, wait_for_news
from p2p.engine.joblog import JobLog
from p2p.engine.live import Direction, Transfer
from p2p.engine.metric_reading import log_rows
from p2p.engine.metric_tables import metrics_csv
from p2p.engine.outcome import keep_manifest
from p2p.engine.results import STATEMENT, ResultFolder
from p2p.engine.settling import accept_offer, check_delivered
from p2p.engine.usage import collect_usage
from p2p.net.bulk import ChunkRef, pull_chunks
from p2p.store.engine import JobRow
from p2p.store.stages import Stage
from p2p.wire.codec import decode, encode

_METRICS = "metrics.csv"


async def fetch(engine: Engine, job: JobRow) -> JobRow:
    """Pull what the statement names, and put it into the out folder."""
    view = await engine.refresh(job.job_id)
    if _is_superseded(job, view) or view.state is JobState.REFUNDED:
        return await _back_to_following(engine, job)
    if _is_too_late(engine, view):
        detail = "The results were not fetched while the node kept them."
        return await engine.tables.advance(await _current(engine, job), Stage.CLOSING, detail)
    signed, statement = _require_statement(job)
    manifest, grant = await _manifest(engine, view, statement)
    folder = ResultFolder(Path(job.out_folder), job.job_id, manifest)
    missing = await trio.to_thread.run_sync(folder.prepare)
    await _pull(engine, view, folder, manifest, missing, grant)
    with suppress(CyxWizError):  # nothing hangs on it
        await collect_usage(engine, view)
    await trio.to_thread.run_sync(keep_manifest, engine.folder(job.job_id), manifest)
    log = engine.log(job.job_id, job.epoch)
    await _require_log(engine, job, log, statement)
    files = await trio.to_thread.run_sync(_describe, signed, statement, log)
    terms = terms_of(job)[1]
    files[COST] = dump(expected_cost(terms, view, statement, deposit_of(job, terms)))
    await trio.to_thread.run_sync(folder.finish, files, log.path)
    job = await _current(engine, job)
    return await engine.tables.advance(job, Stage.VERIFIED, fetched_at_s=engine.clock.now_s())


async def sign_receipt(engine: Engine, job: JobRow) -> JobRow:
    """Swear that everything is here. Kept before it is sent."""
    signed, statement = _require_statement(job)
    receipt = Receipt(job.job_id, statement.epoch, statement_hash(Domain.RESULT, signed.payload))
    payload = encode(receipt)
    signature = engine.peer.identity.sign(signing_input(Domain.RECEIPT, payload))
    sworn = Signed(payload, engine.peer.peer_id, signature)
    return await engine.tables.advance(job, Stage.RECEIPTED, receipt=encode(sworn))


async def settle(engine: Engine, job: JobRow) -> JobRow:
    """Hand the receipt over and sign the settlement, until the chain has it."""
    view = await engine.refresh(job.job_id)
    if view.state not in (JobState.SETTLED, JobState.REFUNDED):
        view = await _hand_over(engine, job)
        if _is_superseded(job, view):
            return await _back_to_following(engine, job)
    elif view.receipt is None:
        await _tell_node(engine, job, view)  # paid by a claim meanwhile
    live = engine.live[job.job_id]
    with trio.move_on_after(SETTLE_AGAIN_S):
        while view.state not in (JobState.SETTLED, JobState.REFUNDED):
            since = live.news.count
            view = await engine.refresh(job.job_id)
            if view.state is JobState.COMPLETED:
                await wait_for_news(engine, job.job_id, view, since)
    final = {JobState.SETTLED: Stage.SETTLED, JobState.REFUNDED: Stage.REFUNDED}.get(view.state)
    job = await _current(engine, job)
    return job if final is None else await finish(engine, job, final)


async def _hand_over(engine: Engine, job: JobRow) -> JobView:
    signed, statement = _require_statement(job)
    assert job.receipt is not None
    request = ReceiptRequest(job.job_id, decode(Signed, job.receipt), job.signer)
    try:
        offer = await ask_offer(engine, job, request)
    except Refused as error:
        view = await engine.refresh(job.job_id)
        if not _is_superseded(job, view):
            raise error from None
        return view
    if offer.message:
        check_delivered(offer, terms_of(job)[1], signed, statement)
        await accept_offer(engine, job, offer)
    await _tell_node(engine, job, offer.view)
    return await engine.refresh(job.job_id)


async def _tell_node(engine: Engine, job: JobRow, view: JobView) -> None:
    """The node may forget the outputs; if it cannot be told now, it learns it from the settlement."""
    notice = encode(ReceivedNotice(job.job_id, job.epoch))
    try:
        reply = await engine.peer.call(
            view.node_peer_id, "job.received", notice, addrs=view.node_addresses, timeout_s=5
        )
        decode(Ack, reply)
    except (EnvironmentFailure, UserError):
        return


async def _manifest(engine: Engine, view: JobView, statement: ResultStatement) -> tuple[Manifest, str]:
    """The manifest of the outputs, which must be the one that the node signed."""
    request = encode(ManifestRequest(view.job_id, view.epoch, Side.OUTPUTS))
    raw = await engine.peer.call(view.node_peer_id, "files.manifest", request, addrs=view.node_addresses)
    reply = decode(ManifestReply, raw)
    manifest = make_manifest(list(decode(Manifest, reply.manifest).files))
    sums = (manifest.root(), manifest.size_bytes, len(manifest.files))
    if sums != (statement.output_root, statement.output_bytes, statement.output_files):
        raise Refused(
            "outputs_differ",
            "The files that the node offers are not those that it signed.",
            "They were not fetched, and nothing is paid for them.",
            "Report the job to the coordinator's operator.",
        )
    return manifest, reply.grant


async def _pull(
    engine: Engine,
    view: JobView,
    folder: ResultFolder,
    manifest: Manifest,
    missing: tuple[Any, ...],
    grant: str,
) -> None:
    live = engine.live[view.job_id]
    total = manifest.size_bytes
    here = total - sum(ref.size_bytes for ref in missing)

    def progress(done_bytes: int) -> None:
        live.transfer = Transfer(Direction.DOWN, here + done_bytes, total)
        live.news.ring()

    progress(0)
    try:
        wanted = [ChunkRef(ref.hash, ref.size_bytes) for ref in missing]
        await pull_chunks(
            engine.peer,
            view.node_peer_id,
            grant,
            wanted,
            folder,
            addrs=view.node_addresses,
            progress=progress,
        )
    finally:
        live.transfer = None


async def _require_log(engine: Engine, job: JobRow, log: JobLog, statement: ResultStatement) -> None:
    """The whole log is here and is the one that the node signed; a bad copy is fetched again.

    :raises EnvironmentFailure: ``log_incomplete``: it is still on its way.
    :raises Refused: ``log_differs``.
    """
    if not (await engine.job(job.job_id)).log_complete:
        live = engine.live[job.job_id]
        since = live.log.count
        if not (await engine.job(job.job_id)).log_complete:
            await live.log.wait(since, SETTLE_AGAIN_S)
        if not (await engine.job(job.job_id)).log_complete:
            raise EnvironmentFailure(
                "log_incomplete",
                "The last lines of the log have not arrived yet.",
                "The files are here and verified; the job is not paid yet.",
                "It goes on by itself.",
            )
    size, digest = await trio.to_thread.run_sync(lambda: (log.size_bytes(), log.sha256()))
    if (size, digest) == (statement.log_bytes, statement.log_sha256):
        return
    await trio.to_thread.run_sync(log.restart)
    await engine.tables.note(job.job_id, log_complete=False)
    engine.live[job.job_id].log.ring()
    raise EnvironmentFailure(
        "log_differs",
        "The log that arrived is not the one that the node signed.",
        "The job is not paid yet; the log is fetched again.",
        "If it goes on, report the job to the coordinator's operator.",
    )


def _describe(signed: Signed, statement: ResultStatement, log: JobLog) -> dict[str, bytes]:
    """The files beside the outputs."""
    return {
        STATEMENT: dump(statement_to_json(signed, statement)),
        _METRICS: metrics_csv(log_rows(log)).encode(),
    }


def statement_to_json(signed: Signed, statement: ResultStatement) -> dict[str, Any]:
    """The statement readable, and its exact bytes, so that anybody can check the node's signature."""
    fields = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(statement).items()
    }
    return {
        "job_id": statement.job_id,
        "node_peer_id": signed.signer,
        "statement": fields,
        "signed": {
            "domain": Domain.RESULT.value,
            "payload": base64.b64encode(signed.payload).decode(),
            "signature": base64.b64encode(signed.signature).decode(),
        },
    }


def _require_statement(job: JobRow) -> tuple[Signed, ResultStatement]:
    found = statement_of(job)
    assert found is not None  # the stages before this one have it, by the journal's own rule
    return found


def _is_superseded(job: JobRow, view: JobView) -> bool:
    """The lease was lost before the results were accepted, or the job has ended otherwise."""
    accepted = (JobState.DELIVERING, JobState.COMPLETED, JobState.SETTLED, JobState.REFUNDED)
    return view.epoch != job.epoch or view.state not in accepted


def _is_too_late(engine: Engine, view: JobView) -> bool:
    """Whether the job was paid so long ago that its node has thrown the results away by now."""
    return view.state is JobState.SETTLED and engine.clock.now_s() > view.updated_at_s + OUTPUTS_KEPT_S


async def _back_to_following(engine: Engine, job: JobRow) -> JobRow:
    job = await _current(engine, job)
    return await engine.tables.advance(job, Stage.FOLLOWING, "the attempt is void", receipt=None)


async def _current(engine: Engine, job: JobRow) -> JobRow:
    return await engine.job(job.job_id)
