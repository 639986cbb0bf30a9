"""The localnet's chain: the real Solana runtime, a clock, recent blockhashes, and a journal.

Every state is the result of transactions, so the journal holds the transactions that landed, each
with its slot and time; after a restart they are run again. The journal is an SQLite file held under
an exclusive lock: one localnet per folder, and a ``kill -9`` loses at most what was not yet answered.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import base58
from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount
from solders.transaction import Transaction, VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata
from solders.transaction_status import (
    InstructionErrorBorshIO,
    InstructionErrorCustom,
    TransactionErrorInstructionError,
    TransactionErrorInsufficientFundsForRent,
)

from p2p.chain.addresses import CLOCK_SYSVAR, TOKEN_PROGRAM
from p2p.chain.localnet_journal import Journal
from p2p.core.clock import Clock
from p2p.core.limits import BLOCKHASH_BLOCKS

SLOT_S = 0.4  # Solana's aim
FAUCET_LAMPORTS = 10**17
USDC_DECIMALS = 6
TOKEN_ACCOUNT_BYTES = 165


class NotLanded(Exception):
    """A transaction that leaves no trace: it did not even pay its fee."""

    def __init__(self, error: object, logs: list[str] | None = None, units: int = 0) -> None:
        super().__init__(str(error))
        self.error = error
        self.logs = logs or []
        self.units = units


@dataclass(frozen=True, slots=True)
class TokenBalance:
    account_index: int
    mint: Pubkey
    owner: Pubkey
    amount: int


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction that is part of the chain, successful or not."""

    transaction: VersionedTransaction
    slot: int
    time_s: int
    error: object
    logs: list[str]
    units: int
    fee: int
    balances_before: list[int]
    balances_after: list[int]
    tokens_before: list[TokenBalance]
    tokens_after: list[TokenBalance]
    inner: list[list[Any]]

    @property
    def signature(self) -> str:
        return str(self.transaction.signatures[0])


class LocalChain:
    """Not safe for use from several threads at once."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._journal = Journal(folder / "localnet.journal")
        records = list(self._journal.records())
        if not records:
            genesis = {"seed": secrets.token_hex(32), "began_s": clock.now_s()}
            self._journal.append(genesis)
            records.append(genesis)
        self._seed = bytes.fromhex(records[0]["seed"])
        self._began_s: float = records[0]["began_s"]
        self._ahead_s = 0.0
        self.landed: dict[str, Landed] = {}
        self.by_address: dict[Pubkey, list[str]] = {}
        self.faucet = Keypair.from_seed(self._derive(b"faucet"))
        self.usdc_mint = Keypair.from_seed(self._derive(b"usdc mint")).pubkey()
        self._svm = LiteSVM().with_blockhash_check(False)
        self._slot = 0
        self._set_genesis_accounts()
        for record in records[1:]:
            self._replay(record)

    def close(self) -> None:
        self._journal.close()

    def _replay(self, record: dict[str, Any]) -> None:
        if "ahead_s" in record:
            self._ahead_s = record["ahead_s"]
        else:
            transaction = VersionedTransaction.from_bytes(base64.b64decode(record["raw"]))
            # one that did not land was written by a process that was killed before it found out
            with suppress(NotLanded):
                self._run(transaction, record["slot"], record["time_s"])

    # -- genesis

    def _derive(self, purpose: bytes) -> bytes:
        return hashlib.sha256(self._seed + purpose).digest()

    def _set_genesis_accounts(self) -> None:
        rich = Account(FAUCET_LAMPORTS, b"", Pubkey.default(), False)
        self._svm.set_account(self.faucet.pubkey(), rich)
        mint = Mint(
            mint_authority=self.faucet.pubkey(),
            supply=0,
            decimals=USDC_DECIMALS,
            is_initialized=True,
            freeze_authority=None,
        )
        rent = self._svm.minimum_balance_for_rent_exemption(len(bytes(mint)))
        self._svm.set_account(self.usdc_mint, Account(rent, bytes(mint), TOKEN_PROGRAM, False))

    # -- time

    def now_s(self) -> float:
        """The chain's time: the clock's, plus what :meth:`advance` added."""
        return self._clock.now_s() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Put the chain's clock forward, for ever."""
        self._ahead_s += seconds
        self._journal.append({"ahead_s": self._ahead_s})

    def slot(self) -> int:
        """Slots pass with time, whether or not anything happens in them; they never go back."""
        self._slot = max(self._slot, 1 + int((self.now_s() - self._began_s) / SLOT_S))
        return self._slot

    def blockhash(self, slot: int) -> Hash:
        return Hash(self._derive(b"slot" + slot.to_bytes(8, "little")))

    def is_recent(self, blockhash: Hash) -> bool:
        newest = self.slot()
        oldest = max(0, newest - BLOCKHASH_BLOCKS)
        return any(self.blockhash(slot) == blockhash for slot in range(newest, oldest - 1, -1))

    # -- reads

    def account(self, key: Pubkey) -> Account | None:
        if key == CLOCK_SYSVAR:  # on a cluster it goes on with every slot
            self._set_clock(self.slot(), int(self.now_s()))
        account = self._svm.get_account(key)
        return account if account is not None and account.lamports else None

    def put_account(self, key: Pubkey, data: bytes, owner: Pubkey) -> None:
        """Put an account of another program there, for tests of those who read it; gone after a restart."""
        self._svm.set_account(key, Account(self.rent(len(data)), data, owner, False))

    def accounts_of(self, program: Pubkey) -> list[tuple[Pubkey, Account]]:
        return [
            (key, account) for key, account in self._svm.get_program_accounts(program) if account.lamports
        ]

    def lamports(self, key: Pubkey) -> int:
        return self._svm.get_balance(key) or 0

    def rent(self, size_bytes: int) -> int:
        return self._svm.minimum_balance_for_rent_exemption(size_bytes)

    # -- transactions

    def simulate(self, transaction: VersionedTransaction) -> tuple[object, list[str], int]:
        """Error (or nothing), logs and compute units of a run that leaves no trace."""
        self._set_clock(self.slot(), int(self.now_s()))
        result = self._svm.simulate_transaction(transaction)
        error = error_json(result.err()) if isinstance(result, FailedTransactionMetadata) else None
        meta = result.meta()
        return error, meta.logs(), meta.compute_units_consumed()

    def check_fresh(self, transaction: VersionedTransaction) -> None:
        """:raises NotLanded: its blockhash is not recent, or it landed before."""
        if str(transaction.signatures[0]) in self.landed:
            raise NotLanded("AlreadyProcessed")
        if not self.is_recent(transaction.message.recent_blockhash):
            raise NotLanded("BlockhashNotFound")

    def send(self, transaction: VersionedTransaction) -> Landed:
        """Write a transaction down and run it.

        :raises NotLanded: it is not part of the chain.
        :raises OSError: the journal cannot be written; nothing has happened.
        """
        self.check_fresh(transaction)
        slot, time_s = self.slot(), int(self.now_s())
        raw = base64.b64encode(bytes(transaction)).decode()
        self._journal.append({"slot": slot, "time_s": time_s, "raw": raw})
        try:
            return self._run(transaction, slot, time_s)
        except NotLanded:
            self._journal.drop_last()
            raise

    def send_as_faucet(self, instructions: list[Instruction]) -> Landed:
        """A transaction of the faucet's own. A memo-free transfer may repeat: the blockhash may not."""
        slot = self.slot()
        for age in range(BLOCKHASH_BLOCKS):
            message = Message.new_with_blockhash(
                instructions, self.faucet.pubkey(), self.blockhash(max(0, slot - age))
            )
            transaction = Transaction([self.faucet], message, message.recent_blockhash)
            versioned = VersionedTransaction.from_legacy(transaction)
            if str(versioned.signatures[0]) not in self.landed:
                return self.send(versioned)
        raise NotLanded("AlreadyProcessed")

    def _set_clock(self, slot: int, time_s: int) -> None:
        self._svm.warp_to_slot(slot)
        clock = self._svm.get_clock()
        clock.unix_timestamp = time_s
        self._svm.set_clock(clock)

    def _run(self, transaction: VersionedTransaction, slot: int, time_s: int) -> Landed:
        self._slot = max(self._slot, slot)
        self._set_clock(slot, time_s)
        keys = transaction.message.account_keys
        balances, tokens = self._balances(keys)
        result: Any = self._svm.send_transaction(transaction)
        failed = isinstance(result, FailedTransactionMetadata)
        meta: TransactionMetadata = result.meta() if failed else result
        error = result.err() if failed else None
        if failed and not isinstance(
            error, TransactionErrorInstructionError | TransactionErrorInsufficientFundsForRent
        ):
            raise NotLanded(error_json(error), meta.logs(), meta.compute_units_consumed())
        balances_after, tokens_after = self._balances(keys)
        landed = Landed(
            transaction,
            slot,
            time_s,
            error_json(error) if failed else None,
            meta.logs(),
            meta.compute_units_consumed(),
            meta.fee(),
            balances,
            balances_after,
            tokens,
            tokens_after,
            meta.inner_instructions(),
        )
        self.landed[landed.signature] = landed
        for key in keys:
            self.by_address.setdefault(key, []).append(landed.signature)
        return landed

    def _balances(self, keys: list[Pubkey]) -> tuple[list[int], list[TokenBalance]]:
        lamports, tokens = [], []
        for index, key in enumerate(keys):
            account = self._svm.get_account(key)
            lamports.append(account.lamports if account else 0)
            token = token_account_of(account)
            if token is not None:
                tokens.append(TokenBalance(index, token.mint, token.owner, token.amount))
        return lamports, tokens


def token_account_of(account: Account | None) -> TokenAccount | None:
    """The token account in an account, if it is one."""
    if account is None or account.owner != TOKEN_PROGRAM or len(account.data) != TOKEN_ACCOUNT_BYTES:
        return None
    return TokenAccount.from_bytes(account.data)


def inner_json(inner: list[list[Any]]) -> list[dict[str, Any]]:
    """What the instructions that gave others gave, in the order in which these ran."""
    return [
        {
            "index": number,
            "instructions": [
                {
                    "programIdIndex": step.instruction().program_id_index,
                    "accounts": list(bytes(step.instruction().accounts)),
                    "data": base58.b58encode(bytes(step.instruction().data)).decode(),
                    "stackHeight": step.stack_height(),
                }
                for step in steps
            ],
        }
        for number, steps in enumerate(inner)
        if steps
    ]


def error_json(error: Any) -> object:
    """A transaction error as Solana's RPC prints it."""
    if isinstance(error, TransactionErrorInstructionError):
        inner: Any = error.err
        if isinstance(inner, InstructionErrorCustom):
            return {"InstructionError": [error.index, {"Custom": inner.code}]}
        if isinstance(inner, InstructionErrorBorshIO):
            return {"InstructionError": [error.index, {"BorshIoError": str(inner)}]}
        return {"InstructionError": [error.index, _word(inner)]}
    if isinstance(error, TransactionErrorInsufficientFundsForRent):
        return {"InsufficientFundsForRent": {"account_index": error.account_index}}
    return _word(error)


def _word(error: object) -> str:
    return str(error).rpartition(".")[2]
