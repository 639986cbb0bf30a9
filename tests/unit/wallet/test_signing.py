"""The same requests, answered by a key at hand: in order, by the right account, none after a refusal."""

from __future__ import annotations

import base64

import pytest
from solders.hash import Hash

from p2p.chain.addresses import Addresses
from p2p.chain.browser import SignedIn, SignIn, SignTransactions, answer_with
from p2p.chain.browser.request import PreparedTransaction, SignedTransactions
from p2p.chain.browser.session import PageSession
from p2p.chain.instructions import Builder
from p2p.chain.keys import Signer, to_pubkey, verify
from p2p.chain.transaction import Recent, SignedTransaction, build_message
from p2p.core.errors import Bug, Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset

OWNER, OTHER = Signer.generate(), Signer.generate()
BUILD = Builder(Addresses(to_pubkey(Signer.generate().address), to_pubkey(Signer.generate().address)))


class Log:
    """What was asked and sent, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def transactions(self, name: str, wallet: Wallet | None = None, by: Signer = OWNER) -> SignTransactions:
        async def build(asked: Wallet) -> list[PreparedTransaction]:
            self.said.append(f"build {name}")
            deposit = BUILD.deposit(by.address, Asset.SOL, 1)
            message = build_message([deposit], by.address, Recent(Hash.new_unique(), 9))
            return [PreparedTransaction(message, 9, ())]

        async def send(transaction: SignedTransaction) -> None:
            self.said.append(f"send {name}")

        return SignTransactions("localnet", name, build, send, wallet)

    def sign_in(self, *then: SignTransactions, refuse: bool = False) -> SignIn:
        async def text(wallet: Wallet, domain: str) -> str:
            return f"{domain} {wallet}"

        async def accept(answer: SignedIn) -> None:
            self.said.append("accept")
            if refuse:
                raise Refused("login_refused", "No.")

        async def more(wallet: Wallet) -> list[SignTransactions]:
            assert wallet == OWNER.address
            return list(then)

        return SignIn("localnet", text, accept, more)


async def test_what_a_login_asks_next_comes_before_the_rest() -> None:
    log = Log()
    requests = [log.sign_in(log.transactions("first")), log.transactions("last")]
    login, first, last = await answer_with(OWNER, requests)
    assert log.said == ["accept", "build first", "send first", "build last", "send last"]
    assert isinstance(login, SignedIn)
    assert login.text == f"cyxwiz {OWNER.address}"
    assert verify(OWNER.address, login.text.encode(), login.signature)
    for answer in (first, last):
        assert isinstance(answer, SignedTransactions)
        assert len(answer.transactions) == 1


async def test_a_refusal_ends_it() -> None:
    log = Log()
    with pytest.raises(Refused):
        await answer_with(OWNER, [log.sign_in(log.transactions("first"), refuse=True)])
    assert log.said == ["accept"]


async def test_another_account_signs_nothing() -> None:
    log = Log()
    with pytest.raises(Refused) as caught:
        await answer_with(OWNER, [log.transactions("first", OTHER.address)])
    assert caught.value.code == "wrong_account"
    with pytest.raises(Bug):
        await answer_with(OWNER, [log.transactions("second", by=OTHER)])
    assert log.said == ["build second"]


async def test_a_page_asks_next_what_the_login_says() -> None:
    log = Log()

    async def text(wallet: Wallet, host: str) -> str:
        opening = (
            f"{host} wants you to sign in with your Solana account:\n{wallet}\n\nURI: http://{host}/login"
        )
        return f"{opening}\nChain ID: localnet"

    asked = log.sign_in(log.transactions("first"))
    login = SignIn("localnet", text, asked.accept, asked.then)
    session = PageSession([login, log.transactions("last")], "127.0.0.1:1")
    key = str((await session.say("claim", session.token, {})).body["key"])
    prepared = await session.say("prepare", key, {"address": OWNER.address})
    said = str(prepared.body["text"]).encode()
    signed = {"address": OWNER.address, "message": _base64(said), "signature": _base64(OWNER.sign(said))}
    after = await session.say("signed", key, signed)
    following = after.body["next"]
    assert isinstance(following, dict)
    assert (following["title"], following["wallet"]) == ("first", OWNER.address)
    assert not session.over


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
