"""``cyxwiz-node answer``: what the seller says when a buyer disputes the pay of a job."""

from __future__ import annotations

from typing import Any

import click

from p2p.local import cli as frame
from p2p.node.cli_common import ask, short, when


@click.command()
@click.argument("job")
@click.option("--text", required=True, help="What the arbiter should know; once, at most 2,000 characters.")
@frame.json_option
def answer(job: str, text: str, as_json: bool) -> None:
    """Answer the dispute about JOB, signed with this node's key. The outputs are proven without it."""
    found = ask("answer", {"job": job, "text": text})
    if as_json:
        frame.print_json(found)
        return
    frame.out.print(
        f"The arbiter will read it with the dispute about {short(found['job_id'])}.", markup=False
    )


def about(job: dict[str, Any]) -> str:
    """What there is to say about a job: a dispute before anything else."""
    dispute = job["dispute"]
    if dispute is None:
        return str(job["detail"])
    if dispute["state"] != "open":
        return f"dispute {dispute['state']}"
    reason = f": {dispute['reason']}" if dispute["reason"] else ""
    return f"disputed, to be decided until {when(dispute['decide_until_s'])}{reason}"
