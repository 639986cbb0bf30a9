"""``fetch``: results into another folder, or once more after something stood in the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import trio

from p2p.core.errors import Refused
from p2p.engine.context import Engine
from p2p.engine.joblog import disk_failure
from p2p.engine.results import check_out_folder, partial_folder, remove_partial
from p2p.store.engine import JobRow
from p2p.store.stages import Stage

_HAS_RESULTS = (Stage.VERIFIED, Stage.RECEIPTED, Stage.SETTLED)
_NEVER = (Stage.REFUNDED, Stage.DROPPED, Stage.CLOSING, Stage.WITHDRAWING, Stage.PACKAGED, Stage.QUOTED)


async def fetch_to(engine: Engine, job: JobRow, out: Path | None) -> JobRow:
    """Have the job's results in ``out``, or where the job was told to put them.

    Results that are here are copied; otherwise the folder is changed and the job tries again at once.

    :raises Refused: ``no_results``: it has none and never will.
    :raises UserError: the folder holds something else.
    """
    if job.stage in _NEVER:
        raise Refused(
            "no_results",
            f"Job {job.job_id} has no results: it is {job.stage.value}.",
            "Results of a job that is not paid are not released; its log is.",
            "`cyxwiz logs JOB` shows the log.",
        )
    if out is not None and str(out) != job.out_folder:
        await trio.to_thread.run_sync(check_out_folder, out, job.job_id)
        if job.stage in _HAS_RESULTS:
            await trio.to_thread.run_sync(_copy, Path(job.out_folder), out, job.job_id)
        await trio.to_thread.run_sync(remove_partial, Path(job.out_folder), job.job_id)
        job = await engine.tables.note(job.job_id, out_folder=str(out))
    elif job.stage in _HAS_RESULTS and not Path(job.out_folder).is_dir():
        raise _gone(Path(job.out_folder))
    await engine.tables.note(job.job_id, problem=None)
    engine.live[job.job_id].retry.ring()
    engine.live.ring(job.job_id)
    return await engine.job(job.job_id)


def _copy(source: Path, out: Path, job_id: str) -> None:
    if not source.is_dir():
        raise _gone(source)
    partial = partial_folder(out, job_id)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, symlinks=True)
        if out.exists():
            out.rmdir()
        os.rename(partial, out)
    except OSError as error:
        raise disk_failure(out, error) from error


def _gone(folder: Path) -> Refused:
    return Refused(
        "results_moved",
        f"The results were put into {folder}, and it is not there any more.",
        "They were verified and paid, and the node need not keep them.",
        "Look where the folder was moved to.",
    )
