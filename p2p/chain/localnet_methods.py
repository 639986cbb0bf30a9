"""The part of Solana's JSON-RPC that the localnet speaks, and three methods of its own."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

import base58
from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.token.state import Mint
from solders.transaction import VersionedTransaction

from p2p.chain.addresses import TOKEN_PROGRAM, token_account
from p2p.chain.instructions import create_token_account, signer, transfer_lamports, writable
from p2p.chain.keys import to_wallet
from p2p.chain.localnet_chain import (
    Landed,
    LocalChain,
    NotLanded,
    TokenBalance,
    inner_json,
    token_account_of,
)
from p2p.core.ids import Wallet
from p2p.core.limits import BLOCKHASH_BLOCKS, LOCALNET_AIRDROP_MAX_LAMPORTS, TRANSACTION_MAX_BYTES

_INVALID_PARAMS, _SIMULATION_FAILED, _METHOD_NOT_FOUND = -32602, -32002, -32601
_LAMPORTS_PER_SIGNATURE = 5000
_EPOCH_SLOTS = 432_000
_MINT_TO = 7
_ROWS_MAX = 1000
_ADVANCE_MAX_S = 400 * 24 * 3600

Json = Any


class MethodError(Exception):
    """An error reply."""

    def __init__(self, number: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.number, self.message, self.data = number, message, data


def key(text: object) -> Pubkey:
    if not isinstance(text, str):
        raise MethodError(_INVALID_PARAMS, "Invalid param: an address is a string")
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise MethodError(_INVALID_PARAMS, "Invalid param: WrongSize") from None


def whole(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise MethodError(_INVALID_PARAMS, f"Invalid param: not a whole number up to {most}")
    return value


def options(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MethodError(_INVALID_PARAMS, "Invalid param: options are an object")
    return value


class Methods:
    """Answers one request at a time."""

    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        own = {name: getattr(self, name) for name in dir(self) if name.startswith(("get", "is", "cyxwiz"))}
        self._table: dict[str, Callable[..., Json]] = {
            **own,
            "requestAirdrop": self.requestAirdrop,
            "sendTransaction": self.sendTransaction,
            "simulateTransaction": self.simulateTransaction,
        }

    def answer(self, method: object, params: object) -> Json:
        """:raises MethodError: an error reply."""
        handler = self._table.get(method) if isinstance(method, str) else None
        if handler is None:
            raise MethodError(_METHOD_NOT_FOUND, "Method not found")
        if not isinstance(params, list):
            raise MethodError(_INVALID_PARAMS, "Invalid params: an array is expected")
        try:
            return handler(*params)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
            raise MethodError(_INVALID_PARAMS, f"Invalid params: {str(error)[:200]}") from None

    def _with_context(self, value: Json) -> Json:
        return {"context": {"apiVersion": "4.1.0", "slot": self._chain.slot()}, "value": value}

    # -- the cluster

    def getHealth(self) -> Json:
        return "ok"

    def getVersion(self) -> Json:
        return {"solana-core": "4.1.0", "feature-set": 0}

    def getGenesisHash(self) -> Json:
        return str(self._chain.blockhash(0))

    def getSlot(self, _config: object = None) -> Json:
        return self._chain.slot()

    def getBlockHeight(self, _config: object = None) -> Json:
        return self._chain.slot()

    def getEpochInfo(self, _config: object = None) -> Json:
        slot = self._chain.slot()
        return {
            "absoluteSlot": slot,
            "blockHeight": slot,
            "epoch": slot // _EPOCH_SLOTS,
            "slotIndex": slot % _EPOCH_SLOTS,
            "slotsInEpoch": _EPOCH_SLOTS,
            "transactionCount": len(self._chain.landed),
        }

    def getFirstAvailableBlock(self) -> Json:
        """It keeps everything."""
        return 0

    def getLatestBlockhash(self, _config: object = None) -> Json:
        slot = self._chain.slot()
        blockhash = str(self._chain.blockhash(slot))
        return self._with_context({"blockhash": blockhash, "lastValidBlockHeight": slot + BLOCKHASH_BLOCKS})

    def isBlockhashValid(self, blockhash: str, _config: object = None) -> Json:
        return self._with_context(self._chain.is_recent(Hash.from_string(blockhash)))

    def getFeeForMessage(self, message: str, _config: object = None) -> Json:
        raw = base64.b64decode(message, validate=True)
        parsed = MessageV0.from_bytes(raw[1:]) if raw[0] & 0x80 else Message.from_bytes(raw)
        return self._with_context(_LAMPORTS_PER_SIGNATURE * parsed.header.num_required_signatures)

    def getRecentPrioritizationFees(self, _accounts: object = None) -> Json:
        return []

    def getMinimumBalanceForRentExemption(self, size: int, _config: object = None) -> Json:
        return self._chain.rent(whole(size, 10 * 2**20))

    # -- accounts

    def getBalance(self, address: str, _config: object = None) -> Json:
        return self._with_context(self._chain.lamports(key(address)))

    def getAccountInfo(self, address: str, config: object = None) -> Json:
        return self._with_context(self._account(self._chain.account(key(address)), options(config)))

    def getMultipleAccounts(self, addresses: list[str], config: object = None) -> Json:
        found = [self._chain.account(key(address)) for address in addresses[:100]]
        return self._with_context([self._account(account, options(config)) for account in found])

    def getProgramAccounts(self, program: str, config: object = None) -> Json:
        wanted = options(config)
        rows = [
            {"pubkey": str(address), "account": self._account(account, wanted)}
            for address, account in self._chain.accounts_of(key(program))
            if all(_matches(bytes(account.data), rule) for rule in wanted.get("filters") or [])
        ]
        return self._with_context(rows) if wanted.get("withContext") else rows

    def getTokenAccountsByOwner(self, owner: str, rule: dict[str, str], config: object = None) -> Json:
        mint = key(rule["mint"]) if "mint" in rule else None
        if mint is None and key(rule["programId"]) != TOKEN_PROGRAM:
            return self._with_context([])
        rows = []
        for address, account in self._chain.accounts_of(TOKEN_PROGRAM):
            token = token_account_of(account)
            if token is not None and token.owner == key(owner) and mint in (None, token.mint):
                rows.append({"pubkey": str(address), "account": self._account(account, options(config))})
        return self._with_context(rows)

    def getTokenAccountBalance(self, address: str, _config: object = None) -> Json:
        token = token_account_of(self._chain.account(key(address)))
        if token is None:
            raise MethodError(_INVALID_PARAMS, "Invalid param: could not find account")
        return self._with_context(self._amount(token.mint, token.amount))

    def _account(self, account: Account | None, config: dict[str, Any]) -> Json:
        if account is None:
            return None
        data = bytes(account.data)
        part = config.get("dataSlice")
        if part is not None:
            data = data[part["offset"] : part["offset"] + part["length"]]
        return {
            "lamports": account.lamports,
            "owner": str(account.owner),
            "data": self._data(account, data, config.get("encoding", "base64")),
            "executable": account.executable,
            "rentEpoch": 2**64 - 1,
            "space": len(account.data),
        }

    def _data(self, account: Account, data: bytes, encoding: str) -> Json:
        token = token_account_of(account) if encoding == "jsonParsed" else None
        if token is not None:
            info = {
                "mint": str(token.mint),
                "owner": str(token.owner),
                "state": str(token.state).rpartition(".")[2].lower(),
                "isNative": token.is_native is not None,
                "tokenAmount": self._amount(token.mint, token.amount),
            }
            parsed = {"type": "account", "info": info}
            return {"program": "spl-token", "space": len(account.data), "parsed": parsed}
        if encoding == "base58":
            return [base58.b58encode(data).decode(), "base58"]
        return [base64.b64encode(data).decode(), "base64"]

    def _amount(self, mint: Pubkey, amount: int) -> Json:
        account = self._chain.account(mint)
        decimals = Mint.from_bytes(account.data).decimals if account is not None else 0
        whole_units, part = divmod(amount, 10**decimals)
        text = f"{whole_units}.{part:0{decimals}d}".rstrip("0").rstrip(".") if decimals else str(amount)
        return {
            "amount": str(amount),
            "decimals": decimals,
            "uiAmount": amount / 10**decimals,
            "uiAmountString": text,
        }

    # -- transactions

    def sendTransaction(self, encoded: str, config: object = None) -> Json:
        wanted = options(config)
        transaction = _decode(encoded, wanted)
        try:
            self._chain.check_fresh(transaction)
            if not wanted.get("skipPreflight"):
                error, logs, units = self._chain.simulate(transaction)
                if error is not None:
                    raise NotLanded(error, logs, units)
            return self._chain.send(transaction).signature
        except NotLanded as refusal:
            data = {
                "err": refusal.error,
                "logs": refusal.logs,
                "accounts": None,
                "unitsConsumed": refusal.units,
                "returnData": None,
            }
            message = f"Transaction simulation failed: {refusal.error}"
            raise MethodError(_SIMULATION_FAILED, message, data) from None

    def simulateTransaction(self, encoded: str, config: object = None) -> Json:
        error, logs, units = self._chain.simulate(_decode(encoded, options(config)))
        return self._with_context(
            {"err": error, "logs": logs, "accounts": None, "unitsConsumed": units, "returnData": None}
        )

    def getSignatureStatuses(self, signatures: list[str], _config: object = None) -> Json:
        found = [self._chain.landed.get(signature) for signature in signatures[:256]]
        return self._with_context([None if landed is None else _status(landed) for landed in found])

    def getSignaturesForAddress(self, address: str, config: object = None) -> Json:
        wanted = options(config)
        newest_first = self._chain.by_address.get(key(address), [])[::-1]
        if wanted.get("before") in newest_first:
            newest_first = newest_first[newest_first.index(wanted["before"]) + 1 :]
        if wanted.get("until") in newest_first:
            newest_first = newest_first[: newest_first.index(wanted["until"])]
        rows = []
        for signature in newest_first[: whole(wanted.get("limit", _ROWS_MAX), _ROWS_MAX)]:
            landed = self._chain.landed[signature]
            rows.append(
                {
                    "signature": signature,
                    "slot": landed.slot,
                    "err": landed.error,
                    "memo": None,
                    "blockTime": landed.time_s,
                    "confirmationStatus": "finalized",
                }
            )
        return rows

    def getTransaction(self, signature: str, config: object = None) -> Json:
        landed = self._chain.landed.get(signature)
        if landed is None:
            return None
        if options(config).get("encoding", "base64") != "base64":
            raise MethodError(_INVALID_PARAMS, "Invalid params: only base64")
        encoded = base64.b64encode(bytes(landed.transaction)).decode()
        versioned = isinstance(landed.transaction.message, MessageV0)
        return {
            "slot": landed.slot,
            "blockTime": landed.time_s,
            "version": 0 if versioned else "legacy",
            "transaction": [encoded, "base64"],
            "meta": self._meta(landed),
        }

    def _meta(self, landed: Landed) -> Json:
        return {
            "err": landed.error,
            "status": {"Ok": None} if landed.error is None else {"Err": landed.error},
            "fee": landed.fee,
            "preBalances": landed.balances_before,
            "postBalances": landed.balances_after,
            "preTokenBalances": [self._token_balance(token) for token in landed.tokens_before],
            "postTokenBalances": [self._token_balance(token) for token in landed.tokens_after],
            "innerInstructions": inner_json(landed.inner),
            "logMessages": landed.logs,
            "rewards": [],
            "loadedAddresses": {"writable": [], "readonly": []},
            "computeUnitsConsumed": landed.units,
        }

    def _token_balance(self, token: TokenBalance) -> Json:
        return {
            "accountIndex": token.account_index,
            "mint": str(token.mint),
            "owner": str(token.owner),
            "programId": str(TOKEN_PROGRAM),
            "uiTokenAmount": self._amount(token.mint, token.amount),
        }

    # -- test money and test time

    def requestAirdrop(self, address: str, lamports: int, _config: object = None) -> Json:
        amount = whole(lamports, LOCALNET_AIRDROP_MAX_LAMPORTS)
        faucet = to_wallet(self._chain.faucet.pubkey())
        return self._faucet([transfer_lamports(faucet, Wallet(str(key(address))), amount)])

    def cyxwizFaucet(self, owner: str, units: int) -> Json:
        """Mint test USDC to the owner's token account, which is made if need be."""
        faucet, mint, to = self._chain.faucet.pubkey(), self._chain.usdc_mint, key(owner)
        amount = struct.pack("<BQ", _MINT_TO, whole(units, 2**63 - 1))
        mint_to = Instruction(
            TOKEN_PROGRAM, amount, [writable(mint), writable(token_account(to, mint)), signer(faucet)]
        )
        return self._faucet([create_token_account(faucet, to, mint), mint_to])

    def _faucet(self, instructions: list[Instruction]) -> str:
        try:
            landed = self._chain.send_as_faucet(instructions)
        except NotLanded as refusal:
            raise MethodError(_SIMULATION_FAILED, f"The faucet failed: {refusal.error}") from None
        if landed.error is not None:
            raise MethodError(_SIMULATION_FAILED, f"The faucet failed: {landed.error}")
        return landed.signature

    def cyxwizUsdcMint(self) -> Json:
        """The localnet's own USDC."""
        return str(self._chain.usdc_mint)

    def cyxwizAdvanceClock(self, seconds: int) -> Json:
        """Put the chain's clock forward, so that tests need not wait for deadlines."""
        self._chain.advance(whole(seconds, _ADVANCE_MAX_S))
        return int(self._chain.now_s())


def _decode(encoded: str, config: dict[str, Any]) -> VersionedTransaction:
    if config.get("encoding", "base58") == "base64":
        raw = base64.b64decode(encoded, validate=True)
    else:
        raw = base58.b58decode(encoded)
    if len(raw) > TRANSACTION_MAX_BYTES:
        raise MethodError(_INVALID_PARAMS, "base64 encoded transaction too large")
    return VersionedTransaction.from_bytes(raw)


def _matches(data: bytes, rule: dict[str, Any]) -> bool:
    if "dataSize" in rule:
        return len(data) == int(rule["dataSize"])
    wanted = rule["memcmp"]
    decode = base64.b64decode if wanted.get("encoding") == "base64" else base58.b58decode
    part = decode(wanted["bytes"])
    return data[wanted["offset"] : wanted["offset"] + len(part)] == part


def _status(landed: Landed) -> Json:
    return {
        "slot": landed.slot,
        "confirmations": None,
        "err": landed.error,
        "status": {"Ok": None} if landed.error is None else {"Err": landed.error},
        "confirmationStatus": "finalized",
    }
