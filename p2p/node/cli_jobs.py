"""``cyxwiz-node jobs`` and ``stop-job``."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.core.limits import JOBS_LISTED_MAX
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.node.cli_common import agent_runs, ask, duration, short, when
from p2p.node.cli_disputes import about


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, JOBS_LISTED_MAX))
@frame.json_option
def jobs(limit: int, as_json: bool) -> None:
    """The last jobs, newest first."""
    if agent_runs():
        found = ask("jobs", {"limit": limit})
    else:
        from p2p.node import offline

        found = frame.run_async(offline.jobs, find_home(), limit)
    if as_json:
        frame.print_json(found)
        return
    rows = [
        (short(job["job_id"]), job["name"], job["phase"], when(job["accepted_at_s"]),
         duration(job["run_seconds"]), job["gpu_uuid"] or "cpu", about(job))
        for job in found
    ]  # fmt: skip
    columns = ("job", "name", "phase", "taken", ">ran", "gpu", "detail")
    frame.print_table(columns, rows, "This node has not run a job yet.")


@click.command("stop-job")
@click.argument("job")
@click.option("--yes", is_flag=True, help="Do not ask.")
@frame.json_option
def stop_job(job: str, yes: bool, as_json: bool) -> int:
    """End JOB, which then begins again at another node; this node is not paid for it."""
    found: dict[str, Any] = ask("job", {"job": job})
    frame.err.print(
        Text(f"{short(found['job_id'])} {found['name']}: {found['stop_means'] or 'it has ended.'}")
    )
    asks = found["stop_means"] and not yes
    if asks and not frame.confirm("Stop it?", "It goes on."):
        return 1
    stopped = ask("stop_job", {"job": found["job_id"]})
    if as_json:
        frame.print_json(stopped)
    else:
        frame.out.print(Text(f"{short(stopped['job_id'])} is being stopped."))
    return 0
