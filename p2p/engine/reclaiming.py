"""A job's deposit, taken back by its buyer alone: from chain data, with nothing but the wallet."""

from __future__ import annotations

from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.escrow import EscrowClient
from p2p.core.errors import Refused, UserError
from p2p.core.ids import JOB_ID_CHARS, JobId, Wallet, is_job_id_prefix
from p2p.core.money import format_amount
from p2p.engine import render


async def find_job(chain: EscrowClient, owner: Wallet, text: str) -> OnChainJob:
    """The job of ``owner`` with this id, or whose id begins so.

    :raises UserError: ``unknown_job``: none or several fit.
    :raises Refused: ``no_such_escrow`` or ``job_closed``.
    """
    wanted = text.lower()
    if is_job_id_prefix(wanted) and len(wanted) == JOB_ID_CHARS:
        return await chain.existing_job(owner, JobId(wanted))
    jobs = await chain.jobs_of(owner) if is_job_id_prefix(wanted) else []
    found = [job for job in jobs if job.job_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    what = "fits several jobs" if found else "is not a job"
    raise UserError(
        "unknown_job",
        f"{text[:40]!r} {what} of the wallet {owner} on {chain.chain.cluster}.",
        "Nothing was moved.",
        "Give the job's whole id; `cyxwiz wallet history` shows what was opened.",
    )


async def check_reclaimable(chain: EscrowClient, job: OnChainJob) -> OnChainJob:
    """The job, once nothing stands against its deposit coming back now.

    :raises Refused: ``already_final``, ``claimed`` or ``too_early``, which names the time.
    """
    name, deposit = render.short(job.job_id), format_amount(job.deposit_units, chain.asset_of(job))
    if job.status.final:
        raise Refused(
            "already_final",
            f"Job {name} has ended on the chain: {job.status.name.lower()}.",
            "Nothing of its deposit is locked any more.",
            "`cyxwiz wallet balance` shows what is yours.",
        )
    if job.status is JobStatus.CLAIMED:
        raise Refused(
            "claimed",
            f"A payment for job {name} has been claimed, and its review ends at "
            f"{render.moment(job.review_ends_at_s)}.",
            f"Of the {deposit} only what is not claimed comes back, unless you dispute the claim until then.",
            "If the claim is right, wait: the rest comes back when the review ends.",
        )
    if job.status is not JobStatus.OPEN and (now_s := await chain.chain_time_s()) < job.deadline_s:
        raise Refused(
            "too_early",
            f"Job {name} runs until its deadline at {render.moment(job.deadline_s)}, "
            f"{render.duration(job.deadline_s - now_s)} from now.",
            f"Until then its {deposit} stay locked for the node. No money moved.",
            f"Run `cyxwiz wallet reclaim {name}` again after that; `cyxwiz cancel {name}` may be faster.",
        )
    return job
