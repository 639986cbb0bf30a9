"""The localnet itself: what a cluster does that clients rely on, and who may talk to it."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from typing import Any

import pytest

from p2p.chain.errors import ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer
from p2p.chain.rpc import Rpc, RpcError
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.limits import LOCALNET_REQUEST_MAX_BYTES
from p2p.core.money import Asset

SOL = 10**9


async def ask(net: Any, method: str, *params: object) -> Any:
    async with Rpc((net.url,)) as rpc:
        return await rpc.call(method, *params)


# -- as a cluster


async def test_a_transfer_its_status_history_and_balances(net: Any) -> None:
    one, two = Signer.generate(), Signer.generate()
    await faucet(net.url, one.address, Asset.SOL, SOL)
    async with EscrowClient(net.config()) as chain:
        step = transfer_lamports(one.address, two.address, SOL // 4)
        signature = await chain.send_and_confirm(await chain.prepare([step], one))
    status = (await ask(net, "getSignatureStatuses", [signature]))["value"][0]
    assert (status["err"], status["confirmationStatus"]) == (None, "finalized")
    rows = await ask(net, "getSignaturesForAddress", one.address)
    assert rows[0]["signature"] == signature
    assert len(rows) == 2
    assert await ask(net, "getSignaturesForAddress", one.address, {"before": signature}) == rows[1:]
    assert await ask(net, "getSignaturesForAddress", one.address, {"limit": 1}) == rows[:1]
    found = await ask(net, "getTransaction", signature, {"encoding": "base64"})
    meta = found["meta"]
    assert meta["preBalances"][:2] == [SOL, 0]
    assert meta["postBalances"][:2] == [SOL - SOL // 4 - 5000, SOL // 4]
    assert meta["fee"] == 5000
    assert await ask(net, "getTransaction", "1" * 64) is None


async def test_token_balances_before_and_after(net: Any) -> None:
    owner = Signer.generate()
    await faucet(net.url, owner.address, Asset.USDC, 5)
    signature = await faucet(net.url, owner.address, Asset.USDC, 7)
    meta = (await ask(net, "getTransaction", signature, {"encoding": "base64"}))["meta"]
    before, after = meta["preTokenBalances"], meta["postTokenBalances"]
    assert [row["uiTokenAmount"]["amount"] for row in before] == ["5"]
    assert [row["uiTokenAmount"]["amount"] for row in after] == ["12"]
    assert after[0]["owner"] == owner.address
    assert after[0]["mint"] == net.config().usdc_mint
    rows = (
        await ask(
            net,
            "getTokenAccountsByOwner",
            owner.address,
            {"mint": net.config().usdc_mint},
            {"encoding": "jsonParsed"},
        )
    )["value"]
    info = rows[0]["account"]["data"]["parsed"]["info"]
    assert info["tokenAmount"] == {
        "amount": "12",
        "decimals": 6,
        "uiAmount": 0.000012,
        "uiAmountString": "0.000012",
    }
    balance = await ask(net, "getTokenAccountBalance", rows[0]["pubkey"])
    assert balance["value"]["amount"] == "12"


async def test_a_failed_transaction_pays_its_fee_and_is_in_the_history(net: Any) -> None:
    one = Signer.generate()
    await faucet(net.url, one.address, Asset.SOL, SOL)
    async with EscrowClient(net.config()) as chain:
        step = transfer_lamports(one.address, Signer.generate().address, 5 * SOL)
        transaction = await chain.prepare([step], one)
        with pytest.raises(ProgramRefused):
            await chain.broadcast(transaction.raw)
        assert await chain.wallet_balance(one.address, Asset.SOL) == SOL
        encoded = base64.b64encode(transaction.raw).decode()
        options = {"encoding": "base64", "skipPreflight": True}
        await ask(net, "sendTransaction", encoded, options)
        outcome = await chain.outcome(transaction.signature, 0)
        assert (outcome.kind.value, outcome.code) == ("failed", 1)
        assert await chain.wallet_balance(one.address, Asset.SOL) == SOL - 5000


async def test_a_blockhash_lives_for_150_slots_and_a_transaction_lands_once(net: Any) -> None:
    one, two = Signer.generate(), Signer.generate()
    await faucet(net.url, one.address, Asset.SOL, SOL)
    async with EscrowClient(net.config()) as chain:
        step = [transfer_lamports(one.address, two.address, SOL // 100)]
        early, late, never = [await chain.prepare(step * n, one) for n in (1, 2, 3)]
        slot = await chain.slot()
        assert early.last_valid_height - slot in (149, 150)
        await chain.broadcast(early.raw)
        with net.server.lock:
            net.chain.advance(0.4 * 140)
        await chain.broadcast(late.raw)
        for again in (early, late):
            encoded = base64.b64encode(again.raw).decode()
            with pytest.raises(RpcError) as error:
                await ask(net, "sendTransaction", encoded, {"encoding": "base64"})
            assert error.value.data["err"] == "AlreadyProcessed"  # type: ignore[index]
        with net.server.lock:
            net.chain.advance(0.4 * 15)
        with pytest.raises(ProgramRefused) as refusal:
            await chain.broadcast(never.raw)
        assert refusal.value.detail == "BlockhashNotFound"
        assert await chain.wallet_balance(two.address, Asset.SOL) == 3 * (SOL // 100)


async def test_a_forged_signature_does_not_land(net: Any) -> None:
    one = Signer.generate()
    await faucet(net.url, one.address, Asset.SOL, SOL)
    async with EscrowClient(net.config()) as chain:
        transaction = await chain.prepare([transfer_lamports(one.address, one.address, 1)], one)
        forged = transaction.raw[:1] + bytes([transaction.raw[1] ^ 1]) + transaction.raw[2:]
        with pytest.raises((ProgramRefused, EnvironmentFailure)):
            await chain.broadcast(forged)
        assert await chain.wallet_balance(one.address, Asset.SOL) == SOL


async def test_the_faucet_has_bounds(net: Any) -> None:
    with pytest.raises(Refused):
        await faucet(net.url, Signer.generate().address, Asset.SOL, 10**19)
    with pytest.raises(Refused):
        await faucet(net.url, Signer.generate().address, Asset.USDC, -1)


async def test_program_accounts_are_filtered(net: Any) -> None:
    program = net.config().program_id
    everything = await ask(net, "getProgramAccounts", program, {"encoding": "base64"})
    assets = await ask(net, "getProgramAccounts", program, {"filters": [{"dataSize": 80}]})
    tagged = {"memcmp": {"offset": 0, "bytes": base64.b64encode(b"\x02\x01").decode(), "encoding": "base64"}}
    same = await ask(net, "getProgramAccounts", program, {"filters": [tagged]})
    assert (len(everything), len(assets)) == (3, 2)
    assert {row["pubkey"] for row in assets} == {row["pubkey"] for row in same}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("noSuchMethod", []),
        ("__init__", []),
        ("answer", ["getSlot", []]),
        (None, []),
        ("getBalance", []),
        ("getBalance", ["not an address"]),
        ("getBalance", [5]),
        ("getBalance", {"a": 1}),
        ("getSlot", [1, 2, 3]),
        ("sendTransaction", ["!!!"]),
        ("sendTransaction", ["", {"encoding": "base64"}]),
        ("sendTransaction", ["AAAA" * 5000, {"encoding": "base64"}]),
        ("getMultipleAccounts", [None]),
        ("getSignaturesForAddress", ["1" * 32, {"limit": -1}]),
        ("getSignaturesForAddress", ["1" * 32, "x"]),
        ("getProgramAccounts", ["1" * 32, {"filters": [{}]}]),
        ("getMinimumBalanceForRentExemption", [10**30]),
        ("cyxwizAdvanceClock", [-5]),
        ("requestAirdrop", ["1" * 32, 1.5]),
    ],
)
async def test_wrong_requests_get_an_error_and_change_nothing(net: Any, method: Any, params: Any) -> None:
    reply = post(net, json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode())
    assert reply["id"] == 7
    assert reply["error"]["code"] in (-32601, -32602)
    assert await ask(net, "getHealth") == "ok"


async def test_the_clock_is_put_forward_over_http(net: Any) -> None:
    async with EscrowClient(net.config()) as chain:
        before_s, slot = await chain.chain_time_s(), await chain.slot()
        await ask(net, "cyxwizAdvanceClock", 1000)
        assert 1000 <= await chain.chain_time_s() - before_s < 1100
        assert await chain.slot() - slot >= 2500
    info = await ask(net, "getEpochInfo", {"commitment": "finalized"})
    assert info["blockHeight"] == info["absoluteSlot"] >= slot + 2500


async def test_history_between_two_signatures(net: Any) -> None:
    one = Signer.generate()
    signatures = [await faucet(net.url, one.address, Asset.SOL, n * SOL) for n in (1, 2, 3)]
    rows = await ask(net, "getSignaturesForAddress", one.address, {"until": signatures[0]})
    assert [row["signature"] for row in rows] == [signatures[2], signatures[1]]


# -- who may talk to it


def raw_post(net: Any, body: bytes, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", net.server.server_address[1], timeout=10)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def post(net: Any, body: bytes) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", net.server.server_address[1], timeout=10)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


HEALTH = b'{"jsonrpc":"2.0","id":1,"method":"getHealth"}'


def test_web_pages_do_not_get_in(net: Any) -> None:
    port = net.server.server_address[1]
    assert raw_post(net, HEALTH) == 200
    assert raw_post(net, HEALTH, Host=f"localhost:{port}") == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "", f"127.0.0.1:{port}.evil.example"):
        assert raw_post(net, HEALTH, Host=host) == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert raw_post(net, HEALTH, **{"Content-Type": kind}) == 415


def test_requests_have_a_size(net: Any) -> None:
    assert raw_post(net, HEALTH + b" " * (LOCALNET_REQUEST_MAX_BYTES - len(HEALTH))) == 200
    for length in (str(LOCALNET_REQUEST_MAX_BYTES + 1), "1" * 30):
        assert raw_post(net, b"", **{"Content-Length": length}) == 413
    for length in ("-1", "x", "1_0"):
        assert raw_post(net, b"", **{"Content-Length": length}) == 411


def test_bodies_that_are_no_requests(net: Any) -> None:
    assert post(net, b"{")["error"]["code"] == -32700
    assert post(net, b"[" * 100_000)["error"]["code"] == -32700
    assert post(net, b"5")["error"]["code"] == -32600
    assert [reply["result"] for reply in post(net, b"[" + HEALTH + b"," + HEALTH + b"]")] == ["ok", "ok"]


def test_a_peer_that_goes_away_harms_nobody(net: Any, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        with socket.create_connection(net.server.server_address, timeout=5) as peer:
            peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le")
    assert raw_post(net, HEALTH) == 200
    assert capfd.readouterr().out == ""
