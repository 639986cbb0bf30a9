"""An operator's actions on the wallet page: taking an office over, a wrong wallet, a no, and a yes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from p2p.chain import administration
from p2p.chain.administration import Wanted
from p2p.chain.browser import answer_with
from p2p.chain.deploy import FEE_BPS
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import Role
from p2p.testing.browser import open_tab

pytestmark = pytest.mark.process
Station, Browser, Person = Any, Any, Any  # of conftest.py


@pytest.fixture
async def successor(station: Station, person: Person, chain: EscrowClient) -> AsyncIterator[Person]:
    """Whom the admin of the chain, which is shared with other tests, proposes; in the end he is it again."""
    admin = station.localnet.keys.admin
    person.program = "coordinator.cli"
    proposal = await administration.propose(chain, Role.ADMIN, person.signer.address)
    await answer_with(admin, [proposal.request])
    yield person
    config, mine = await chain.config(), person.signer
    if config.admin == mine.address:
        if config.fee_bps != FEE_BPS:
            restored = await administration.change_settings(chain, Wanted(fee_bps=FEE_BPS))
            await answer_with(mine, [restored.request])
        await answer_with(mine, [(await administration.propose(chain, Role.ADMIN, admin.address)).request])
        await answer_with(admin, [(await administration.accept(chain, Role.ADMIN)).request])


async def test_an_operator_signs_on_the_page(
    successor: Person, browser: Browser, chain: EscrowClient, debugger: str
) -> None:
    me = successor.signer.address
    await browser.serve(successor)

    async def take_over() -> None:
        await browser.arrive()
        await browser.click("Test Wallet")
        await browser.see("Take over as admin")
        shown = await browser.see("Take over the office of the admin of the escrow program")
        assert me in shown
        await browser.sign()
        await browser.see("You are the admin")

    done = await at_the_page(successor, take_over, "escrow", "accept", "admin")
    assert done.code == 0, done.stderr
    assert f"→ {me}" in done.stderr
    assert (await chain.config()).admin == me

    async with open_tab(debugger, type(browser)) as other:
        await other.serve(successor, seed=successor.seed + 1)

        async def wrong_wallet() -> None:
            await other.arrive()
            await other.click("Test Wallet")
            assert f"This needs {me}" in await other.see("uses another account")
            await other.click("Cancel")
            await other.see("Cancelled")

        done = await at_the_page(successor, wrong_wallet, "escrow", "set", "--fee", "9")
    assert done.code == 4, done.stderr
    assert (await chain.config()).fee_bps == FEE_BPS

    async with open_tab(debugger, type(browser)) as unwilling:
        await unwilling.serve(successor, deny=["signTransaction"])

        async def no_then_yes() -> None:
            await unwilling.arrive()
            await unwilling.click("Test Wallet")
            shown = await unwilling.see("Change the escrow program's settings for new jobs")
            assert "9 %" in shown
            assert "1 d" in shown
            await unwilling.sign()
            await unwilling.see("declined")
            assert (await chain.config()).fee_bps == FEE_BPS
            await unwilling.sign()
            await unwilling.see("The settings are changed")

        done = await at_the_page(successor, no_then_yes, "escrow", "set", "--fee", "9")
    assert done.code == 0, done.stderr
    assert "Fee of new jobs: 10 % → 9 %" in done.stderr
    assert (await chain.config()).fee_bps == 900


async def at_the_page(person: Person, drive: Any, *arguments: str) -> Any:
    with trio.fail_after(120):
        return await person.at_the_page(drive, *arguments)
