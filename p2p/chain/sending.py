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

from p2p.chain.errors import NotTaken, ProgramRefused, chain_unexpected, error_word, program_number
from p2p.chain.keys import Signer
from p2p.chain.outcomes import ChainOutcomes
from p2p.chain.rpc import RpcError, number_of, refused, value_of
from p2p.chain.transaction import Outcome, OutcomeKind, Recent, SignedTransaction, sign_all, signature_of
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import CONFIRM_POLL_S, CONFIRM_TIMEOUT_S, PRIORITY_FEE_MAX_MICROLAMPORTS, RESEND_S
from p2p.core.money import Asset

_LANDED_ALREADY = "AlreadyProcessed"
_BLOCKHASH_UNKNOWN = "BlockhashNotFound"


class ChainSending(ChainOutcomes):
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
        """The upper quartile of what was lately paid per compute unit, capped.

        Asked for accounts that deposits and withdrawals write: a fee buys a place in the queue for these,
        and nobody writes the program itself. Nothing if no node says: without a price a transaction lands
        later or not at all, and costs nothing.
        """
        written = [str(self.addresses.asset(asset)) for asset in Asset]
        try:
            fees = await self.ask("getRecentPrioritizationFees", written)
            rows = fees if isinstance(fees, list) else []
            paid = sorted(number_of(fee.get("prioritizationFee")) for fee in rows if isinstance(fee, dict))
        except EnvironmentFailure:
            return 0
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

        Every node gets them that answers, for one may take them and not send them on.

        :raises ProgramRefused: the nodes' simulation says that it would fail now. Unless the bytes were
            sent before, nothing has landed.
        :raises NotTaken: no node took it, so that it has certainly not arrived.
        :raises EnvironmentFailure: no node said that it took it; it may have arrived all the same.
        """
        signature = signature_of(raw)
        taken = False
        refusals: list[ProgramRefused] = []
        failures: list[EnvironmentFailure] = []
        for url in self._rpc.in_order():
            if taken and self._rpc.is_silent(url):
                continue
            try:
                await self._hand_over(url, raw, signature)
                taken = True
            except EnvironmentFailure as error:
                failures.append(error)
            except ProgramRefused as refusal:
                refusals.append(refusal)
        if taken:
            return signature
        # A node that may have passed it on: the others may have refused it because it has landed.
        unsure = [failure for failure in failures if not isinstance(failure, NotTaken)]
        verdicts = [refusal for refusal in refusals if refusal.detail != _BLOCKHASH_UNKNOWN]
        raise [*unsure, *verdicts, *refusals, *failures][0]

    async def _hand_over(self, url: str, raw: bytes, signature: str) -> None:
        options = {"encoding": "base64", "preflightCommitment": self.chain.commitment}
        encoded = base64.b64encode(raw).decode()
        try:
            reply = await self._rpc.call_one(url, "sendTransaction", encoded, options)
        except RpcError as error:
            if isinstance(error.data, dict) and error.data.get("err") == _LANDED_ALREADY:
                return
            raise refused(error) from None
        if reply != signature:
            raise chain_unexpected("another signature than the one sent")

    async def send_and_confirm(
        self, transaction: SignedTransaction, timeout_s: float = CONFIRM_TIMEOUT_S
    ) -> str:
        """Send, re-send the same bytes, and wait until it is confirmed; the signature.

        :raises ProgramRefused: the chain refused it; nothing has happened.
        :raises NotTaken: no node could be reached; nothing has happened.
        :raises EnvironmentFailure: ``transaction_expired`` (nothing has happened) or ``transaction_pending``
            (it may still land).
        """
        trouble: EnvironmentFailure | None = None
        first = True
        with trio.move_on_after(timeout_s):
            while True:
                try:
                    await self._send_again(transaction, first=first)
                except EnvironmentFailure as error:
                    if first and isinstance(error, NotTaken):
                        raise
                    trouble = error  # it may have arrived all the same
                first = False
                found = await self._poll(transaction)
                if isinstance(found, EnvironmentFailure):
                    trouble = found
                elif self._is_confirmed(found):
                    return transaction.signature
        detail = "" if trouble is None else f" ({trouble.what.rstrip('.')})"
        raise EnvironmentFailure(
            "transaction_pending",
            f"The transaction was not confirmed within {timeout_s:.0f} s{detail}.",
            "It may still land; `cyxwiz wallet history` will show it.",
            "Wait a minute before you try again.",
        )

    @staticmethod
    def _is_confirmed(outcome: Outcome) -> bool:
        """Whether it has landed; raises if it never will."""
        if outcome.kind is OutcomeKind.FAILED:
            raise ProgramRefused(outcome.code, outcome.error)
        if outcome.kind is OutcomeKind.EXPIRED:
            raise EnvironmentFailure(
                "transaction_expired",
                "The transaction did not reach the chain in time.",
                "It can no longer land; no money moved.",
                "Try again.",
            )
        return outcome.kind is OutcomeKind.CONFIRMED

    async def _send_again(self, transaction: SignedTransaction, *, first: bool) -> None:
        try:
            await self.broadcast(transaction.raw)
        except ProgramRefused as refusal:
            if refusal.detail == _BLOCKHASH_UNKNOWN:
                return  # no verdict: the outcome says whether it has expired
            # what was sent before may have landed, and the simulation fails because of it
            outcome = await self.outcome(transaction.signature, transaction.last_valid_height)
            if first and outcome.kind is OutcomeKind.PENDING:
                raise

    async def _poll(self, transaction: SignedTransaction) -> Outcome | EnvironmentFailure:
        """The outcome; when it is time to send again: PENDING, or why there is none."""
        again_at = trio.current_time() + RESEND_S
        while True:
            found: Outcome | EnvironmentFailure
            try:
                found = await self.outcome(transaction.signature, transaction.last_valid_height)
            except EnvironmentFailure as error:
                found = error
            waits = isinstance(found, EnvironmentFailure) or found.kind is OutcomeKind.PENDING
            if not waits or trio.current_time() >= again_at:
                return found
            await trio.sleep(CONFIRM_POLL_S)
