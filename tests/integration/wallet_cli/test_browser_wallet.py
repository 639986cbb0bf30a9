"""A wallet in the browser, from login to withdrawal, by the commands and the page that they open."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.chain.escrow import EscrowClient
from p2p.core.ids import JobId, new_job_id
from p2p.core.limits import SESSION_FUND_LAMPORTS
from p2p.core.money import Asset
from p2p.testing.browser import open_tab

pytestmark = pytest.mark.process
Station, Browser, Person = Any, Any, Any  # of conftest.py


async def test_one_page_logs_in_and_authorises_the_session_keys(
    person: Person, browser: Browser, chain: EscrowClient
) -> None:
    await browser.serve(person)
    wallet = person.signer.address
    await chain.deposit(person.signer, Asset.USDC, 3_000_000)
    await chain.deposit(person.signer, Asset.SOL, 200_000_000)

    async def drive() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        shown = await browser.see("This moves no money")
        assert "Log in to CyxWiz as engine" in shown
        assert "/login" in shown
        await browser.sign()
        await browser.see("Let this computer spend up to 0.2 SOL and 3 USDC")
        shown = await browser.see("Send 0.05 SOL to that session key")
        assert shown.count("It can withdraw nothing.") == 2
        await browser.sign()
        await browser.see("This computer can pay for jobs")

    done = await person.at_the_page(drive, "login", "--json")
    found = done.json
    assert (found["wallet"], found["cluster"]) == (wallet, "localnet")
    assert found["expires_at_s"] > 0
    spend = {entry["asset"]: entry["session"]["remaining_units"] for entry in found["assets"]}
    assert spend == {"sol": 200_000_000, "usdc": 3_000_000}
    for entry in found["assets"]:
        assert await chain.wallet_balance(entry["session"]["key"], Asset.SOL) == SESSION_FUND_LAMPORTS
    shown = person("agent", "status", "--json").json
    assert shown["wallet"] == wallet


async def test_money_goes_in_and_out_by_the_page(
    person: Person, browser: Browser, chain: EscrowClient
) -> None:
    await browser.serve(person)

    async def log_in() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.sign()
        await browser.see("You are logged in")  # and nothing else is asked: there is nothing to spend

    assert (await person.at_the_page(log_in, "login")).code == 0

    async def deposit() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.see("Deposit 2.5 USDC")
        shown = await browser.see("Let a session key on this computer spend up to 2.5 USDC")
        assert person.signer.address in shown
        await browser.sign()
        await browser.see("2.5 USDC deposited")

    done = await person.at_the_page(deposit, "wallet", "deposit", "2.5", "--json")
    usdc = done.json["assets"][1]
    assert (usdc["escrow_units"], usdc["session"]["remaining_units"]) == (2_500_000, 2_500_000)

    async def decline() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.see("Withdraw 1 USDC")
        await browser.click("Cancel")
        await browser.see("Cancelled")

    done = await person.at_the_page(decline, "wallet", "withdraw", "1")
    assert done.code == 4
    assert "You cancelled on the wallet page." in done.stderr
    assert len(done.stderr.strip().splitlines()) == 3

    async def withdraw() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.see("Withdraw 2.5 USDC")
        await browser.sign()
        await browser.see("2.5 USDC withdrawn")

    found = (await person.at_the_page(withdraw, "wallet", "withdraw", "all", "--json")).json
    assert found["units"] == 2_500_000
    assert await chain.balance(person.signer.address, Asset.USDC) == 0
    too_much = person("wallet", "withdraw", "1")
    assert (too_much.code, too_much.stderr.splitlines()[0]) == (
        4,
        "error: Your escrow balance is 0.000000 USDC.",
    )
    assert not browser.page.exists()  # what cannot be is said before a page is opened
    too_dear = person("wallet", "deposit", "1000")
    assert too_dear.code == 4
    assert "Send 990.000000 USDC to it, or deposit less." in too_dear.stderr
    assert not browser.page.exists()


async def test_another_account_than_the_one_logged_in_signs_nothing(
    person: Person, browser: Browser, debugger: str
) -> None:
    await browser.serve(person)

    async def log_in() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.sign()
        await browser.see("You are logged in")

    await person.at_the_page(log_in, "login")
    async with open_tab(debugger, type(browser)) as elsewhere:
        await elsewhere.serve(person, 251)

        async def other() -> None:
            await elsewhere.arrive()
            await elsewhere.click("Test Wallet")
            assert person.signer.address in await elsewhere.see("uses another account")
            await elsewhere.click("Cancel")

        done = await person.at_the_page(other, "wallet", "deposit", "1")
    assert done.code == 4
    assert "You cancelled on the wallet page." in done.stderr
    assert "Nothing was signed, and no money moved." in done.stderr


async def test_without_a_browser_or_terminal_it_says_what_to_do(person: Person) -> None:
    person.environment["BROWSER"] = "/bin/false"
    done = person("login")
    assert done.code == 3
    assert "No web browser could be opened" in done.stderr
    assert "--keystore" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 3
    assert "#" not in done.stdout + done.stderr  # the address is for a terminal only
    assert "http://127.0.0.1" not in person.home.engine.log.read_text()


async def test_a_deposit_is_taken_back_by_the_page_alone(
    person: Person, browser: Browser, chain: EscrowClient
) -> None:
    await browser.serve(person)
    await chain.deposit(person.signer, Asset.USDC, 1_000_000)
    job_id: JobId = new_job_id()
    opening = await chain.prepare_open(
        person.signer, person.signer.address, job_id, Asset.USDC, 700_000, bytes(32), 7200
    )
    await chain.send_and_confirm(opening)
    balance = await chain.balance(person.signer.address, Asset.USDC)

    async def drive() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.see(f"Take back the deposit of job {job_id[:6]}")
        await browser.sign()
        await browser.see("The deposit is in your escrow balance again")

    found = (await person.at_the_page(drive, "wallet", "reclaim", job_id[:6], "--browser", "--json")).json
    assert (found["job_id"], found["units"], found["asset"]) == (job_id, 700_000, "usdc")
    assert await chain.balance(person.signer.address, Asset.USDC) == balance + 700_000
    assert not person.home.engine.lock.exists()  # no agent was needed
