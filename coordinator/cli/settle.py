"""``settle retry``."""

from __future__ import annotations

import click

from coordinator.cli.common import ID_SHOWN_CHARS, database, dsn_option, find_job
from coordinator.service.retrying import Retried, retry
from coordinator.store.database import Tx
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.text import clean_line
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.local.platform import is_locked

_ERROR_SHOWN_CHARS = 200


@click.group()
def settle() -> None:
    """What the coordinator does on the chain."""


@settle.command("retry")
@click.argument("job_id", metavar="[JOB]", required=False)
@dsn_option
@frame.json_option
def retry_actions(job_id: str | None, dsn: str | None, as_json: bool) -> None:
    """Have chain actions that were given up, or do not succeed, looked at again now.

    With JOB (or the first digits of its id), everything of that job that is unfinished. The command itself
    signs and sends nothing; and the coordinator signs nothing anew while bytes signed before may still land.
    """
    now_s = SYSTEM_CLOCK.now_s()

    def work(tx: Tx) -> list[Retried]:
        return retry(tx, None if job_id is None else find_job(tx, job_id).job_id, now_s)

    with database(dsn) as db:
        found = db.transact(work)
    if as_json:
        frame.print_json([_json(each) for each in found])
        return
    _print(found)


def _json(found: Retried) -> dict[str, object]:
    action = found.action
    return {
        "job_id": action.job_id,
        "kind": action.kind,
        "was": action.state,
        "now": found.now.value,
        "error": action.last_error,
        "signature": action.signature,
    }


def _print(found: list[Retried]) -> None:
    for each in found:
        action = each.action
        was = "given up" if action.state == "failed" else action.state
        line = f"{action.kind} of job {action.job_id[:ID_SHOWN_CHARS]}, {was}"
        error = clean_line(action.last_error, _ERROR_SHOWN_CHARS)
        frame.out.print(": ".join(filter(None, (line, error))), markup=False)
        frame.out.print(f"    {each.now.words}", markup=False)
    if not found:
        frame.out.print("Nothing was given up, and nothing fails.")
    elif is_locked(find_home().coordinator.lock):
        frame.out.print("\nThe coordinator does so within seconds; `cyxwiz-coordinator job JOB` shows it.")
    else:
        frame.out.print("\nNo coordinator runs on this home: it is done when one does.")
