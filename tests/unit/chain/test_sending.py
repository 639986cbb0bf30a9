"""Sending under a faulty network: the same bytes, until it is known what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from p2p.chain.errors import NotTaken, ProgramRefused, chain_unreachable
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer
from p2p.chain.rpc import RpcError
from p2p.chain.transaction import SignedTransaction
from p2p.core.errors import Bug, EnvironmentFailure
from p2p.core.limits import RPC_TIMEOUT_S
from p2p.core.money import Asset
from p2p.testing.scripted_rpc import CONFIRMED, FAILED, VALID_TO

PAYER = Signer.generate()


async def prepared(chain: Any) -> SignedTransaction:
    step = transfer_lamports(PAYER.address, Signer.generate().address, 1)
    transaction: SignedTransaction = await chain.prepare([step], PAYER)
    chain._rpc.signature = transaction.signature
    return transaction


async def test_the_same_bytes_are_sent_again_until_confirmed(chain: Any, autojump_clock: Any) -> None:
    transaction = await prepared(chain)
    nodes = chain._rpc

    def third_time(_: str) -> None:
        if len(nodes.sent) == 3 * len(nodes.urls):
            nodes.status = dict.fromkeys(nodes.urls, CONFIRMED)

    nodes.on_send = third_time
    assert await chain.send_and_confirm(transaction) == transaction.signature
    assert nodes.sent == [transaction.raw] * 3 * len(nodes.urls)


async def test_a_dropped_transaction_expires_in_words(chain: Any, autojump_clock: Any) -> None:
    transaction = await prepared(chain)
    nodes = chain._rpc

    def dropped(_: str) -> None:
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


def refusing(cause: object) -> Callable[[str], None]:
    def refuse(_: str) -> None:
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


# -- fail-over


async def test_a_node_that_answers_is_asked_before_one_that_did_not(two: Any) -> None:
    nodes, (first, last) = two._rpc, two._rpc.urls
    nodes.dead = {first}
    await two.recent()
    nodes.asked.clear()
    await two.recent()
    assert {url for url, _ in nodes.asked} == {last}
    nodes.dead = {last}
    await two.recent()
    assert nodes.in_order() == [first, last]


async def test_a_silent_first_node_does_not_keep_from_confirming(two: Any, autojump_clock: Any) -> None:
    """Its silence lasts longer than the pause after which the bytes are sent again."""
    transaction = await prepared(two)
    nodes, (first, last) = two._rpc, two._rpc.urls
    ask = nodes._ask

    async def silent(url: str, method: str, params: tuple[Any, ...]) -> Any:
        if url == first:
            await trio.sleep(RPC_TIMEOUT_S)
            raise chain_unreachable("silent")
        return await ask(url, method, params)

    nodes._ask = silent
    nodes.status = {last: CONFIRMED}
    assert await two.send_and_confirm(transaction) == transaction.signature
    assert nodes.sent == [transaction.raw]


@pytest.mark.parametrize(
    ("taken", "code"), [(True, "chain_unreachable"), (False, "escrow_insufficient_balance")]
)
async def test_a_refusal_after_a_node_that_may_have_sent_it_on_is_no_verdict(
    two: Any, taken: bool, code: str
) -> None:
    transaction = await prepared(two)
    first, _ = two._rpc.urls
    refuse = refusing({"InstructionError": [1, {"Custom": 6011}]})

    def lost_or_refused(url: str) -> None:
        if url == first:
            raise chain_unreachable("cut off", taken=taken)
        refuse(url)

    two._rpc.on_send = lost_or_refused
    with pytest.raises((ProgramRefused, EnvironmentFailure)) as error:
        await two.broadcast(transaction.raw)
    assert error.value.code == code


async def test_a_node_that_does_not_know_the_blockhash_yet_is_passed_over(two: Any) -> None:
    transaction = await prepared(two)
    first, _ = two._rpc.urls
    refuse = refusing("BlockhashNotFound")
    two._rpc.on_send = lambda url: refuse(url) if url == first else None
    assert await two.broadcast(transaction.raw) == transaction.signature


async def test_an_unknown_blockhash_is_no_verdict(chain: Any, autojump_clock: Any) -> None:
    """The nodes are behind: what they know soon lands."""
    transaction = await prepared(chain)
    nodes = chain._rpc
    refuse = refusing("BlockhashNotFound")

    def behind_at_first(url: str) -> None:
        if len(nodes.sent) < 3 * len(nodes.urls):
            refuse(url)
        nodes.status = dict.fromkeys(nodes.urls, CONFIRMED)

    nodes.on_send = behind_at_first
    assert await chain.send_and_confirm(transaction) == transaction.signature
    assert set(nodes.sent) == {transaction.raw}


async def test_what_was_lost_is_looked_for_before_anything_is_said(chain: Any, autojump_clock: Any) -> None:
    """No answer to the sending: it may have arrived."""
    transaction = await prepared(chain)
    nodes = chain._rpc

    def lost(_: str) -> None:
        nodes.status = dict.fromkeys(nodes.urls, CONFIRMED)
        raise chain_unreachable("timed out")

    nodes.on_send = lost
    assert await chain.send_and_confirm(transaction) == transaction.signature


async def test_what_no_node_took_is_said_at_once(chain: Any) -> None:
    transaction = await prepared(chain)

    def refused_to_connect(_: str) -> None:
        raise chain_unreachable("connection refused", taken=False)

    chain._rpc.on_send = refused_to_connect
    with pytest.raises(NotTaken) as error:
        await chain.send_and_confirm(transaction)
    assert error.value.code == "chain_unreachable"


@pytest.mark.parametrize("reply", [None, 5, {}, [{}], [{"prioritizationFee": "x"}]])
async def test_fees_that_nobody_tells_stop_no_transaction(chain: Any, reply: object) -> None:
    ask = chain._rpc._ask

    async def no_fees(url: str, method: str, params: tuple[Any, ...]) -> Any:
        if method == "getRecentPrioritizationFees":
            return RpcError(-32601, "Method not found", None) if reply is None else reply
        return await ask(url, method, params)

    chain._rpc._ask = no_fees
    assert (await chain.recent()).unit_price_microlamports == 0


async def test_the_price_is_that_of_accounts_that_transactions_write(chain: Any) -> None:
    asked: list[list[str]] = []
    ask = chain._rpc._ask

    async def busy(url: str, method: str, params: tuple[Any, ...]) -> Any:
        if method == "getRecentPrioritizationFees":
            asked.append(list(params[0]))
            return [{"slot": slot, "prioritizationFee": slot} for slot in range(100)]
        return await ask(url, method, params)

    chain._rpc._ask = busy
    assert (await chain.recent()).unit_price_microlamports == 75
    assert asked == [[str(chain.addresses.asset(asset)) for asset in Asset]]
