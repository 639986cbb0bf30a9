"""The owner ends one job of this node."""

from __future__ import annotations

from p2p.core.errors import UserError
from p2p.core.ids import is_job_id_prefix
from p2p.node.jobs import Jobs
from p2p.node.supervisor import Supervisor

STOPPED_BY_OWNER = "The node's owner stopped it."


async def stop_job(jobs: Jobs, prefix: str) -> Supervisor:
    """End the job whose id begins with ``prefix``, as the seller's decision.

    :raises UserError: ``unknown_job``, or ``not_running``: it has ended, and its result can still be fetched.
    """
    supervisor = find_held(jobs, prefix)
    if not supervisor.record.phase.takes_slot:
        raise UserError(
            "not_running",
            f"Job {supervisor.record.job_id[:12]} does not run any more.",
            "There is nothing to stop, and what it earned stays.",
        )
    await supervisor.give_up(STOPPED_BY_OWNER)
    return supervisor


def find_held(jobs: Jobs, prefix: str) -> Supervisor:
    """The job of this node whose id begins with ``prefix``.

    :raises UserError: ``unknown_job``: there is none, or several.
    """
    prefix = prefix.lower()
    found = [each for each in jobs.supervisors() if each.record.job_id.startswith(prefix)]
    running = [each for each in found if each.record.phase.takes_slot]
    found = running or found
    if not is_job_id_prefix(prefix) or not found:
        raise UserError("unknown_job", f"No job {prefix[:40]!r} is on this node now.", "Nothing was changed.")
    if len(found) > 1:
        raise UserError("unknown_job", f"Several jobs begin with {prefix[:40]!r}.", hint="Give more digits.")
    return found[0]
