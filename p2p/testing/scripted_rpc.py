"""RPC nodes that say what they are told to: for what cannot be timed over a network."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from p2p.chain.config import ChainConfig
from p2p.chain.errors import chain_unreachable
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.chain.rpc import Rpc, RpcError

CONFIRMED = {"slot": 5, "err": None, "confirmationStatus": "confirmed"}
FINALIZED = {**CONFIRMED, "confirmationStatus": "finalized"}
PROCESSED = {**CONFIRMED, "confirmationStatus": "processed"}
FAILED = {**CONFIRMED, "err": {"InstructionError": [1, {"Custom": 6017}]}}
VALID_TO = 100


SLOTS_SKIPPED = 30
"""A slot is a block's height and the slots that had no block."""


class ScriptedRpc(Rpc):
    """Per URL: the status, the height, or silence."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        super().__init__(urls)
        self.status: dict[str, Any] = dict.fromkeys(urls)
        self.height: dict[str, int] = dict.fromkeys(urls, VALID_TO)
        self.dead: set[str] = set()
        self.sent: list[bytes] = []
        self.on_send: Callable[[str], None] = lambda url: None
        self.oldest: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []

    async def _ask(self, url: str, method: str, params: tuple[Any, ...]) -> Any:
        self.asked.append((url, method))
        if url in self.dead:
            raise chain_unreachable("silent")
        if method == "getEpochInfo":
            assert params[0] == {"commitment": "finalized"}
            height = self.height[url]
            return {"blockHeight": height, "absoluteSlot": height + SLOTS_SKIPPED}
        if method == "getFirstAvailableBlock":
            return self.oldest.get(url, 0)
        if method == "getSignatureStatuses":
            assert params[1] == {"searchTransactionHistory": True}
            slot = self.seen.get(url, self.height[url] + SLOTS_SKIPPED)
            return {"context": {"slot": slot}, "value": [self.status[url]]}
        if method == "getLatestBlockhash":
            return {"value": {"blockhash": Signer.generate().address, "lastValidBlockHeight": VALID_TO}}
        if method == "getRecentPrioritizationFees":
            return []
        assert method == "sendTransaction"
        self.sent.append(base64.b64decode(params[0]))
        try:
            self.on_send(url)
        except RpcError as error:
            return error
        return self.signature

    signature = ""


async def client_of(count: int) -> Any:
    """A client of that many."""
    urls = tuple(f"http://node{number}" for number in range(count))
    config = ChainConfig("devnet", urls, Signer.generate().address, Signer.generate().address)
    client: Any = EscrowClient(config)
    await client._rpc._http.aclose()
    client._rpc = ScriptedRpc(urls)
    return client
