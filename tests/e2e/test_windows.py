"""Both windows on a real network, used as people use them, from the first start to the pay; agents are
killed meanwhile."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import trio
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

import engine_gui.app
import node_gui.app
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode, theme
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import create_keypair, load_keypair
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import Wallet
from p2p.core.money import Asset, fee_of, format_amount
from p2p.core.paths import AgentPaths, Home
from p2p.engine.client import EngineClient
from p2p.local.platform import ask_to_stop, is_locked, kill, lock_owner
from tests.e2e.person import Person

pytestmark = [pytest.mark.process, pytest.mark.docker]

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
RUN_S = 180.0  # on a machine that does other things as well
WALLET = "my wallet.json"
DEPOSIT_UNITS = 20_000_000
AWAY, BACK = "The agent is away; looking for it.", "Connected again. Nothing was lost."
Make = Callable[[Home, Preferences], Frame]
Open = Callable[[str, Home, Make], Person]


@pytest.fixture
def buyer() -> Iterator[Home]:
    """The computer of somebody who has heard of the network just now, and has a wallet's file."""
    folder = Path(tempfile.mkdtemp(prefix="cyxwiz-buyer-"))
    create_keypair(folder / WALLET)
    home = Home(folder)
    yield home
    if is_locked(home.engine.lock) and (pid := lock_owner(home.engine.lock)) is not None:
        ask_to_stop(pid)
        trio.run(_wait_until_gone, home.engine)
    shutil.rmtree(folder)


@pytest.fixture
def open_window(qapp: QApplication, qtbot: QtBot, tmp_path: Path) -> Iterator[Open]:
    theme().install(qapp, Mode.LIGHT)
    opened: list[Frame] = []

    def open_it(name: str, home: Home, make: Make) -> Person:
        frame = make(home, Preferences(tmp_path / f"{name}.ini"))
        opened.append(frame)
        qtbot.addWidget(frame)
        frame.show()
        qtbot.waitExposed(frame)
        return Person(name, frame, qtbot, tmp_path)

    yield open_it
    for frame in opened:
        frame.close()


async def _wait_until_gone(paths: AgentPaths) -> None:
    with trio.fail_after(30):
        while is_locked(paths.lock):
            await trio.sleep(0.05)


def kill9(paths: AgentPaths) -> None:
    pid = lock_owner(paths.lock)
    assert pid is not None
    assert is_locked(paths.lock)
    kill(pid)


async def balance(network: Any, wallet: Wallet) -> int:
    """In escrow, on the chain."""
    async with EscrowClient(network.up.chain, SYSTEM_CLOCK) as chain:
        return await chain.balance(wallet, Asset.USDC)


def test_a_buyer_and_a_seller_meet_in_their_windows(
    network: Any, buyer: Home, open_window: Open, tmp_path: Path
) -> None:
    node_wallet = load_keypair(network.home.node.folder / "wallet.json").address
    seller = open_window("node", network.home, node_gui.app.make_window)
    set_up_node(seller)
    earned_before = trio.run(balance, network, node_wallet)
    seller.clicks("Off")
    seller.waits_for("Off: no jobs come, and nothing is earned.")
    person = open_window("engine", buyer, engine_gui.app.make_window)
    set_up(network, person, buyer)
    send_digits(person, seller, tmp_path / "out")
    watch(person, seller)
    kill_both_agents(person, seller, buyer, network.home)
    see_results(person, tmp_path / "out")
    job = trio.run(only_job, buyer)
    net, used = job["cost"]["node_units"], job["cost"]["used_units"]
    assert net == used - fee_of(used, job["fee_bps"]) > 0
    see_cost(person, job)
    see_pay(seller, job)
    total = paid_in_all(network)
    assert total >= net
    seller.waits_until(lambda: lifetime(seller) == total, f"{total} units on Home", RUN_S)
    assert trio.run(balance, network, node_wallet) - earned_before == net
    assert trio.run(balance, network, load_keypair(buyer.root / WALLET).address) == DEPOSIT_UNITS - used


def set_up_node(seller: Person) -> None:
    """What the machine needs is there, and it has a wallet of its own; the person only goes on."""
    seller.waits_for("Connected", "Everything that jobs need is here.")
    seller.look("0-set-up")
    for what in (
        "Earnings arrive in escrow",
        "Jobs below your price",
        "You can change that",
        "A node earns only",
    ):
        seller.clicks("Continue")
        seller.waits_for(what)
    seller.clicks("Skip for now")
    seller.waits_for("Earned, after the fee")


def set_up(network: Any, person: Person, buyer: Home) -> None:
    """From nothing to money in escrow."""
    person.waits_for("1 of 4 · Choose the network")
    person.look("1-network")
    person.picks_file("Choose the network's file…", network.home.config)
    person.waits_for("2 of 4 · Connect your wallet")
    person.clicks("A keypair file")
    person.types("File", str(buyer.root / WALLET))
    person.look("2-wallet")
    person.clicks("Connect")
    person.waits_for("3 of 4 · Put money into escrow")
    for symbol in ("SOL", "USDC"):
        person.clicks(f"Get test {symbol}")
    person.waits_for("1.000000000 SOL", "100.000000 USDC")
    person.types("Amount", "20")
    person.look("3-deposit")
    person.clicks("Deposit")
    person.waits_for("Deposit 20.000000 USDC?", "Available for jobs after it")
    person.clicks("Deposit")
    person.waits_for("4 of 4 · Run a sample job")
    person.clicks("Leave the first steps")
    person.waits_for("Available: 20.000000 USDC")


def send_digits(person: Person, seller: Person, out: Path) -> None:
    """By typing paths; nobody can run it until the seller is available."""
    person.clicks("New job")
    person.types("Script", str(DIGITS / "train.py"))
    person.types("Requirements (optional)", str(DIGITS / "requirements.txt"))
    person.types("Data (optional)", str(DIGITS / "data"))
    person.types("Name (optional)", "my digits")
    person.types("Time limit", "10 min")
    person.types("Results folder", str(out))
    person.waits_for("At most", "an hour × 10 min", "0 of 1 nodes can take it now.")
    person.look("4-nobody")
    seller.clicks("Available")
    seller.waits_for("Ready. The next job that fits comes by itself.")
    person.waits_for("1 of 1 nodes can take it now.", "None: a node is free.")
    person.look("5-cost")
    person.clicks("Review and send")
    person.waits_for("Send my digits?", "Left in escrow")
    person.look("6-review")
    person.clicks(next(word for word in person.reads().splitlines() if word.startswith("Lock ")))


def watch(person: Person, seller: Person) -> None:
    """While it runs."""
    person.waits_for("Cancel the job", "Running", seconds=RUN_S)
    seller.waits_for("One job runs on this machine.", "my digits")
    person.opens_tab("Logs")
    person.waits_until(lambda: "Epoch 2/20" in person.log(), "a line of the log", RUN_S)
    person.look("7-logs")
    seller.look("1-running")


def kill_both_agents(person: Person, seller: Person, buyer: Home, node: Home) -> None:
    """Both windows say so, bring them back, and go on."""
    for paths in (buyer.engine, node.node):
        kill9(paths)
    expected = {(who, words) for who in (person, seller) for words in (AWAY, BACK)}
    seen: set[tuple[Person, str]] = set()

    def look() -> bool:
        for who, words in expected - seen:
            if who.sees(words):
                who.look("8-away" if words == AWAY else "9-back")
                seen.add((who, words))
        return seen == expected

    person.waits_until(look, "both windows to lose and find their agents", RUN_S)
    person.opens_tab("Metrics")
    person.waits_until(lambda: min(map(len, person.plots()), default=0) > 2, "points of a plot", RUN_S)
    person.look("10-metrics")


def see_results(person: Person, out: Path) -> None:
    """Verified, listed, on the disk, and every line of the log once."""
    person.waits_for("Paid", "Verified", "Open the results", seconds=RUN_S)
    person.opens_tab("Files")
    person.waits_for("outputs/model.pt Verified")
    person.look("11-files")
    assert (out / "outputs" / "model.pt").stat().st_size > 100_000
    person.opens_tab("Logs")
    epochs = [line for line in person.log().splitlines() if line.startswith("Epoch ")]
    assert [line.split("/")[0] for line in epochs] == [f"Epoch {number}" for number in range(1, 21)]


def see_cost(person: Person, job: dict[str, Any]) -> None:
    """On the job's page, and what is left in the status bar."""
    cost, asset = job["cost"], Asset.USDC
    person.opens_tab("Costs")
    for name, units in (("You paid", "used"), ("Of it to the node", "node"), ("Came back to you", "refund")):
        person.waits_for(name, format_amount(cost[f"{units}_units"], asset))
    person.look("12-costs")
    person.clicks("Wallet")
    person.waits_for(format_amount(DEPOSIT_UNITS - cost["used_units"], asset))
    person.look("13-wallet")


def see_pay(seller: Person, job: dict[str, Any]) -> None:
    """The same amount, to the unit."""
    seller.clicks("Earnings")
    paid = format_amount(job["cost"]["node_units"], Asset.USDC)

    def is_paid() -> bool:
        rows = seller.table("Earned by job")
        return any((row[1], row[3], row[5]) == ("my digits", paid, "Paid") for row in rows)

    seller.waits_until(is_paid, f"{paid} for the job")
    seller.look("2-earnings")
    seller.clicks("Home")


def lifetime(seller: Person) -> int:
    """What Home says was earned in all."""
    return int(Decimal(seller.amount("Lifetime").removesuffix(" USDC")) * 10**Asset.USDC.decimals)


def paid_in_all(network: Any) -> int:
    """What `cyxwiz-node earnings` says of all jobs of this network, which other tests use as well."""
    entries = network.node_cli("earnings", "--limit", "1000", "--json").json
    return sum(e["net_units"] for e in entries if e["asset"] == "usdc" and e["pay"] == "paid")


async def only_job(home: Home) -> dict[str, Any]:
    (found,) = await EngineClient(home).call("jobs")
    shown: dict[str, Any] = await EngineClient(home).call("show", job=found["job_id"])
    return shown
