"""``cyxwiz-node`` and the wallet that it is paid to: of its own, in the browser, in a keystore."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio

from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import load_keypair
from p2p.chain.keystore import Keystore
from p2p.chain.secret import Secret
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.limits import WALLET_FEE_LAMPORTS
from p2p.core.money import Asset
from p2p.local.platform import is_locked
from p2p.node.settings import load_settings, save_settings, settings_path

pytestmark = pytest.mark.process
Browser, Person = Any, Any  # of conftest.py

PHRASE = "correct horse battery"


@asynccontextmanager
async def running(seller: Person) -> AsyncIterator[None]:
    """The agent as a process, registered with the coordinator."""
    with (seller.home.node.folder / "agent.log").open("ab") as log:
        agent = await trio.lowlevel.open_process(
            seller.command("run"), env=seller.variables(), stdout=log, stderr=log
        )
    try:
        await registered(seller)
        yield
        assert (await seller.run("stop")).code == 0
        with trio.fail_after(60):
            assert await agent.wait() == 0
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.wait()


async def registered(seller: Person) -> Any:
    with trio.fail_after(60):
        while True:
            if is_locked(seller.home.node.lock):
                done = await seller.run("status", "--json")
                if done.code == 0 and done.json["registered"]:
                    return done.json
            await trio.sleep(0.1)


async def check(seller: Person) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads((await seller.run("check", "--json")).stdout)}


async def test_the_nodes_own_wallet_is_emptied_by_the_command_alone(
    seller: Person, chain: EscrowClient
) -> None:
    empty = seller("balance", "--json").json
    assert [entry["escrow_units"] for entry in empty["assets"]] == [0, 0]
    signer = load_keypair(seller.home.node.folder / "wallet.json")
    assert empty["wallet"] == signer.address
    nothing = seller("withdraw", "--all", "--yes")
    assert nothing.code == 4
    assert "cyxwiz-node earnings" in nothing.stderr

    url = seller.config.rpc_urls[0]
    await faucet(url, signer.address, Asset.SOL, WALLET_FEE_LAMPORTS)
    await faucet(url, signer.address, Asset.USDC, 3_000_000)
    await chain.deposit(signer, Asset.USDC, 3_000_000)
    poor = seller("withdraw", "1", "--yes")
    assert poor.code == 4
    assert f"to {signer.address}: fees on Solana are always paid in SOL." in poor.stderr
    assert len(poor.stderr.strip().splitlines()) == 3

    await faucet(url, signer.address, Asset.SOL, 10**9)
    await chain.deposit(signer, Asset.SOL, 200_000_000)
    assert seller("withdraw", "1").code == 2  # nobody to ask
    assert await chain.balance(signer.address, Asset.USDC) == 3_000_000
    (part,) = seller("withdraw", "1.5", "--yes", "--json").json["withdrawn"]
    assert (part["asset"], part["units"], part["explorer"]) == ("usdc", 1_500_000, None)
    assert part["signature"]
    assert seller("withdraw", "2", "--yes").code == 4
    rest = seller("withdraw", "--all", "--yes", "--json").json
    assert {each["asset"]: each["units"] for each in rest["withdrawn"]} == {
        "sol": 200_000_000,
        "usdc": 1_500_000,
    }
    assert [entry["escrow_units"] for entry in rest["assets"]] == [0, 0]
    assert await chain.wallet_balance(signer.address, Asset.USDC) == 3_000_000
    for wrong in ((), ("1", "--all"), ("x",), ("--all", "--asset", "eth")):
        assert seller("withdraw", *wrong, "--yes").code == 2
    shown = seller("balance").stdout
    assert "in escrow" in shown


async def test_a_wallet_in_the_browser_is_paid_and_never_asked_by_the_node(
    seller: Person, browser: Browser, chain: EscrowClient
) -> None:
    await browser.serve(seller)
    own = seller("balance", "--json").json["wallet"]
    wallet = seller.signer.address

    async def log_in() -> None:
        await browser.arrive()
        await browser.see("Log in to CyxWiz as a seller")
        await browser.click("Test Wallet")
        shown = await browser.see("This moves no money")
        assert "Log in to CyxWiz as node" in shown
        await browser.sign()
        await browser.see("The node is paid to this wallet")

    done = await seller.at_the_page(log_in, "login")  # while no agent runs
    assert done.code == 0, done.stderr
    assert f"This node is paid to {wallet} from now on." in done.stdout
    assert f"withdraw --all --keypair {seller.home.node.folder / 'wallet.json'}" in done.stdout
    assert own in done.stdout

    async with running(seller):
        status = await registered(seller)
        assert status["wallet"] == wallet
        assert (status["payout"]["kind"], status["payout"]["login"]) == ("browser", "good")
        assert status["payout"]["login_ends_at_s"] > SYSTEM_CLOCK.now_s() + 29 * 86400
        assert "lasts until" in (await seller.run("status")).stdout
        assert (await seller.run("earnings")).stdout.strip() == "Nothing earned yet."
        row = (await check(seller))["wallet"]
        assert row["ok"]
        assert wallet in row["found"]

        # Another wallet, while the agent runs: it is taken up at once.
        found = (await seller.run("login", "--keypair", str(seller.keypair_file), "--json")).json
        assert (found["wallet"], found["before"]["wallet"], found["kind"]) == (wallet, wallet, "keypair")
        assert (await registered(seller))["payout"]["login"] is None
        done = await seller.at_the_page(log_in, "login", "--browser", "--json")
        assert done.json["before"]["file"] == str(seller.keypair_file)
        assert (await registered(seller))["payout"]["kind"] == "browser"

    await chain.deposit(seller.signer, Asset.USDC, 2_000_000)

    async def withdraw() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.see("Withdraw 1.25 USDC")
        await browser.sign()
        await browser.see("1.25 USDC withdrawn")

    found = (await seller.at_the_page(withdraw, "withdraw", "1.25", "--json")).json
    assert found["withdrawn"][0]["units"] == 1_250_000
    assert await chain.balance(wallet, Asset.USDC) == 750_000

    async def decline() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.click("Cancel")
        await browser.see("Cancelled")

    done = await seller.at_the_page(decline, "withdraw", "--all")
    assert done.code == 4
    assert len(done.stderr.strip().splitlines()) == 3
    too_much = seller("withdraw", "5")
    assert too_much.code == 4
    assert not browser.page.exists()  # what cannot be is said before a page is opened


async def test_a_keystore_is_paid_and_asked_for_its_password(seller: Person, chain: EscrowClient) -> None:
    file = seller.home.root.parent / "seller.keystore"
    Keystore(file).import_keypair(seller.keypair_file, Secret(PHRASE))
    done = seller("login", "--keystore", str(file), "--json", secrets=(PHRASE,))
    assert (done.json["kind"], done.json["file"]) == ("keystore", str(file))
    async with running(seller):
        assert (await registered(seller))["wallet"] == seller.signer.address
    await chain.deposit(seller.signer, Asset.USDC, 1_000_000)
    wrong = seller("withdraw", "--all", "--yes", secrets=("wrong password",))
    assert wrong.code != 0
    found = seller("withdraw", "--all", "--yes", "--json", secrets=(PHRASE,)).json
    assert found["withdrawn"][0]["units"] == 1_000_000
    assert PHRASE not in (seller.home.node.folder / "agent.log").read_text()


async def test_a_login_that_has_ended_is_said_everywhere_and_ends_nothing_else(
    seller: Person, browser: Browser
) -> None:
    await browser.serve(seller)

    async def log_in() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.sign()
        await browser.see("The node is paid to this wallet")

    await seller.at_the_page(log_in, "login")
    path = settings_path(seller.home.node.folder)
    save_settings(path, replace(load_settings(path), login_ends_at_s=SYSTEM_CLOCK.now_s() - 60))
    row = (await check(seller))["wallet"]
    assert (row["ok"], row["required"], row["fix"]) == (False, True, "cyxwiz-node login --browser")
    async with running(seller):
        shown = (await seller.run("status")).stdout
        assert "Jobs that run go on and are paid to it; no new ones come." in shown
        assert "To log in: cyxwiz-node login --browser" in shown
        await seller.at_the_page(log_in, "login")
        assert "To log in" not in (await seller.run("status")).stdout
    log = (seller.home.node.folder / "agent.log").read_text()
    assert log.count("To log in: cyxwiz-node login --browser") == 1
