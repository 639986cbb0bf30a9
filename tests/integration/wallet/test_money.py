"""Deposits, session keys and withdrawals signed on the page, on a chain that moves money."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio
from solders.keypair import Keypair

from p2p.chain.browser import (
    SignedTransactions,
    authorize_request,
    deposit_request,
    transactions_request,
    withdraw_request,
)
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer
from p2p.chain.transaction import SignedTransaction
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset

Person = Any  # of conftest.py
TEST_S = 60.0


def wallet_of(seed: int) -> Wallet:
    return Wallet(str(Keypair.from_seed(bytes([seed]) * 32).pubkey()))


async def test_deposit_session_key_and_withdrawal_on_one_page(tab: Person, chain: EscrowClient) -> None:
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
        await tab.pick()
        shown = await tab.see("Move 25 USDC from your wallet into your escrow balance.")
        assert "Test network: localnet" in shown
        assert wallet in shown
        await tab.agree()
        shown = await tab.see("It can withdraw nothing.")
        assert session.address in shown
        assert "Send 0.05 SOL to that session key" in shown
        await tab.agree()
        await tab.see("Move 5 USDC from your escrow balance back to your wallet.")
        await tab.agree()
        await tab.see("5 USDC withdrawn")

    answers = await tab.answer(requests, person)
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


async def test_several_accounts_and_the_one_that_was_chosen_signs(tab: Person, chain: EscrowClient) -> None:
    await tab.install(seeds=[31, 32])
    chosen = await funded(chain, 32)

    async def person() -> None:
        await tab.pick()
        assert wallet_of(31) in await tab.see("Which account should sign?")
        assert await tab.evaluate("document.activeElement.tagName") == "H1"  # a screen reader follows
        assert await tab.evaluate("[...document.querySelectorAll('input')].every(i => i.labels.length === 1)")
        await tab.click(chosen)
        await tab.click("Continue")
        await tab.agree()
        await tab.see("0.5 SOL deposited")

    (answer,) = await tab.answer(deposit_request(chain, None, Asset.SOL, 500_000_000), person)
    assert answer.wallet == chosen
    assert await chain.balance(chosen, Asset.SOL) == 500_000_000


async def test_the_expected_account_is_taken_among_several(tab: Person, chain: EscrowClient) -> None:
    await tab.install(seeds=[31, 33])
    expected = await funded(chain, 33)

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        await tab.see("0.1 SOL deposited")

    (answer,) = await tab.answer(deposit_request(chain, expected, Asset.SOL, 100_000_000), person)
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
    tab: Person, chain: EscrowClient, extra: dict[str, Any], code: str
) -> None:
    await tab.install(seeds=[41, 42], extra=extra)
    wallet = await funded(chain, 41)
    before = await chain.wallet_balance(wallet, Asset.SOL), await chain.balance(wallet, Asset.SOL)

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        await tab.see("no money moved")
        await tab.click("Cancel")

    await tab.refuses(deposit_request(chain, wallet, Asset.SOL, 1000), person, code)
    assert before == (await chain.wallet_balance(wallet, Asset.SOL), await chain.balance(wallet, Asset.SOL))


async def test_what_the_chain_refuses_is_shown_and_told(tab: Person, chain: EscrowClient) -> None:
    await tab.install(seeds=[43])
    wallet = await funded(chain, 43)

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        await tab.see("No money moved.")
        await tab.click("Cancel")

    with pytest.raises(Refused) as caught:
        await tab.answer(withdraw_request(chain, wallet, Asset.SOL, 10**9), person)
    assert caught.value.code != "wallet_declined"


async def test_a_transaction_whose_fate_is_unknown_ends_the_page(tab: Person, chain: EscrowClient) -> None:
    """Nothing may be signed again until it is known."""
    await tab.install(seeds=[44])
    wallet = await funded(chain, 44)

    async def send(_transaction: SignedTransaction) -> None:
        raise EnvironmentFailure("transaction_pending", "It was not confirmed.", "It may still land.")

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        assert "Sign with" not in await tab.see("It may still land.")

    request = deposit_request(chain, wallet, Asset.SOL, 1000, send=send)
    await tab.refuses(request, person, "transaction_pending")


async def test_signed_bytes_come_before_they_are_sent(tab: Person, chain: EscrowClient) -> None:
    await tab.install(seeds=[45])
    wallet, kept = await funded(chain, 45), []

    async def send(transaction: SignedTransaction) -> None:
        kept.append(transaction)

    async def person() -> None:
        await tab.pick()
        await tab.agree()
        await tab.see("deposited")

    (answer,) = await tab.answer(deposit_request(chain, wallet, Asset.SOL, 1000, send=send), person)
    assert isinstance(answer, SignedTransactions)
    assert list(answer.transactions) == kept
    assert await chain.balance(wallet, Asset.SOL) == 0
    await chain.send_and_confirm(kept[0])
    assert await chain.balance(wallet, Asset.SOL) == 1000


async def test_words_that_change_while_they_are_read_come_again(tab: Person, chain: EscrowClient) -> None:
    await tab.install(seeds=[46])
    wallet = await funded(chain, 46)
    amounts = [1_000_000_000, 1_000_000, 1_000_000]

    async def make(signer: Wallet) -> list[Any]:
        return [chain.build.deposit(signer, Asset.SOL, amounts.pop(0))]

    async def person() -> None:
        await tab.pick()
        await tab.see("Move 1 SOL")
        await tab.agree()
        assert "Move 0.001 SOL" in await tab.see("It has changed while you looked at it.")
        assert await tab.calls() == "connect"
        await tab.agree()
        await tab.see("Done")

    await tab.answer(transactions_request(chain, "A deposit", make, wallet=wallet), person)
    assert await chain.balance(wallet, Asset.SOL) == 1_000_000


@pytest.mark.parametrize("step", ["connect", "signTransaction"])
async def test_declining_can_be_reconsidered(tab: Person, chain: EscrowClient, step: str) -> None:
    await tab.install(seeds=[51], deny=[step])
    wallet = await funded(chain, 51)

    async def person() -> None:
        await tab.pick()
        if step == "signTransaction":
            await tab.agree()
        assert "Nothing was signed" in await tab.see("You declined in Test Wallet.")
        if step == "connect":
            await tab.pick()
        await tab.agree()
        await tab.see("deposited")

    await tab.answer(deposit_request(chain, wallet, Asset.SOL, 1000), person)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chains": ["solana:mainnet"]}, "It does not work on localnet."),
        ({"without": ["solana:signTransaction"]}, "It cannot sign without sending by itself."),
    ],
)
async def test_a_wallet_that_will_not_do_cannot_be_chosen(
    tab: Person, chain: EscrowClient, options: dict[str, Any], words: str
) -> None:
    await tab.install(**options)

    async def person() -> None:
        await tab.see(words)
        assert await tab.evaluate("document.querySelector('button.choice').disabled") is True
        await tab.see("Get Phantom")
        await tab.click("Cancel")

    await tab.refuses(deposit_request(chain, None, Asset.SOL, 1000), person, "wallet_declined")


async def test_an_rpc_node_of_another_network_is_noticed(tab: Person, chain_config: ChainConfig) -> None:
    await tab.install(seeds=[52])
    elsewhere = ChainConfig("devnet", chain_config.rpc_urls, chain_config.program_id, chain_config.usdc_mint)

    async def person() -> None:
        await tab.pick()
        await tab.see("the RPC node is none of that network")
        await tab.click("Cancel")

    async with EscrowClient(elsewhere) as chain:
        await tab.refuses(deposit_request(chain, None, Asset.SOL, 1000), person, "other_network")


async def test_an_account_changed_while_it_signs_is_not_used(tab: Person, chain: EscrowClient) -> None:
    await tab.install(seeds=[53, 54], extra={"waits": True})
    wallet = await funded(chain, 53)

    async def person() -> None:
        await tab.pick()
        await tab.click(wallet)
        await tab.click("Continue")
        await tab.agree()
        await tab.see("Approve it in Test Wallet")
        with trio.fail_after(TEST_S):
            while not await tab.evaluate("Boolean(testWallet['Test Wallet'].goOn)"):
                await trio.sleep(0.02)
        await tab.evaluate("testWallet['Test Wallet'].change([1])")
        assert wallet_of(54) in await tab.see("The account was changed in Test Wallet.")
        await tab.evaluate("testWallet['Test Wallet'].goOn()")
        await tab.click("Cancel")

    await tab.refuses(deposit_request(chain, None, Asset.SOL, 1000), person, "wallet_declined")
    assert await chain.balance(wallet, Asset.SOL) == 0
