"""The life of a transaction under a faulty network: what it may conclude, and what it must not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from solders.hash import Hash

from p2p.chain.config import ChainConfig
from p2p.chain.errors import ProgramRefused, chain_unreachable
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer
from p2p.chain.rpc import RpcError
from p2p.chain.transaction import OutcomeKind, SignedTransaction
from p2p.core.errors import Bug, EnvironmentFailure

CONFIRMED = {"slot": 5, "err": None, "confirmationStatus": "confirmed"}
FINALIZED = {**CONFIRMED, "confirmationStatus": "finalized"}
PROCESSED = {**CONFIRMED, "confirmationStatus": "processed"}
FAILED = {**CONFIRMED, "err": {"InstructionError": [1, {"Custom": 6017}]}}
VALID_TO = 100


class Nodes:
    """RPC nodes that say what they are told to: per URL, the status, the height, or silence."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self.urls = urls
        self.status: dict[str, Any] = dict.fromkeys(urls)
        self.height: dict[str, int] = dict.fromkeys(urls, VALID_TO)
        self.dead: set[str] = set()
        self.sent: list[bytes] = []
        self.on_send: Callable[[], str | None] = lambda: None
        self.asked: list[tuple[str, str]] = []

    async def call(self, method: str, *params: object) -> Any:
        failure = None
        for url in self.urls:
            try:
                return await self.call_one(url, method, *params)
            except EnvironmentFailure as error:
                failure = error
        assert failure is not None
        raise failure

    async def call_one(self, url: str, method: str, *params: Any) -> Any:
        self.asked.append((url, method))
        if url in self.dead:
            raise chain_unreachable("silent")
        if method == "getBlockHeight":
            assert params[0] == {"commitment": "finalized"}
            return self.height[url]
        if method == "getSignatureStatuses":
            assert params[1] == {"searchTransactionHistory": True}
            return {"value": [self.status[url]]}
        if method == "getLatestBlockhash":
            return {"value": {"blockhash": str(Hash.new_unique()), "lastValidBlockHeight": VALID_TO}}
        if method == "getRecentPrioritizationFees":
            return []
        assert method == "sendTransaction"
        self.sent.append(base64.b64decode(params[0]))
        self.on_send()
        return self.signature

    signature = ""


PAYER = Signer.generate()


@pytest.fixture(params=[1, 2], ids=["one node", "two nodes"])
async def chain(request: pytest.FixtureRequest) -> Any:
    urls = tuple(f"http://node{number}" for number in range(request.param))
    config = ChainConfig("devnet", urls, Signer.generate().address, Signer.generate().address)
    client: Any = EscrowClient(config)
    await client._rpc._http.aclose()
    client._rpc = Nodes(urls)
    return client


async def prepared(chain: Any) -> SignedTransaction:
    step = transfer_lamports(PAYER.address, Signer.generate().address, 1)
    transaction: SignedTransaction = await chain.prepare([step], PAYER)
    chain._rpc.signature = transaction.signature
    return transaction


async def outcome(chain: Any) -> OutcomeKind:
    kind: OutcomeKind = (await chain.outcome("signature", VALID_TO)).kind
    return kind


async def test_a_status_at_the_commitment_is_believed(chain: Any) -> None:
    for status, kind in (
        (CONFIRMED, OutcomeKind.CONFIRMED),
        (FINALIZED, OutcomeKind.CONFIRMED),
        (PROCESSED, OutcomeKind.PENDING),
    ):
        chain._rpc.status = dict.fromkeys(chain._rpc.urls, status)
        assert await outcome(chain) is kind


async def test_finality_can_be_asked_for(chain: Any) -> None:
    """What is confirmed may still be dropped; who needs to know for good says so."""
    for status, kind in ((CONFIRMED, OutcomeKind.PENDING), (FINALIZED, OutcomeKind.CONFIRMED)):
        chain._rpc.status = dict.fromkeys(chain._rpc.urls, status)
        assert (await chain.outcome("signature", VALID_TO, commitment="finalized")).kind is kind


async def test_a_failure_names_its_number_and_word(chain: Any) -> None:
    chain._rpc.status = dict.fromkeys(chain._rpc.urls, FAILED)
    found = await chain.outcome("signature", VALID_TO)
    assert (found.kind, found.code, found.error) == (OutcomeKind.FAILED, 6017, "already_final")


@pytest.mark.parametrize(
    ("height", "kind"),
    [
        (VALID_TO - 1, OutcomeKind.PENDING),
        (VALID_TO, OutcomeKind.PENDING),
        (VALID_TO + 1, OutcomeKind.EXPIRED),
    ],
)
async def test_expired_only_past_the_last_valid_height(chain: Any, height: int, kind: OutcomeKind) -> None:
    chain._rpc.height = dict.fromkeys(chain._rpc.urls, height)
    assert await outcome(chain) is kind


async def test_history_is_searched_again_after_the_height_was_read(chain: Any) -> None:
    """It lands between the first look and the look at the height: not expired."""
    nodes = chain._rpc
    nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 1)
    ask = nodes.call_one

    async def lands_late(url: str, method: str, *params: object) -> Any:
        answer = await ask(url, method, *params)
        if method == "getBlockHeight":
            nodes.status = dict.fromkeys(nodes.urls, CONFIRMED)
        return answer

    nodes.call_one = lands_late
    assert await outcome(chain) is OutcomeKind.CONFIRMED


async def test_no_node_is_no_outcome(chain: Any) -> None:
    chain._rpc.dead = set(chain._rpc.urls)
    with pytest.raises(EnvironmentFailure) as error:
        await outcome(chain)
    assert error.value.code == "chain_unreachable"


async def test_two_nodes_that_disagree(chain: Any) -> None:
    """What only one of them has seen is not expired; what only one can rule out is not either."""
    first, last = chain._rpc.urls[0], chain._rpc.urls[-1]
    if first == last:
        return
    chain._rpc.height = {first: VALID_TO + 1, last: VALID_TO + 1}
    chain._rpc.status = {first: None, last: CONFIRMED}
    assert await outcome(chain) is OutcomeKind.CONFIRMED
    chain._rpc.status = {first: None, last: None}
    chain._rpc.height = {first: VALID_TO + 1, last: VALID_TO}
    assert await outcome(chain) is OutcomeKind.PENDING
    chain._rpc.dead = {last}
    assert await outcome(chain) is OutcomeKind.EXPIRED
    chain._rpc.height[first] = VALID_TO
    assert await outcome(chain) is OutcomeKind.PENDING


# -- sending


async def test_the_same_bytes_are_sent_again_until_confirmed(chain: Any, autojump_clock: Any) -> None:
    transaction = await prepared(chain)
    nodes = chain._rpc

    def third_time() -> None:
        if len(nodes.sent) == 3:
            nodes.status = dict.fromkeys(nodes.urls, CONFIRMED)

    nodes.on_send = third_time
    assert await chain.send_and_confirm(transaction) == transaction.signature
    assert nodes.sent == [transaction.raw] * 3


async def test_a_dropped_transaction_expires_in_words(chain: Any, autojump_clock: Any) -> None:
    transaction = await prepared(chain)
    nodes = chain._rpc

    def dropped() -> None:
        if len(nodes.sent) == 2:
            nodes.height = dict.fromkeys(nodes.urls, VALID_TO + 1)

    nodes.on_send = dropped
    with pytest.raises(EnvironmentFailure) as error:
        await chain.send_and_confirm(transaction)
    assert error.value.code == "transaction_expired"


async def test_neither_confirmed_nor_expired_is_said_as_it_is(chain: Any, autojump_clock: Any) -> None:
    with pytest.raises(EnvironmentFailure) as error:
        await chain.send_and_confirm(await prepared(chain), timeout_s=10)
    assert error.value.code == "transaction_pending"


def refusing(cause: object) -> Callable[[], None]:
    def refuse() -> None:
        raise RpcError(-32002, "Transaction simulation failed", {"err": cause})

    return refuse


async def test_a_refusal_in_simulation_is_the_programs_word(chain: Any) -> None:
    transaction = await prepared(chain)
    chain._rpc.on_send = refusing({"InstructionError": [1, {"Custom": 6011}]})
    with pytest.raises(ProgramRefused) as error:
        await chain.send_and_confirm(transaction)
    assert (error.value.number, error.value.code) == (6011, "escrow_insufficient_balance")


async def test_a_refusal_after_it_landed_is_no_refusal(chain: Any) -> None:
    """Sent before, landed, and now the simulation fails because it has been done already."""
    transaction = await prepared(chain)
    chain._rpc.status = dict.fromkeys(chain._rpc.urls, CONFIRMED)
    chain._rpc.on_send = refusing({"InstructionError": [1, {"Custom": 6017}]})
    assert await chain.send_and_confirm(transaction) == transaction.signature


async def test_already_processed_is_success_of_the_broadcast(chain: Any) -> None:
    transaction = await prepared(chain)
    chain._rpc.on_send = refusing("AlreadyProcessed")
    assert await chain.broadcast(transaction.raw) == transaction.signature


async def test_a_landed_failure_is_raised_with_its_number(chain: Any) -> None:
    transaction = await prepared(chain)
    chain._rpc.status = dict.fromkeys(chain._rpc.urls, FAILED)
    with pytest.raises(ProgramRefused) as error:
        await chain.send_and_confirm(transaction)
    assert error.value.number == 6017


@pytest.mark.parametrize("raw", [b"", b"\0", b"nonsense", bytes(200)])
async def test_only_signed_transactions_are_broadcast(chain: Any, raw: bytes) -> None:
    with pytest.raises(Bug):
        await chain.broadcast(raw)
    assert chain._rpc.sent == []


@pytest.mark.parametrize(
    "reply",
    [None, 5, {}, {"value": []}, {"value": [5]}, {"value": None}, {"value": [{"err": None}, None]}],
)
async def test_replies_that_make_no_sense(chain: Any, reply: object) -> None:
    async def nonsense(*_: object) -> Any:
        return reply

    chain._rpc.call = chain._rpc.call_one = nonsense
    with pytest.raises(EnvironmentFailure) as error:
        await outcome(chain)
    assert error.value.code == "chain_unexpected"
