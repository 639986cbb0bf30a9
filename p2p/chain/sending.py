"""The life of a transaction: prepare, persist, broadcast, find out what became of it.

The rule, which makes every action happen at most once even across crashes: store the signed bytes,
signature and last valid height before sending; re-send only the same bytes; sign anew only after
``EXPIRED``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import trio
from solders.hash import Hash
from solders.instruction import Instruction
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from p2p.chain.errors import ProgramRefused, chain_unexpected, error_word, program_number
from p2p.chain.keys import Signer
from p2p.chain.reads import ChainReads
from p2p.chain.rpc import RpcError, number_of, refused, value_of
from p2p.chain.transaction import Outcome, OutcomeKind, Recent, SignedTransaction, sign_all
from p2p.core.errors import Bug, EnvironmentFailure
from p2p.core.limits import CONFIRM_POLL_S, CONFIRM_TIMEOUT_S, PRIORITY_FEE_MAX_MICROLAMPORTS, RESEND_S

_LEVELS = {"processed": 0, "confirmed": 1, "finalized": 2}
_LANDED_ALREADY = "AlreadyProcessed"


class ChainSending(ChainReads):
    """Sending, for one deployment."""

    async def recent(self) -> Recent:
        """What a new transaction needs to know of the chain."""
        options = {"commitment": self.chain.commitment}
        value = value_of(await self.ask("getLatestBlockhash", options))
        try:
            blockhash = Hash.from_string(value["blockhash"])
            height = number_of(value["lastValidBlockHeight"])
        except (KeyError, TypeError, ValueError):
            raise chain_unexpected("no blockhash") from None
        return Recent(blockhash, height, await self._unit_price())

    async def _unit_price(self) -> int:
        """The upper quartile of what transactions on our program lately paid per compute unit, capped."""
        fees = await self.ask("getRecentPrioritizationFees", [self.chain.program_id])
        if not isinstance(fees, list):
            raise chain_unexpected("no recent fees")
        paid = sorted(number_of(fee.get("prioritizationFee")) for fee in fees if isinstance(fee, dict))
        return min(paid[len(paid) * 3 // 4], PRIORITY_FEE_MAX_MICROLAMPORTS) if paid else 0

    async def prepare(
        self, instructions: Sequence[Instruction], payer: Signer, signers: Iterable[Signer] = ()
    ) -> SignedTransaction:
        """Sign a transaction. Nothing is sent: persist it, then :meth:`broadcast` it."""
        return sign_all(instructions, payer, signers, await self.recent())

    async def rehearse(self, raw: bytes) -> None:
        """Let a node run signed bytes without effect; they are not sent.

        :raises ProgramRefused: they would fail now.
        """
        options = {"encoding": "base64", "commitment": self.chain.commitment}
        reply = value_of(await self.ask("simulateTransaction", base64.b64encode(raw).decode(), options))
        if not isinstance(reply, dict) or "err" not in reply:
            raise chain_unexpected("no result of a simulation")
        if reply["err"] is not None:
            raise ProgramRefused(program_number(reply["err"]), error_word(reply["err"]))

    async def broadcast(self, raw: bytes) -> str:
        """Hand signed bytes to the cluster; the signature. Not a word on whether they land.

        :raises ProgramRefused: the node's simulation says that it would fail now. Unless the bytes were
            sent before, nothing has landed.
        :raises EnvironmentFailure: no node took it; it may have arrived all the same.
        """
        signature = _signature_of(raw)
        options = {"encoding": "base64", "preflightCommitment": self.chain.commitment}
        try:
            reply = await self._rpc.call("sendTransaction", base64.b64encode(raw).decode(), options)
        except RpcError as error:
            if isinstance(error.data, dict) and error.data.get("err") == _LANDED_ALREADY:
                return signature
            raise refused(error) from None
        if reply != signature:
            raise chain_unexpected("another signature than the one sent")
        return signature

    async def outcome(
        self, signature: str, last_valid_height: int, *, commitment: str | None = None
    ) -> Outcome:
        """What became of a transaction; asks every configured node before it says ``EXPIRED``.

        :param commitment: how sure the chain must be before it counts; else as configured.
        :raises EnvironmentFailure: no node answers.
        """
        level = _LEVELS[commitment or self.chain.commitment]
        found = await self._status(None, signature, level)
        if found is not None:
            return found
        expired = 0
        for url in self.chain.rpc_urls:
            try:
                height = number_of(await self._ask_at(url, "getBlockHeight", {"commitment": "finalized"}))
                if height > last_valid_height:
                    # asked after the height, so that a landing in between is seen
                    found = await self._status(url, signature, level)
                    expired += 1
            except EnvironmentFailure:
                continue
            if found is not None:
                return found
            if height <= last_valid_height:
                return Outcome(OutcomeKind.PENDING)
        return Outcome(OutcomeKind.EXPIRED if expired else OutcomeKind.PENDING)

    async def _status(self, url: str | None, signature: str, level: int) -> Outcome | None:
        options = {"searchTransactionHistory": True}
        reply = value_of(await self._ask_at(url, "getSignatureStatuses", [signature], options))
        if not isinstance(reply, list) or len(reply) != 1:
            raise chain_unexpected("no signature status")
        status = reply[0]
        if status is None:
            return None
        if not isinstance(status, dict):
            raise chain_unexpected("a signature status that cannot be read")
        if _LEVELS.get(str(status.get("confirmationStatus")), 0) < level:
            return Outcome(OutcomeKind.PENDING)
        error = status.get("err")
        if error is not None:
            return Outcome(OutcomeKind.FAILED, program_number(error), error_word(error))
        return Outcome(OutcomeKind.CONFIRMED)

    async def send_and_confirm(
        self, transaction: SignedTransaction, timeout_s: float = CONFIRM_TIMEOUT_S
    ) -> str:
        """Send, re-send the same bytes, and wait until it is confirmed; the signature.

        :raises ProgramRefused: the chain refused it; nothing has happened.
        :raises EnvironmentFailure: ``transaction_expired`` (nothing has happened), ``transaction_pending``
            (it may still land), or no node answers.
        """
        with trio.move_on_after(timeout_s):
            first = True
            while True:
                await self._send_again(transaction, first=first)
                first = False
                outcome = await self._poll(transaction)
                if outcome.kind is OutcomeKind.CONFIRMED:
                    return transaction.signature
                if outcome.kind is OutcomeKind.FAILED:
                    raise ProgramRefused(outcome.code, outcome.error)
                if outcome.kind is OutcomeKind.EXPIRED:
                    raise EnvironmentFailure(
                        "transaction_expired",
                        "The transaction did not reach the chain in time.",
                        "It can no longer land; no money moved.",
                        "Try again.",
                    )
        raise EnvironmentFailure(
            "transaction_pending",
            f"The transaction was not confirmed within {timeout_s:.0f} s.",
            "It may still land; `cyxwiz wallet history` will show it.",
            "Wait a minute before you try again.",
        )

    async def _send_again(self, transaction: SignedTransaction, *, first: bool) -> None:
        try:
            await self.broadcast(transaction.raw)
        except ProgramRefused:
            # what was sent before may have landed, and the simulation fails because of it
            outcome = await self.outcome(transaction.signature, transaction.last_valid_height)
            if first and outcome.kind is OutcomeKind.PENDING:
                raise

    async def _poll(self, transaction: SignedTransaction) -> Outcome:
        """The outcome, or PENDING when it is time to send again."""
        outcome = Outcome(OutcomeKind.PENDING)
        with trio.move_on_after(RESEND_S):
            while outcome.kind is OutcomeKind.PENDING:
                outcome = await self.outcome(transaction.signature, transaction.last_valid_height)
                if outcome.kind is OutcomeKind.PENDING:
                    await trio.sleep(CONFIRM_POLL_S)
        return outcome


def _signature_of(raw: bytes) -> str:
    try:
        signature = VersionedTransaction.from_bytes(raw).signatures[0]
    except (ValueError, IndexError):
        raise Bug("broadcast of bytes that are no transaction") from None
    if signature == Signature.default():
        raise Bug("broadcast of a transaction that is not signed")
    return str(signature)
