"""Our program's calls are seen wherever they stand in a transaction."""

from __future__ import annotations

import base64
from typing import Any

import base58
import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from p2p.chain.addresses import Addresses
from p2p.chain.calls import calls_in
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import Builder, Tag
from p2p.chain.keys import to_pubkey, to_wallet
from p2p.chain.past import read_past_job
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import Wallet
from p2p.core.limits import HISTORY_ENTRIES_MAX
from p2p.core.money import Asset

CONFIG = ChainConfig(
    "devnet", ("http://127.0.0.1:9",), Wallet(str(Pubkey.new_unique())), Wallet(str(Pubkey.new_unique()))
)
PAYER = Keypair()
OWNER = to_wallet(PAYER.pubkey())
BUILD = Builder(Addresses.of(CONFIG))
STRANGER = Pubkey.new_unique()


class Answering(EscrowClient):
    """Its node has one transaction."""

    def __init__(self, reply: Any) -> None:
        super().__init__(CONFIG)
        self.reply = reply

    async def ask(self, method: str, *params: object) -> object:
        assert method == "getTransaction"
        return self.reply


def reply(message: Any, **meta: Any) -> dict[str, Any]:
    transaction = VersionedTransaction(message, [PAYER])
    raw = base64.b64encode(bytes(transaction)).decode()
    return {"slot": 9, "blockTime": 77, "transaction": [raw, "base64"], "meta": {"err": None} | meta}


async def tags(answer: Any) -> list[Tag]:
    return [call.tag for call in await calls_in(Answering(answer), "s")]


async def test_calls_that_another_program_gives_are_seen_in_their_order() -> None:
    deposit, withdraw = BUILD.deposit(OWNER, Asset.SOL, 5), BUILD.withdraw(OWNER, Asset.SOL, 3)
    metas = [*deposit.accounts, AccountMeta(deposit.program_id, False, False)]
    outer = Instruction(STRANGER, b"x", metas)
    message = Message([outer, withdraw], PAYER.pubkey())
    at = list(message.account_keys).index
    inner = {
        "programIdIndex": at(deposit.program_id),
        "accounts": [at(meta.pubkey) for meta in deposit.accounts],
        "data": base58.b58encode(bytes(deposit.data)).decode(),
    }
    other = {"programIdIndex": at(STRANGER), "accounts": [], "data": base58.b58encode(b"y").decode()}
    found = await calls_in(
        Answering(reply(message, innerInstructions=[{"index": 0, "instructions": [other, inner]}])), "s"
    )
    assert [call.tag for call in found] == [Tag.DEPOSIT, Tag.WITHDRAW]
    assert found[0].keys[0] == to_pubkey(OWNER)
    assert (found[0].slot, found[0].time_s) == (9, 77)


async def test_what_strangers_give_to_others_is_not_decoded() -> None:
    """Ten kilobytes in base58 take a good part of a second, and one transaction holds dozens of them."""
    metas = [AccountMeta(BUILD.deposit(OWNER, Asset.SOL, 5).program_id, False, False)]
    message = Message([Instruction(STRANGER, b"x", metas)], PAYER.pubkey())
    at = list(message.account_keys).index
    other = {"programIdIndex": at(STRANGER), "accounts": [], "data": "0OIl"}  # no base58
    assert await tags(reply(message, innerInstructions=[{"index": 0, "instructions": [other] * 60}])) == []


async def test_addresses_from_a_lookup_table_are_in_their_places() -> None:
    from solders.address_lookup_table_account import AddressLookupTableAccount

    deposit = BUILD.deposit(OWNER, Asset.SOL, 5)
    listed = [meta.pubkey for meta in deposit.accounts[1:]]
    table = AddressLookupTableAccount(key=Pubkey.new_unique(), addresses=listed)
    message = MessageV0.try_compile(PAYER.pubkey(), [deposit], [table], Hash.default())
    assert message.address_table_lookups
    (lookup,) = message.address_table_lookups
    loaded = {
        "writable": [str(listed[index]) for index in bytes(lookup.writable_indexes)],
        "readonly": [str(listed[index]) for index in bytes(lookup.readonly_indexes)],
    }
    (call,) = await calls_in(Answering(reply(message, loadedAddresses=loaded)), "s")
    assert call.keys == [meta.pubkey for meta in deposit.accounts]


@pytest.mark.parametrize("wrong", [{"slot": "x"}, {"transaction": ["?", "base64"]}, {"meta": None}, []])
async def test_an_answer_that_cannot_be_read_is_no_empty_transaction(wrong: Any) -> None:
    message = Message([BUILD.deposit(OWNER, Asset.SOL, 5)], PAYER.pubkey())
    answer = {**reply(message), **wrong} if isinstance(wrong, dict) else wrong
    with pytest.raises(EnvironmentFailure):
        await tags(answer)


async def test_a_job_that_a_stranger_names_without_end_costs_one_question() -> None:
    class Named(Answering):
        async def ask(self, method: str, *params: object) -> object:
            assert method == "getSignaturesForAddress"  # and nothing else
            return self.reply

    rows = [{"signature": f"s{number}", "slot": 1, "err": None} for number in range(HISTORY_ENTRIES_MAX)]
    with pytest.raises(EnvironmentFailure, match="too many transactions"):
        await read_past_job(Named(rows), Pubkey.new_unique())
