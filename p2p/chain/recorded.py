"""The sandbox with a memory: what ran there is answered as an RPC node answers it, without a network.

For tests that send thousands of transactions and read them back by the client's own code.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.localnet_chain import inner_json
from p2p.chain.sandbox import Sandbox
from p2p.core.errors import Bug
from p2p.core.ids import Wallet


@dataclass(frozen=True, slots=True)
class Recorded:
    """A transaction of the chain's history. ``meta``: of one that succeeded."""

    transaction: VersionedTransaction
    slot: int
    time_s: int
    meta: TransactionMetadata | None


class RecordedChain(Sandbox):
    """Slots pass when the test says so: several transactions may share one. Everything is final at once."""

    def __init__(self, **options: Any) -> None:
        self.slot = 1
        self._recorded: dict[str, Recorded] = {}
        self._at: dict[str, list[str]] = {}
        super().__init__(**options)

    def _execute(self, transaction: VersionedTransaction) -> TransactionMetadata | FailedTransactionMetadata:
        result = super()._execute(transaction)
        signature = str(transaction.signatures[0])
        meta = None if isinstance(result, FailedTransactionMetadata) else result
        self._recorded[signature] = Recorded(transaction, self.slot, self.now_s, meta)
        for key in transaction.message.account_keys:
            self._at.setdefault(str(key), []).append(signature)
        return result

    def forget(self) -> None:
        """All of the history but its last transaction: of a node that keeps little."""
        last = self._at[str(self.addresses.program)][-1]
        self._recorded = {last: self._recorded[last]}
        self._at = {str(key): [last] for key in self._recorded[last].transaction.message.account_keys}

    def answer(self, method: str, *params: Any) -> Any:
        """:raises Bug: a question that this chain does not know."""
        match method:
            case "getSignaturesForAddress":
                return self._signatures(*params)
            case "getTransaction":
                return self._transaction(params[0])
            case "getMultipleAccounts":
                found = [self._account(self._svm.get_account(Pubkey.from_string(key))) for key in params[0]]
                return {"context": {"slot": self.slot}, "value": found}
        raise Bug(f"{method} is not answered here")

    def _signatures(self, address: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        found = self._at.get(address, [])[::-1]
        if options.get("before") in found:
            found = found[found.index(options["before"]) + 1 :]
        if options.get("until") in found:
            found = found[: found.index(options["until"])]
        return [
            {
                "signature": signature,
                "slot": self._recorded[signature].slot,
                "err": None if self._recorded[signature].meta is not None else "refused",
            }
            for signature in found[: options["limit"]]
        ]

    def _transaction(self, signature: str) -> dict[str, Any] | None:
        found = self._recorded.get(signature)
        if found is None or found.meta is None:
            return None
        return {
            "slot": found.slot,
            "blockTime": found.time_s,
            "transaction": [base64.b64encode(bytes(found.transaction)).decode(), "base64"],
            "meta": {"err": None, "innerInstructions": inner_json(found.meta.inner_instructions())},
        }

    @staticmethod
    def _account(account: Account | None) -> dict[str, Any] | None:
        if account is None or not account.lamports:
            return None
        data = [base64.b64encode(bytes(account.data)).decode(), "base64"]
        return {"data": data, "owner": str(account.owner), "lamports": account.lamports}


class RecordedClient(EscrowClient):
    """The client of a :class:`RecordedChain` in the same process."""

    def __init__(self, chain: RecordedChain) -> None:
        program, mint = (Wallet(str(key)) for key in (chain.addresses.program, chain.addresses.usdc_mint))
        super().__init__(ChainConfig("localnet", ("http://127.0.0.1:1",), program, mint))
        self._recorded_chain = chain

    async def ask(self, method: str, *params: object) -> object:
        return self._recorded_chain.answer(method, *params)
