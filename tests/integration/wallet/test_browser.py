"""The wallet page in a real browser, with a wallet that signs and a chain that moves money."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
import trio
from solders.keypair import Keypair

from p2p.chain.browser import (
    SignedIn,
    SignedTransactions,
    SignIn,
    SignTransactions,
    WalletAnswer,
    WalletRequest,
    ask_wallet_all,
    authorize_request,
    deposit_request,
    transactions_request,
    withdraw_request,
)
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer, verify
from p2p.chain.transaction import SignedTransaction
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset

Tab = Any
Drive = Callable[[], Awaitable[object]]
TEST_S = 60.0


def wallet_of(seed: int) -> Wallet:
    return Wallet(str(Keypair.from_seed(bytes([seed]) * 32).pubkey()))


FIRST, SECOND = wallet_of(5), wallet_of(6)


@pytest.fixture
async def chain(chain_config: ChainConfig) -> AsyncIterator[EscrowClient]:
    async with EscrowClient(chain_config) as client:
        yield client


async def ask(
    tab: Tab, requests: WalletRequest | Sequence[WalletRequest], drive: Drive, timeout_s: float = TEST_S
) -> list[WalletAnswer]:
    """Ask, and meanwhile be the person in front of the page."""
    listed = [requests] if isinstance(requests, SignIn | SignTransactions) else list(requests)

    def open_browser(url: str) -> bool:
        return trio.from_thread.run(tab.open, url)

    found: list[list[WalletAnswer] | CyxWizError] = []
    with trio.fail_after(TEST_S):
        async with trio.open_nursery() as nursery:

            async def asking() -> None:
                try:
                    found.append(await ask_wallet_all(listed, open_browser, timeout_s))
                except* CyxWizError as group:
                    found.append(cast(CyxWizError, group.exceptions[0]))

            nursery.start_soon(asking)
            await drive()
    answer = found[0]
    if isinstance(answer, CyxWizError):
        raise answer
    return answer


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


async def pick(tab: Tab, name: str = "Test Wallet") -> None:
    await tab.click(name)


async def agree(tab: Tab, name: str = "Test Wallet") -> None:
    await tab.click(f"Sign with {name}")


async def refused(tab: Tab, request: WalletRequest, drive: Drive, code: str) -> CyxWizError:
    with pytest.raises(CyxWizError) as caught:
        await ask(tab, request, drive)
    assert caught.value.code == code
    return caught.value


# -- signing in


@pytest.mark.parametrize("without", [[], ["solana:signIn"]])
async def test_a_wallet_signs_in(tab: Tab, without: list[str]) -> None:
    await tab.install(without=without)
    told: list[SignedIn] = []

    async def accept(answer: SignedIn) -> None:
        told.append(answer)

    async def person() -> None:
        await pick(tab)
        shown = await tab.see("This moves no money")
        assert "costs nothing" in shown
        assert FIRST in shown
        await agree(tab)
        await tab.see("You are logged in")

    (answer,) = await ask(tab, sign_in(accept=accept), person)
    assert isinstance(answer, SignedIn)
    assert answer.wallet == FIRST
    assert verify(FIRST, answer.text.encode(), answer.signature)
    assert told == [answer]
    used = "signMessage" if without else "signIn"
    assert await tab.evaluate("testWallet['Test Wallet'].calls.join()") == f"connect,{used}"


async def test_what_the_coordinator_refuses_is_shown_and_can_be_tried_again(tab: Tab) -> None:
    await tab.install()
    refusals = [Refused("login_expired", "The challenge has expired.", "You are not logged in.")]

    async def accept(_answer: SignedIn) -> None:
        if refusals:
            raise refusals.pop()

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        assert "You are not logged in." in await tab.see("The challenge has expired.")
        await agree(tab)
        await tab.see("You are logged in")

    (answer,) = await ask(tab, sign_in(accept=accept), person)
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
    tab: Tab, extra: dict[str, Any], words: str
) -> None:
    await tab.install(seeds=[5, 6], extra=extra)

    async def person() -> None:
        await pick(tab)
        await tab.click("Continue")
        await agree(tab)
        await tab.see(words)
        await tab.click("Cancel")
        await tab.see("Cancelled")

    error = await refused(tab, sign_in(), person, "wrong_account" if "signsInWith" in extra else "other_text")
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
async def test_a_wallet_is_never_shown_a_text_that_is_no_login_here(tab: Tab, text: str, code: str) -> None:
    await tab.install()

    async def strange(_wallet: Wallet, host: str) -> str:
        return text.replace("{host}", host)

    async def person() -> None:
        await pick(tab)
        await tab.see("Nothing was signed.")
        await tab.click("Cancel")

    await refused(tab, sign_in(text=strange), person, code)
    assert await tab.evaluate("testWallet['Test Wallet'].calls.join()") == "connect"


# -- money


async def test_deposit_session_key_and_withdrawal_on_one_page(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[21])
    wallet, session = wallet_of(21), Signer.generate()
    await faucet(chain.chain.rpc_urls[0], wallet, Asset.SOL, 10**9)
    await faucet(chain.chain.rpc_urls[0], wallet, Asset.USDC, 25_000_000)
    until_s = int(time.time()) + 30 * 24 * 3600
    requests = [
        deposit_request(chain, wallet, Asset.USDC, 25_000_000),
        authorize_request(chain, None, session.address, Asset.USDC, 20_000_000, until_s, 50_000_000),
        withdraw_request(chain, None, Asset.USDC, 5_000_000),
    ]

    async def person() -> None:
        await pick(tab)
        shown = await tab.see("Move 25 USDC from your wallet into your escrow balance.")
        assert "Test network: localnet" in shown
        assert wallet in shown
        await agree(tab)
        shown = await tab.see("It can withdraw nothing.")
        assert session.address in shown
        assert "Send 0.05 SOL to that session key" in shown
        await agree(tab)
        await tab.see("Move 5 USDC from your escrow balance back to your wallet.")
        await agree(tab)
        await tab.see("5 USDC withdrawn")

    answers = await ask(tab, requests, person)
    assert [answer.wallet for answer in answers] == [wallet] * 3
    assert await chain.balance(wallet, Asset.USDC) == 20_000_000
    assert await chain.wallet_balance(wallet, Asset.USDC) == 5_000_000
    assert await chain.wallet_balance(session.address, Asset.SOL) == 50_000_000
    on_chain = await chain.session(wallet, session.address)
    assert on_chain is not None
    assert (on_chain.remaining_units, on_chain.expires_at_s) == (20_000_000, until_s)
    chains = await tab.evaluate("testWallet['Test Wallet'].calls.filter(c => c.includes(':')).join()")
    assert chains == "solana:localnet,solana:localnet,solana:localnet"


async def funded(chain: EscrowClient, seed: int) -> Wallet:
    await faucet(chain.chain.rpc_urls[0], wallet_of(seed), Asset.SOL, 10**9)
    return wallet_of(seed)


async def test_several_accounts_and_the_one_that_was_chosen_signs(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[31, 32])
    chosen = await funded(chain, 32)

    async def person() -> None:
        await pick(tab)
        assert wallet_of(31) in await tab.see("Which account should sign?")
        await tab.click(chosen)
        await tab.click("Continue")
        await agree(tab)
        await tab.see("0.5 SOL deposited")

    (answer,) = await ask(tab, deposit_request(chain, None, Asset.SOL, 500_000_000), person)
    assert answer.wallet == chosen
    assert await chain.balance(chosen, Asset.SOL) == 500_000_000


async def test_the_expected_account_is_taken_among_several(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[31, 33])
    expected = await funded(chain, 33)

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        await tab.see("0.1 SOL deposited")

    (answer,) = await ask(tab, deposit_request(chain, expected, Asset.SOL, 100_000_000), person)
    assert answer.wallet == expected


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"flips": 0}, "other_transaction"),  # the last byte of the instruction: the amount
        ({"flips": 60}, "other_transaction"),  # an account, or the blockhash
        ({"signsWith": 1}, "bad_signature"),
        ({"zeros": True}, "bad_signature"),
    ],
)
async def test_a_wallet_that_changes_the_transaction_sends_nothing(
    tab: Tab, chain: EscrowClient, extra: dict[str, Any], code: str
) -> None:
    await tab.install(seeds=[41, 42], extra=extra)
    wallet = await funded(chain, 41)
    before = await chain.wallet_balance(wallet, Asset.SOL), await chain.balance(wallet, Asset.SOL)

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        await tab.see("no money moved")
        await tab.click("Cancel")

    await refused(tab, deposit_request(chain, wallet, Asset.SOL, 1000), person, code)
    assert before == (await chain.wallet_balance(wallet, Asset.SOL), await chain.balance(wallet, Asset.SOL))


async def test_what_the_chain_refuses_is_shown_and_told(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[43])
    wallet = await funded(chain, 43)

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        await tab.see("No money moved.")
        await tab.click("Cancel")

    with pytest.raises(Refused) as caught:
        await ask(tab, withdraw_request(chain, wallet, Asset.SOL, 10**9), person)
    assert caught.value.code != "wallet_declined"


async def test_a_transaction_whose_fate_is_unknown_ends_the_page(tab: Tab, chain: EscrowClient) -> None:
    """Nothing may be signed again until it is known."""
    await tab.install(seeds=[44])
    wallet = await funded(chain, 44)

    async def send(_transaction: SignedTransaction) -> None:
        raise EnvironmentFailure("transaction_pending", "It was not confirmed.", "It may still land.")

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        assert "Sign with" not in await tab.see("It may still land.")

    request = deposit_request(chain, wallet, Asset.SOL, 1000, send=send)
    await refused(tab, request, person, "transaction_pending")


async def test_signed_bytes_come_before_they_are_sent(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[45])
    wallet, kept = await funded(chain, 45), []

    async def send(transaction: SignedTransaction) -> None:
        kept.append(transaction)

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        await tab.see("deposited")

    (answer,) = await ask(tab, deposit_request(chain, wallet, Asset.SOL, 1000, send=send), person)
    assert isinstance(answer, SignedTransactions)
    assert list(answer.transactions) == kept
    assert await chain.balance(wallet, Asset.SOL) == 0
    await chain.send_and_confirm(kept[0])
    assert await chain.balance(wallet, Asset.SOL) == 1000


async def test_words_that_change_while_they_are_read_are_shown_again(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[46])
    wallet = await funded(chain, 46)
    amounts = [1_000_000_000, 1_000_000, 1_000_000]

    async def make(signer: Wallet) -> list[Any]:
        return [chain.build.deposit(signer, Asset.SOL, amounts.pop(0))]

    async def person() -> None:
        await pick(tab)
        await tab.see("Move 1 SOL")
        await agree(tab)
        assert "Move 0.001 SOL" in await tab.see("It has changed while you looked at it.")
        assert await tab.evaluate("testWallet['Test Wallet'].calls.join()") == "connect"
        await agree(tab)
        await tab.see("Done")

    await ask(tab, transactions_request(chain, "A deposit", make, wallet=wallet), person)
    assert await chain.balance(wallet, Asset.SOL) == 1_000_000


# -- people and wallets that say no


@pytest.mark.parametrize("step", ["connect", "signTransaction"])
async def test_declining_in_the_wallet_can_be_reconsidered(tab: Tab, chain: EscrowClient, step: str) -> None:
    await tab.install(seeds=[51], deny=[step])
    wallet = await funded(chain, 51)

    async def person() -> None:
        await pick(tab)
        if step == "signTransaction":
            await agree(tab)
        assert "Nothing was signed" in await tab.see("You declined in Test Wallet.")
        if step == "connect":
            await pick(tab)
        await agree(tab)
        await tab.see("deposited")

    await ask(tab, deposit_request(chain, wallet, Asset.SOL, 1000), person)


async def test_cancelling_ends_the_command(tab: Tab) -> None:
    await tab.install(deny=["signIn"])

    async def person() -> None:
        await pick(tab)
        await agree(tab)
        await tab.see("You declined")
        await tab.click("Cancel")
        assert "Nothing more was signed." in await tab.see("Cancelled")

    await refused(tab, sign_in(), person, "wallet_declined")


async def test_closing_the_page_ends_the_command(tab: Tab) -> None:
    await tab.install()

    async def person() -> None:
        await tab.see("Test Wallet")
        await tab.send("Page.navigate", url="about:blank")

    await refused(tab, sign_in(), person, "wallet_declined")


async def test_nobody_there_is_a_timeout(tab: Tab) -> None:
    await tab.install()

    async def person() -> None:
        await tab.see("Test Wallet")

    with pytest.raises(EnvironmentFailure) as caught:
        await ask(tab, sign_in(), person, timeout_s=1.0)
    assert caught.value.code == "wallet_timeout"
    await pick(tab)
    await tab.see("CyxWiz does not answer any more.")


async def test_no_wallet_names_two_that_can_be_had(tab: Tab) -> None:
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

    await refused(tab, sign_in(), person, "wallet_declined")


async def test_a_wallet_that_comes_late_appears(tab: Tab) -> None:
    await tab.install(late=True)

    async def person() -> None:
        await tab.see("No Solana wallet")
        await tab.evaluate("testWallet['Test Wallet'].announce()")
        await pick(tab)
        await agree(tab)
        await tab.see("You are logged in")

    await ask(tab, sign_in(), person)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chains": ["solana:mainnet"]}, "It does not work on localnet."),
        ({"without": ["solana:signTransaction"]}, "It cannot sign without sending by itself."),
    ],
)
async def test_a_wallet_that_will_not_do_cannot_be_chosen(
    tab: Tab, chain: EscrowClient, options: dict[str, Any], words: str
) -> None:
    await tab.install(**options)

    async def person() -> None:
        await tab.see(words)
        assert await tab.evaluate("document.querySelector('button.choice').disabled") is True
        await tab.see("Get Phantom")
        await tab.click("Cancel")

    await refused(tab, deposit_request(chain, None, Asset.SOL, 1000), person, "wallet_declined")


async def test_an_account_of_another_network_cannot_be_chosen(tab: Tab) -> None:
    await tab.install(accountChains=["solana:mainnet"])

    async def person() -> None:
        await pick(tab)
        assert "Not on localnet." in await tab.see("has no account for localnet")
        await tab.click("Cancel")

    await refused(tab, sign_in(), person, "wallet_declined")


async def test_an_rpc_node_of_another_network_is_noticed(tab: Tab, chain_config: ChainConfig) -> None:
    await tab.install(seeds=[52])
    elsewhere = ChainConfig("devnet", chain_config.rpc_urls, chain_config.program_id, chain_config.usdc_mint)

    async def person() -> None:
        await pick(tab)
        await tab.see("the RPC node is none of that network")
        await tab.click("Cancel")

    async with EscrowClient(elsewhere) as chain:
        await refused(tab, deposit_request(chain, None, Asset.SOL, 1000), person, "other_network")


async def test_the_wrong_account_is_named_and_the_right_one_can_be_switched_to(tab: Tab) -> None:
    await tab.install(seeds=[5])

    async def person() -> None:
        await pick(tab)
        assert SECOND in await tab.see("uses another account")
        await tab.click("Cancel")

    await refused(tab, sign_in(wallet=SECOND), person, "wallet_declined")


async def test_an_account_changed_while_it_signs_is_not_used(tab: Tab, chain: EscrowClient) -> None:
    await tab.install(seeds=[53, 54], extra={"waits": True})
    wallet = await funded(chain, 53)

    async def person() -> None:
        await pick(tab)
        await tab.click(wallet)
        await tab.click("Continue")
        await agree(tab)
        await tab.see("Approve it in Test Wallet")
        with trio.fail_after(TEST_S):
            while not await tab.evaluate("Boolean(testWallet['Test Wallet'].goOn)"):
                await trio.sleep(0.02)
        await tab.evaluate("testWallet['Test Wallet'].change([1])")
        assert wallet_of(54) in await tab.see("The account was changed in Test Wallet.")
        await tab.evaluate("testWallet['Test Wallet'].goOn()")
        await tab.click("Cancel")

    await refused(tab, deposit_request(chain, None, Asset.SOL, 1000), person, "wallet_declined")
    assert await chain.balance(wallet, Asset.SOL) == 0


# -- the token


async def test_the_address_opens_the_page_once(tab: Tab) -> None:
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
        await pick(tab)
        await agree(tab)
        await tab.see("You are logged in")

    await ask(tab, sign_in(), person)


async def test_a_page_without_its_token_cannot_be_used(tab: Tab) -> None:
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
        await pick(tab)
        await agree(tab)
        await tab.see("You are logged in")
        await tab.open(stranger + "#" + "A" * 43)

    await ask(tab, sign_in(), person)


async def test_a_stale_address_says_so(tab: Tab) -> None:
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
