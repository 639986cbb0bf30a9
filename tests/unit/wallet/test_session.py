"""The conversation with a page, at its edges: closed while it sends, out of time, half done."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from solders.hash import Hash

from p2p.chain.addresses import Addresses
from p2p.chain.browser.request import PreparedTransaction, SignTransactions
from p2p.chain.browser.session import PageSession, Said
from p2p.chain.errors import ProgramRefused
from p2p.chain.instructions import Builder
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.transaction import Recent, SignedTransaction, build_message
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.ids import Wallet
from p2p.core.limits import PAGE_STEP_TIMEOUT_S
from p2p.core.money import Asset

OWNER = Signer.generate()
BUILD = Builder(Addresses(to_pubkey(Signer.generate().address), to_pubkey(Signer.generate().address)))
Send = Callable[[SignedTransaction], Awaitable[object]]


def request(send: Send | None, count: int = 1) -> SignTransactions:
    async def build(wallet: Wallet) -> list[PreparedTransaction]:
        recent = Recent(Hash.new_unique(), 9)
        deposits = (BUILD.deposit(wallet, Asset.SOL, units + 1) for units in range(count))
        return [PreparedTransaction(build_message([each], wallet, recent), 9, ()) for each in deposits]

    return SignTransactions("localnet", "A test", build, send)


class Page:
    """The page's side, with a wallet that signs everything."""

    def __init__(self, *requests: SignTransactions) -> None:
        self.session = PageSession(requests, "127.0.0.1:1")
        self.key = ""

    async def say(self, call: str, **body: object) -> Said:
        return await self.session.say(call, self.key, body)

    async def sign(self) -> Said:
        if not self.key:
            self.key = str((await self.session.say("claim", self.session.token, {})).body["key"])
        prepared = await self.say("prepare", address=OWNER.address)
        wires = prepared.body["transactions"]
        assert isinstance(wires, list)
        signed = []
        for wire in map(base64.b64decode, wires):
            signed.append(base64.b64encode(b"\1" + OWNER.sign(wire[65:]) + wire[65:]).decode())
        return await self.say("signed", address=OWNER.address, transactions=signed)


def failing(*errors: CyxWizError | None) -> Send:
    left = list(errors)

    async def send(_transaction: SignedTransaction) -> None:
        error = left.pop(0)
        if error is not None:
            raise error

    return send


REFUSED = ProgramRefused(6011, "insufficient_balance")
EXPIRED = EnvironmentFailure("transaction_expired", "Too late.")
PENDING = EnvironmentFailure("transaction_pending", "Who knows.")


@pytest.mark.parametrize("error", [REFUSED, EXPIRED])
async def test_what_has_not_landed_can_be_signed_anew(error: CyxWizError) -> None:
    page = Page(request(failing(error, None)))
    said = await page.sign()
    assert (said.status, said.last) == (422, False)
    assert (await page.sign()).last
    assert page.session.failure is None
    assert len(page.session.answers) == 1


@pytest.mark.parametrize("errors", [(PENDING,), (None, REFUSED), (None, EXPIRED)])
async def test_what_may_have_landed_ends_the_conversation(errors: tuple[CyxWizError | None, ...]) -> None:
    page = Page(request(failing(*errors), count=2))
    said = await page.sign()
    assert said.last
    assert said.body["error"]["final"] is True  # type: ignore[index]
    assert page.session.failure is errors[-1]
    assert (await page.say("prepare", address=OWNER.address)).status == 410


async def test_signatures_are_taken_once() -> None:
    sent: list[SignedTransaction] = []

    async def send(transaction: SignedTransaction) -> None:
        sent.append(transaction)

    page = Page(request(send), request(send))
    assert (await page.sign()).status == 200
    wire = base64.b64encode(sent[0].raw).decode()
    again = await page.say("signed", address=OWNER.address, transactions=[wire])
    assert again.status == 422
    await page.say("prepare", address=OWNER.address)
    again = await page.say("signed", address=OWNER.address, transactions=[wire])
    assert (again.status, again.body["error"]["code"]) == (422, "other_transaction")  # type: ignore[index]
    assert len(sent) == 1


async def test_the_account_of_the_first_request_answers_all() -> None:
    page = Page(request(None), request(None))
    await page.sign()
    said = await page.say("prepare", address=Signer.generate().address)
    assert said.body["error"]["code"] == "wrong_account"  # type: ignore[index]


async def test_a_page_closed_while_it_sends_still_gets_its_answer() -> None:
    go_on, sending = trio.Event(), trio.Event()

    async def send(_transaction: SignedTransaction) -> None:
        sending.set()
        await go_on.wait()

    page = Page(request(send))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(page.sign)
        await sending.wait()
        assert (await page.say("cancel")).status == 409
        assert (await page.say("leave")).status == 409
        assert (await page.say("prepare", address=OWNER.address)).status == 409
        go_on.set()
    assert page.session.over
    assert page.session.failure is None
    assert len(page.session.answers) == 1


async def test_a_page_closed_while_it_sends_in_vain_is_over() -> None:
    go_on, sending = trio.Event(), trio.Event()

    async def send(_transaction: SignedTransaction) -> None:
        sending.set()
        await go_on.wait()
        raise EXPIRED

    page = Page(request(send))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(page.sign)
        await sending.wait()
        await page.say("leave")
        go_on.set()
    assert page.session.failure is EXPIRED


async def test_time_that_runs_out_while_it_sends_waits_for_the_outcome() -> None:
    go_on, sending = trio.Event(), trio.Event()

    async def send(_transaction: SignedTransaction) -> None:
        sending.set()
        await go_on.wait()

    page = Page(request(send))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(page.sign)
        await sending.wait()
        nursery.start_soon(page.session.expire)
        await trio.testing.wait_all_tasks_blocked()
        assert not page.session.over
        go_on.set()
    assert page.session.failure is None
    assert len(page.session.answers) == 1


async def test_a_chain_that_never_answers_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async def send(_transaction: SignedTransaction) -> None:
        await trio.sleep_forever()

    page = Page(request(send))
    said = await page.sign()
    assert trio.current_time() >= PAGE_STEP_TIMEOUT_S
    assert page.session.failure is not None
    assert (said.last, page.session.failure.code) == (True, "wallet_step_timeout")


async def test_what_was_last_refused_is_what_the_command_says() -> None:
    page = Page(request(failing(REFUSED)))
    await page.sign()
    await page.say("cancel")
    assert page.session.failure is REFUSED
