"""Signing in on the page, people who say no, and the page's token."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from solders.keypair import Keypair

from p2p.chain.browser import SignedIn, SignIn, ask_wallet_all
from p2p.chain.keys import verify
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import Wallet

Person = Any  # of conftest.py


def wallet_of(seed: int) -> Wallet:
    return Wallet(str(Keypair.from_seed(bytes([seed]) * 32).pubkey()))


FIRST, SECOND = wallet_of(5), wallet_of(6)


def login_text(wallet: Wallet, host: str, chain_id: str = "localnet") -> str:
    return "\n".join(
        (
            f"{host} wants you to sign in with your Solana account:",
            wallet,
            "",
            "Log in to CyxWiz as engine from peer 12D3KooWtest. This moves no money.",
            "",
            f"URI: http://{host}/login",
            "Version: 1",
            f"Chain ID: {chain_id}",
            "Nonce: 0123456789abcdef",
            "Issued At: 2026-11-23T10:00:00Z",
            "Expiration Time: 2026-11-23T10:05:00Z",
        )
    )


async def text_of(wallet: Wallet, host: str) -> str:
    return login_text(wallet, host)


def sign_in(**changes: Any) -> SignIn:
    return SignIn(**{"cluster": "localnet", "text": text_of, **changes})


@pytest.mark.parametrize("without", [[], ["solana:signIn"]])
async def test_a_wallet_signs_in(tab: Person, without: list[str]) -> None:
    await tab.install(without=without)
    told: list[SignedIn] = []

    async def accept(answer: SignedIn) -> None:
        told.append(answer)

    async def person() -> None:
        await tab.pick()
        shown = await tab.see("This moves no money")
        assert "costs nothing" in shown
        assert FIRST in shown
        await tab.agree()
        await tab.see("You are logged in")

    (answer,) = await tab.answer(sign_in(accept=accept), person)
    assert isinstance(answer, SignedIn)
    assert answer.wallet == FIRST
    assert verify(FIRST, answer.text.encode(), answer.signature)
    assert told == [answer]
    used = "signMessage" if without else "signIn"
    assert await tab.calls() == f"connect,{used}"


async def test_what_the_coordinator_refuses_is_shown_and_can_be_tried_again(tab: Person) -> None:
    await tab.install()
    refusals = [Refused("login_expired", "The challenge has expired.", "You are not logged in.")]

    async def accept(_answer: SignedIn) -> None:
        if refusals:
            raise refusals.pop()

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        assert "You are not logged in." in await tab.see("The challenge has expired.")
        await tab.agree()
        await tab.see("You are logged in")

    (answer,) = await tab.answer(sign_in(accept=accept), person)
    assert answer.wallet == FIRST


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"signInText": {"nonce": "another"}}, "signed another text"),
        ({"signInText": {"domain": "elsewhere.example"}}, "signed another text"),
        ({"signsInWith": 1}, "needs the account"),
    ],
)
async def test_a_wallet_that_signs_something_else_is_not_believed(
    tab: Person, extra: dict[str, Any], words: str
) -> None:
    await tab.install(seeds=[5, 6], extra=extra)

    async def person() -> None:
        await tab.pick()
        await tab.click("Continue")
        await tab.agree()
        await tab.see(words)
        await tab.click("Cancel")
        await tab.see("Cancelled")

    error = await tab.refuses(sign_in(), person, "wrong_account" if "signsInWith" in extra else "other_text")
    assert error.hint


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{host} wants you to give everything away", "strange_challenge"),
        (login_text(SECOND, "{host}"), "strange_challenge"),
        (login_text(FIRST, "cyxwiz.example"), "strange_challenge"),
        (login_text(FIRST, "{host}").replace("URI: http://{host}", "URI: http://x"), "strange_challenge"),
        (login_text(FIRST, "{host}") + "\nSurprise: yes", "strange_challenge"),
        (login_text(FIRST, "{host}", "mainnet"), "other_chain"),
    ],
)
async def test_a_wallet_is_never_shown_what_is_no_login_here(tab: Person, text: str, code: str) -> None:
    await tab.install()

    async def strange(_wallet: Wallet, host: str) -> str:
        return text.replace("{host}", host)

    async def person() -> None:
        await tab.pick()
        await tab.see("Nothing was signed.")
        await tab.click("Cancel")

    await tab.refuses(sign_in(text=strange), person, code)
    assert await tab.calls() == "connect"


async def test_cancelling_ends_the_command(tab: Person) -> None:
    await tab.install(deny=["signIn"])

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        await tab.see("You declined")
        await tab.click("Cancel")
        assert "Nothing more was signed." in await tab.see("Cancelled")

    await tab.refuses(sign_in(), person, "wallet_declined")


async def test_closing_the_page_ends_the_command(tab: Person) -> None:
    await tab.install()

    async def person() -> None:
        await tab.see("Test Wallet")
        await tab.send("Page.navigate", url="about:blank")

    await tab.refuses(sign_in(), person, "wallet_declined")


async def test_nobody_there_is_a_timeout(tab: Person) -> None:
    await tab.install()

    async def person() -> None:
        await tab.see("Test Wallet")

    with pytest.raises(EnvironmentFailure) as caught:
        await tab.answer(sign_in(), person, timeout_s=1.0)
    assert caught.value.code == "wallet_timeout"
    await tab.pick()
    await tab.see("CyxWiz does not answer any more.")


async def test_no_wallet_names_two_that_can_be_had(tab: Person) -> None:
    await tab.install(chains=["sui:mainnet"])  # a wallet, but none for Solana

    async def person() -> None:
        shown = await tab.see("No Solana wallet was found in this browser.")
        assert "--keypair FILE" in shown
        assert "Test Wallet" not in shown
        links = await tab.evaluate("[...document.querySelectorAll('a')].map(a => a.href + a.rel).join()")
        assert links == (
            "https://phantom.com/downloadnoopener noreferrer,"
            "https://www.solflare.com/download/noopener noreferrer"
        )
        await tab.click("Cancel")

    await tab.refuses(sign_in(), person, "wallet_declined")


async def test_a_wallet_that_comes_late_appears(tab: Person) -> None:
    await tab.install(late=True)

    async def person() -> None:
        await tab.see("No Solana wallet")
        await tab.evaluate("testWallet['Test Wallet'].announce()")
        await tab.pick()
        await tab.agree()
        await tab.see("You are logged in")

    await tab.answer(sign_in(), person)


async def test_an_account_of_another_network_cannot_be_chosen(tab: Person) -> None:
    await tab.install(accountChains=["solana:mainnet"])

    async def person() -> None:
        await tab.pick()
        assert "Not on localnet." in await tab.see("has no account for localnet")
        await tab.click("Cancel")

    await tab.refuses(sign_in(), person, "wallet_declined")


async def test_the_wrong_account_is_named_and_the_right_one_can_be_switched_to(tab: Person) -> None:
    await tab.install(seeds=[5])

    async def person() -> None:
        await tab.pick()
        assert SECOND in await tab.see("uses another account")
        await tab.click("Cancel")

    await tab.refuses(sign_in(wallet=SECOND), person, "wallet_declined")


async def test_the_address_opens_the_page_once(tab: Person) -> None:
    await tab.install()

    async def person() -> None:
        await tab.see("Test Wallet")
        assert "#" not in await tab.evaluate("location.href + history.length * 0")
        (url,) = tab.urls
        target = await tab.evaluate(
            f"fetch('/api/claim', {{method: 'POST', headers: {{'content-type': 'application/json', "
            f"authorization: 'Bearer {url.partition('#')[2]}'}}, body: '{{}}'}}).then(r => r.status)"
        )
        assert target == 403
        await tab.pick()
        await tab.agree()
        await tab.see("You are logged in")

    await tab.answer(sign_in(), person)


async def test_a_page_without_its_token_cannot_be_used(tab: Person) -> None:
    """Nor does it take anything from the page that has it."""
    await tab.install()

    async def person() -> None:
        await tab.see("Test Wallet")
        (url,) = tab.urls
        stranger = url.partition("#")[0]
        for name in ("prepare", "signed", "cancel", "leave"):
            script = f"fetch('{stranger}api/{name}', {{method: 'POST', body: '{{}}', headers: " + (
                "{'content-type': 'application/json', authorization: 'Bearer guess'}}).then(r => r.status)"
            )
            assert await tab.evaluate(script) == 403
        await tab.pick()
        await tab.agree()
        await tab.see("You are logged in")
        await tab.open(stranger + "#" + "A" * 43)

    await tab.answer(sign_in(), person)


async def test_a_stale_address_says_so(tab: Person) -> None:
    def wrong_token(url: str) -> bool:
        return trio.from_thread.run(tab.open, url.partition("#")[0] + "#wrong")

    async with trio.open_nursery() as nursery:

        async def asking() -> None:
            with pytest.raises(EnvironmentFailure):
                await ask_wallet_all([sign_in()], wrong_token, 2.0)

        nursery.start_soon(asking)
        await tab.see("This page cannot be used")
        await tab.see("it opens a new page")


async def test_no_browser_says_what_to_do_instead() -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        await ask_wallet_all([sign_in()], lambda url: False)
    assert caught.value.code == "no_browser"
    assert "--keypair" in caught.value.hint
