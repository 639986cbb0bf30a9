"""``cyxwiz-node``: the seller's command line, a thin client of the agent."""

from __future__ import annotations

import logging
from typing import Any

import click

from p2p.core.limits import GIB
from p2p.local import cli as frame
from p2p.local.home import find_home, make_private
from p2p.local.platform import ProcessLock
from p2p.node.agent_log import set_up_logging
from p2p.node.cli_checks import check, fix
from p2p.node.cli_common import ask, duration, short, when
from p2p.node.cli_disputes import answer
from p2p.node.cli_earnings import earnings
from p2p.node.cli_hardware import hardware
from p2p.node.cli_jobs import jobs, stop_job
from p2p.node.cli_login import login
from p2p.node.cli_money import balance, withdraw
from p2p.node.cli_rates import rates
from p2p.node.cli_settings import set_
from p2p.node.cli_support import autostart, log, support_bundle
from p2p.node.cli_switch import finish, off, on, pause

_NOISY = {"httpx": logging.WARNING, "libp2p": logging.CRITICAL}  # what matters of them is raised, not logged


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def node() -> None:
    """Rent out this machine: run the agent, see what it does and earns."""


_COMMANDS: tuple[click.Command, ...] = (
    *(check, fix, set_, on, finish, off, pause),
    *(jobs, stop_job, answer, hardware),
    *(login, earnings, rates, balance, withdraw),
    *(log, support_bundle, autostart),
)
for _command in _COMMANDS:
    node.add_command(_command)


@node.command()
@click.option(
    "--stop-jobs", is_flag=True, help="On SIGTERM end running jobs too, instead of leaving them running."
)
def run(stop_jobs: bool) -> None:
    """Run the agent in the foreground until SIGTERM or Ctrl-C.

    Jobs that run when it ends go on, and are found again at the next start.
    """
    home = find_home()
    make_private(home.node.folder)
    set_up_logging(home.node.log)
    for noisy, level in _NOISY.items():
        logging.getLogger(noisy).setLevel(level)
    # Imported here, because the network and the chain take a second to load that no other command needs.
    from p2p.node.agent import run_agent

    frame.run_async(lambda: run_agent(home, stop_jobs=stop_jobs))


@node.command()
@frame.json_option
def status(as_json: bool) -> None:
    """Connection, offer, load, and what runs."""
    found = ask("status")
    if as_json:
        frame.print_json(found)
        return
    _print_status(found)


@node.command()
@click.option("--jobs", "stop_jobs", is_flag=True, help="End the running jobs too.")
def stop(stop_jobs: bool) -> None:
    """End the agent that runs on this home."""
    ask("stop", {"jobs": stop_jobs})


@node.command()
def clean() -> None:
    """Remove what jobs left in Docker and on this machine: containers, mounts, network, firewall rules.

    Only while the agent does not run. Jobs that were running are lost, and reported at its next start.
    """
    from p2p.node import offline

    home = find_home()
    make_private(home.node.folder)
    with ProcessLock(home.node.lock):
        for removed in frame.run_async(offline.clean, home):
            frame.out.print(f"removed {removed}", markup=False)


def _print_status(found: dict[str, Any]) -> None:
    hardware, reading = found["hardware"], found["reading"]
    gpus = ", ".join(gpu["name"] for gpu in hardware["gpus"]) or "none (class cpu)"
    state = "registered" if found["registered"] else "not registered"
    last = found["last_contact_s"]
    memory = f"{reading['memory_used_bytes'] / GIB:.1f} of {hardware['memory_bytes'] / GIB:.1f} GB"
    disk = f"{hardware['disk_free_bytes'] / GIB:.0f} GB"
    load = f"CPU {reading['cpu_percent']:.0f} %, memory {memory}, disk free {disk}"
    rows = [
        ("coordinator", f"{state}, last heard {when(last) if last else 'never'}"),
        ("switch", found["availability"]["switch"]),
        ("network", found["cluster"] or "unknown yet"),
        ("wallet", found["wallet"]),
        ("peer", found["peer_id"]),
        ("gpus", gpus),
        ("slots", f"{found['slots_busy']} of {found['slots']} busy"),
        ("load", load),
        ("image", found["image"][:19] or "none"),
    ]
    frame.print_table(("", ""), rows, "")
    payout, problem = found["payout"], found["problem"]
    if payout["login_words"]:
        frame.out.print(payout["login_words"], markup=False)
        if payout["login_command"]:
            frame.out.print(f"To log in: {payout['login_command']}", markup=False)
    if problem:
        for line in (problem["what"], problem["meaning"], problem["hint"]):
            if line:
                frame.out.print(line, markup=False)
    running = [
        (short(job["job_id"]), job["name"], job["phase"], duration(job["run_seconds"]))
        for job in found["jobs"]
    ]
    frame.print_table(("job", "name", "phase", ">ran"), running, "No job is here now.")
    if not found["slots_busy"] or not found["availability"]["takes"]:
        frame.out.print(found["availability"]["words"], markup=False)


def main() -> None:
    """Entry point of ``cyxwiz-node``."""
    frame.main(node, "cyxwiz-node")


if __name__ == "__main__":
    main()
