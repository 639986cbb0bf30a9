"""``make demo``: the main job end to end on a network of its own, and the proof that the money is right.

Everything is done by the programs that users have; this one only starts them, shows what they print, and
compares the chain before and after.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import trio
from rich.text import Text

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import load_keypair
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import ExitCode, JobFailed
from p2p.core.ids import Wallet
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.engine import local_network
from p2p.local import cli
from p2p.local.home import HOME_VARIABLE

ASSET = Asset.USDC
DEPOSIT = "20"
JOB_TIMEOUT_S = 3600
CLI_TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class Balances:
    """What the chain says, in base units: escrow balances, and the buyer's own token account."""

    buyer: int
    buyer_wallet: int
    node: int
    fees: int


@click.command()
@click.option("--script", required=True, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path))
@click.option("--requirements", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where the results go; default: out/<time>.")
def demo(
    script: Path, data: Path | None, requirements: Path | None, config: Path | None, out: Path | None
) -> int:
    """Run SCRIPT on a marketplace of one buyer, one seller and one coordinator on this machine."""
    arguments = ["run", str(script), "--yes", "--asset", ASSET.value]
    for option, value in (("--data", data), ("--requirements", requirements), ("--config", config)):
        arguments += [option, str(value)] if value else []
    target = out or Path("out") / f"demo-{int(SYSTEM_CLOCK.now_s())}"
    return cli.run_async(_demo, [*arguments, "--out", str(target)], target)


async def _demo(run_arguments: list[str], out: Path) -> int:
    async with _home() as home:
        network = await local_network.up(home, _say)
        await _cli(home, "login", "--keypair", str(network.buyer_keypair))
        await _cli(home, "wallet", "deposit", DEPOSIT, "--asset", ASSET.value, "--yes")
        node = load_keypair(home.node.folder / "wallet.json").address
        before = await _balances(network, node)
        code = await _show_cli(home, *run_arguments)
        if code != ExitCode.OK:
            return code
        job = json.loads((out / "cost.json").read_text(encoding="utf-8"))
        after = await _balances(network, node)
        _table(job, before, after)
        _check(job, before, after)
        ledger = await _cli(home, "ledger", "check", program="coordinator.cli")
        _say("")
        cli.out.print(Text(ledger.strip(), style="bold green"))
        cli.out.print(Text(f"Results, log, metrics and the signed statement: {out}"))
    return ExitCode.OK


@asynccontextmanager
async def _home() -> AsyncIterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="cyxwiz-demo-"))
    home = Home(folder)
    try:
        yield home
    finally:
        with trio.CancelScope(shield=True):
            await local_network.down(home, _say)
        shutil.rmtree(folder)


def _say(text: str) -> None:
    cli.out.print(Text(text, style="dim"))


def _command(program: str, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", program, *arguments]


def _environment(home: Home) -> dict[str, str]:
    return {**os.environ, HOME_VARIABLE: str(home.root)}


async def _cli(home: Home, *arguments: str, program: str = "p2p.engine.cli") -> str:
    """Run one of the product's commands to its end; what it prints is given back."""
    with trio.fail_after(CLI_TIMEOUT_S):
        done = await trio.run_process(
            _command(program, arguments),
            env=_environment(home),
            check=False,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
        )
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise JobFailed("demo_failed", f"`{' '.join(arguments)}` failed: {text.strip()[-1000:]}")
    return text


async def _show_cli(home: Home, *arguments: str) -> int:
    """Run one of the product's commands on this terminal."""
    cli.out.print(Text(f"$ cyxwiz {' '.join(arguments)}", style="bold"))
    with trio.fail_after(JOB_TIMEOUT_S):
        done = await trio.run_process(
            _command("p2p.engine.cli", arguments), env=_environment(home), check=False, stdin=None
        )
    return done.returncode


async def _balances(network: local_network.LocalNetwork, node: Wallet) -> Balances:
    async with EscrowClient(network.chain, SYSTEM_CLOCK) as chain:
        fee_owner = (await chain.config()).fee_owner
        return Balances(
            buyer=await chain.balance(network.buyer, ASSET),
            buyer_wallet=await chain.wallet_balance(network.buyer, ASSET),
            node=await chain.balance(node, ASSET),
            fees=await chain.balance(fee_owner, ASSET),
        )


def _table(job: dict[str, Any], before: Balances, after: Balances) -> None:
    def row(name: str, units: int, old: int | None = None, new: int | None = None) -> list[str]:
        cells = [name, format_amount(units, ASSET)]
        for value in (old, new):
            cells.append("" if value is None else format_amount(value, ASSET))
        return cells

    _say("")
    cli.print_table(
        ("", ">amount", ">on chain before", ">on chain after"),
        [
            row("estimate (held in escrow)", job["deposit_units"]),
            row(f"used ({job['used_seconds']} s)", job["used_units"]),
            row("to the node (90 %)", job["node_units"], before.node, after.node),
            row("to the platform (10 %)", job["fee_units"], before.fees, after.fees),
            row("back to the buyer", job["refund_units"], before.buyer, after.buyer),
        ],
        "",
    )


def _check(job: dict[str, Any], before: Balances, after: Balances) -> None:
    """Every amount printed is one that moved on chain.

    :raises JobFailed: names the first that is not.
    """
    used, fee = job["used_units"], job["used_units"] * job["fee_bps"] // 10_000
    expected = {
        "the node's share": (job["node_units"], used - fee, after.node - before.node),
        "the platform's share": (job["fee_units"], fee, after.fees - before.fees),
        "the buyer's cost": (job["deposit_units"] - job["refund_units"], used, before.buyer - after.buyer),
    }
    for name, (said, rule, moved) in expected.items():
        if not said == rule == moved:
            raise JobFailed(
                "money_differs",
                f"{name}: said {said}, by the rule {rule}, moved on chain {moved} base units.",
                "The demo shows that money is exact, and it was not.",
            )
    if before.buyer_wallet != after.buyer_wallet:
        raise JobFailed("money_differs", "The buyer's own token account changed while the job ran.")


def main() -> None:
    """Entry point of ``python -m p2p.engine.demo``."""
    # Being stopped or losing the terminal takes the network down as Ctrl-C does.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    cli.main(demo, "make demo")


if __name__ == "__main__":
    main()
