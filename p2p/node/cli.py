"""``cyxwiz-node``: the seller's command line, a thin client of the agent."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from typing import Any

import click

from p2p.core.errors import ExitCode, UserError
from p2p.core.limits import GIB, JOBS_LISTED_MAX
from p2p.core.money import format_usd
from p2p.core.text import clean_line
from p2p.local import cli as frame
from p2p.local.home import find_home, make_private
from p2p.local.platform import ProcessLock, is_locked
from p2p.node.cli_common import ask, duration, short, when
from p2p.node.cli_disputes import about, answer
from p2p.node.cli_earnings import earnings
from p2p.node.cli_login import login
from p2p.node.cli_money import balance, withdraw
from p2p.node.settings import change_settings, load_settings, price_from_text, save_settings, settings_path

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOISY = {"httpx": logging.WARNING, "libp2p": logging.CRITICAL}  # what matters of them is raised, not logged
_CHECK_LINE_MAX_CHARS = 500


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def node() -> None:
    """Rent out this machine: run the agent, see what it does and earns."""


for _command in (login, earnings, balance, withdraw, answer):
    node.add_command(_command)


@node.command()
@click.option(
    "--stop-jobs", is_flag=True, help="On SIGTERM end running jobs too, instead of leaving them running."
)
def run(stop_jobs: bool) -> None:
    """Run the agent in the foreground until SIGTERM or Ctrl-C.

    Jobs that run when it ends go on, and are found again at the next start.
    """
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)
    for noisy, level in _NOISY.items():
        logging.getLogger(noisy).setLevel(level)
    # Imported here, because the network and the chain take a second to load that no other command needs.
    from p2p.node.agent import run_agent

    frame.run_async(lambda: run_agent(find_home(), stop_jobs=stop_jobs))


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
@frame.json_option
def check(as_json: bool) -> None:
    """Test what a node needs; each row says what was found and how to mend it."""
    home = find_home()
    if is_locked(home.node.lock):
        rows = ask("check")
    else:
        from p2p.node import offline

        rows = [asdict(row) for row in frame.run_async(offline.check, home)]
    if as_json:
        frame.print_json(rows)
    else:
        for row in rows:
            _print_check(row)
    if any(row["required"] and not row["ok"] for row in rows):
        sys.exit(ExitCode.FAILED)


@node.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, JOBS_LISTED_MAX))
@frame.json_option
def jobs(limit: int, as_json: bool) -> None:
    """The last jobs, newest first."""
    home = find_home()
    if is_locked(home.node.lock):
        found = ask("jobs", {"limit": limit})
    else:
        from p2p.node import offline

        found = frame.run_async(offline.jobs, home, limit)
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


@node.command("set")
@click.option("--available", type=click.Choice(["on", "off"]), help="Whether jobs are taken.")
@click.option("--min-price", metavar="USD", help="Lowest price in dollars per hour, such as 0.25.")
@click.option("--gpus", metavar="UUIDS", help="GPUs on offer: NVML uuids with commas, or `all`.")
@click.option("--cpus", type=float, help="CPUs for each job; 0: the node decides.")
@click.option("--memory", metavar="GB", type=float, help="Memory for each job in GB; 0: the node decides.")
@click.option("--network", type=click.Choice(["on", "off"]), help="Whether jobs may have the internet.")
@click.option("--image", help="The job image's tag; empty: the newest on this machine.")
@click.option("--wallet-keypair", metavar="FILE", help="Keypair of the payout wallet; empty: the node's own.")
@click.option("--listen", metavar="ADDRESS", multiple=True, help="Multiaddr to listen at; may be repeated.")
@frame.json_option
def set_(as_json: bool, **options: Any) -> None:
    """Change settings, whether the agent runs or not; without options show them."""
    home = find_home()
    values = _settings_values(options)
    waiting: list[str] = []
    if is_locked(home.node.lock):
        if values:
            answer = ask("set", values)
            found, waiting = answer["settings"], answer["at_next_start"]
        else:
            found = ask("settings")
    else:
        path = settings_path(make_private(home.node.folder))
        settings = change_settings(load_settings(path), values)
        if values:
            save_settings(path, settings)
        found = asdict(settings)
    if as_json:
        frame.print_json(found)
        return
    frame.print_table(("setting", "value"), _settings_rows(found), "")
    if waiting:
        frame.err.print(f"{', '.join(waiting)}: from the next start of the agent on", markup=False)


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


def _settings_values(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as settings.

    :raises UserError: a price or size that is none.
    """
    values: dict[str, Any] = {}
    for name in ("available", "network"):
        if options[name] is not None:
            values[name] = options[name] == "on"
    for name in ("cpus", "image", "wallet_keypair"):
        if options[name] is not None:
            values[name] = options[name]
    if options["min_price"] is not None:
        values["min_price_usd_micros_per_hour"] = price_from_text(options["min_price"])
    if options["gpus"] is not None:
        chosen = [part.strip() for part in options["gpus"].split(",") if part.strip()]
        values["gpus"] = [] if chosen == ["all"] else chosen
    if options["memory"] is not None:
        if not 0 <= options["memory"] < 2**20:
            raise UserError("bad_settings", "The memory must be a number of GB.", "Nothing was changed.")
        values["memory_bytes"] = int(options["memory"] * GIB)
    if options["listen"]:
        values["listen"] = list(options["listen"])
    return values


def _settings_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    automatic = "the node decides"
    memory = f"{found['memory_bytes'] / GIB:.1f} GB" if found["memory_bytes"] else automatic
    gpus = ", ".join(found["gpus"]) or "all"
    return [
        ("available", "on" if found["available"] else "off"),
        ("min price", f"{format_usd(found['min_price_usd_micros_per_hour'])} an hour"),
        ("gpus", gpus),
        ("cpus for each job", f"{found['cpus']:g}" if found["cpus"] else automatic),
        ("memory for each job", memory),
        ("jobs with internet", "on" if found["network"] else "off"),
        ("image", found["image"] or "the newest cyxwiz/job"),
        ("wallet", _wallet_setting(found)),
        ("listen", ", ".join(found["listen"])),
    ]


def _wallet_setting(found: dict[str, Any]) -> str:
    if found["wallet"]:
        return f"{found['wallet']} ({found['wallet_keystore'] or 'in a browser'})"
    return found["wallet_keypair"] or "the node's own"


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
        ("available", "yes" if found["available"] else "no"),
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


def _print_check(row: dict[str, Any]) -> None:
    """One row: what was found; for what is missing also what is needed, why, and how to mend it."""
    verdict = "ok" if row["ok"] else ("MISSING" if row["required"] else "limited")
    lines = [f"{verdict:8} {row['name']}: {row['found']}"]
    if not row["ok"]:
        lines += [f"needed: {row['needed']}, because {row['why']}", f"to mend it: {row['fix']}"]
    for number, line in enumerate(lines):
        indent = " " * 9 if number else ""
        frame.out.print(indent + clean_line(line, _CHECK_LINE_MAX_CHARS), markup=False)


def main() -> None:
    """Entry point of ``cyxwiz-node``."""
    frame.main(node, "cyxwiz-node")


if __name__ == "__main__":
    main()
