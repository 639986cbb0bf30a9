"""The end of a job between buyer and coordinator: receipt, cancellation, countersignature."""

from __future__ import annotations

import math

from coordinator.domain.metering import used_seconds, used_units
from coordinator.domain.reasons import Reason
from coordinator.service.checks import check_signed
from coordinator.service.claims import settle_instead
from coordinator.service.context import Context
from coordinator.service.dispatcher import Dispatcher
from coordinator.service.effects import Boundary
from coordinator.service.orders import own_job
from coordinator.service.views import job_view
from coordinator.store import jobs, outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow, JobRow, LoginRow
from p2p.chain.keys import to_pubkey, verify
from p2p.chain.settlement import SettleMessage
from p2p.chain.transaction import assemble, parse_message, required_signers
from p2p.core.agreement import cancelled_hash
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import JobId, Wallet, parse_wallet
from p2p.core.limits import HEARTBEAT_S, LEASE_S
from p2p.core.messages.jobs import (
    CountersignRequest,
    JobRef,
    JobView,
    Receipt,
    ReceiptRequest,
    SettleOffer,
)
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import JobState
from p2p.net.identity import verify_peer_signature
from p2p.wire.codec import decode


class Settlement:
    """``job.receipt``, ``job.countersign``, ``job.cancel``."""

    def __init__(self, context: Context, dispatcher: Dispatcher) -> None:
        self._context = context
        self._dispatcher = dispatcher

    # -- receipt

    async def receipt(self, login: LoginRow, request: ReceiptRequest) -> SettleOffer:
        """Complete the job and offer its settlement. Asked again, it offers again, on a fresh blockhash.

        :raises Refused: the receipt does not fit the result, or there is nothing to settle.
        """
        actor = parse_wallet(request.signer)
        to_pubkey(actor)
        job = await self._context.run(lambda tx: self._complete(tx, login, request))
        await self._context.effect(Boundary.RECEIPT_KEPT)
        self._context.events.post(job.buyer)
        self._context.dispatch.set()
        return await self._offer(job, actor)

    def _complete(self, tx: Tx, login: LoginRow, request: ReceiptRequest) -> JobRow:
        job = own_job(login, jobs.lock(tx, request.job_id))
        if request.receipt is None or job.status is not JobState.DELIVERING:
            if job.status in (JobState.COMPLETED, JobState.CANCELLED, JobState.SETTLED, JobState.REFUNDED):
                return job
            raise Refused(
                "nothing_to_settle",
                f"The job is {job.state}: there is nothing to settle yet.",
                "Nothing was paid.",
            )
        now_s = self._context.now_s()
        statement = jobs.statement_of(tx, job)
        if statement is None:
            raise Refused("nothing_to_settle", "The node's result statement is not here yet.")
        result_hash = statement_hash(Domain.RESULT, statement.payload)
        _check_receipt(login, job, request.receipt, result_hash)
        tx.execute(
            "jobs.put_receipt",
            job_id=job.job_id,
            epoch=job.epoch,
            payload=request.receipt.payload,
            signer=request.receipt.signer,
            signature=request.receipt.signature,
            now_s=now_s,
        )
        done = jobs.move(tx, job, JobState.COMPLETED, Reason.RECEIVED.value, now_s)
        settle_instead(tx, done, done.used_units, result_hash, now_s)
        return done

    async def _offer(self, job: JobRow, actor: Wallet) -> SettleOffer:
        """The message to countersign; empty when the verdict is a refund, or is on its way."""
        action = await self._context.run(lambda tx: outbox.verdict_of(tx, job.job_id))
        if action is None or action.kind != outbox.SETTLE or action.state != "waiting":
            return await self._context.run(lambda tx: self._reply(tx, job, action, b""))
        await self._check_actor(job, actor)
        built = await self._build(job, action, actor)

        def keep(tx: Tx) -> SettleOffer:
            kept = tx.one_as(
                ActionRow,
                "outbox.offer",
                action_id=action.action_id,
                message=built.message,
                last_valid_height=built.last_valid_height,
                actor=actor,
                used_units=action.used_units,
                result_hash=action.result_hash,
                now_s=self._context.now_s(),
            )
            # Countersigned meanwhile by another of the buyer's calls: nothing to sign any more.
            return self._reply(tx, job, action, built.message if kept else b"")

        offer = await self._context.run(keep)
        await self._context.effect(Boundary.OFFER_KEPT)
        return offer

    async def _check_actor(self, job: JobRow, actor: Wallet) -> None:
        if actor == job.buyer:
            return
        session = await self._context.chain.session(Wallet(job.buyer), actor)
        if session is None:
            raise Refused(
                "unknown_session",
                "The key that wants to sign is neither the buyer's wallet nor a session key of it.",
                "Nothing was paid.",
                "Log in again, so that the wallet authorises this engine's session key.",
            )

    async def _build(self, job: JobRow, action: ActionRow, actor: Wallet) -> SettleMessage:
        chain = self._context.chain
        owner, job_id = Wallet(job.buyer), JobId(job.job_id)
        on_chain = await chain.existing_job(owner, job_id)
        if on_chain.node != job.node_wallet:
            raise EnvironmentFailure(
                "assign_pending",
                "The chain does not yet know which node did the work.",
                "Nothing is lost; the settlement follows.",
                "Ask again in a moment.",
            )
        self._context.keyring.signer(on_chain.coordinator)  # says so now if it cannot be signed later
        terms = await chain.settle_terms(
            owner,
            job_id,
            used_units=action.used_units or 0,
            result_hash=action.result_hash or b"",
            actor=actor,
        )
        return await chain.build_settle(terms)

    def _reply(self, tx: Tx, job: JobRow, action: ActionRow | None, message: bytes) -> SettleOffer:
        fresh = jobs.find(tx, job.job_id) or job
        return SettleOffer(
            message=message,
            used_units=fresh.used_units,
            result_hash=(action.result_hash if action else None) or b"",
            view=job_view(tx, fresh, self._context.now_s()),
        )

    # -- countersignature

    async def countersign(self, login: LoginRow, request: CountersignRequest) -> JobView:
        """Take the buyer's signature over the message offered, and send it. Idempotent.

        :raises Refused: ``offer_changed``: the message is not the one offered last.
        """

        def work(tx: Tx) -> JobView:
            job = own_job(login, jobs.lock(tx, request.job_id))
            rows = tx.all_as(ActionRow, "outbox.of_job", job_id=job.job_id)
            action = next((row for row in reversed(rows) if row.kind == outbox.SETTLE), None)
            if action is None or action.message != request.message:
                raise _offer_changed()
            if action.state == "waiting":
                self._sign(tx, action, request.signature)
            return job_view(tx, job, self._context.now_s())

        view = await self._context.run(work)
        await self._context.effect(Boundary.COUNTERSIGNED)
        self._context.settle.set()
        return view

    def _sign(self, tx: Tx, action: ActionRow, signature: bytes) -> None:
        if action.actor is None or action.message is None or action.last_valid_height is None:
            raise _offer_changed()
        actor = Wallet(action.actor)
        if not verify(actor, action.message, signature):
            raise Refused("bad_signature", "The countersignature is not that of the key named before.")
        # not the present coordinator's signature is wanted, but that of the one that the message names
        named = required_signers(parse_message(action.message))
        coordinator = next(each for each in named if each != actor)
        signer = self._context.keyring.signer(coordinator)
        both = {signer.address: signer.sign(action.message), actor: signature}
        signed = assemble(action.message, both, action.last_valid_height)
        tx.execute(
            "outbox.signed",
            action_ids=[action.action_id],
            signed_bytes=signed.raw,
            signature=signed.signature,
            last_valid_height=signed.last_valid_height,
            now_s=self._context.now_s(),
        )

    # -- cancellation

    async def cancel(self, login: LoginRow, request: JobRef) -> SettleOffer:
        """Stop a job. What ran is paid for, the rest goes back; ask ``job.receipt`` for what to countersign.

        :raises Refused: it has ended, or its results are being delivered.
        """

        def work(tx: Tx) -> tuple[JobRow, JobRow]:
            before = own_job(login, jobs.lock(tx, request.job_id))
            if before.status in (JobState.CANCELLED, JobState.REFUNDED):
                return before, before
            if before.status is JobState.DELIVERING:
                raise Refused(
                    "too_late_to_cancel",
                    "The script has ended with success; its results are on their way.",
                    "The time it ran is paid for when they have arrived.",
                )
            return before, self._cancel(tx, before)

        before, job = await self._context.run(work)
        await self._context.effect(Boundary.CANCEL_KEPT)
        if before.status.is_leased:
            self._dispatcher.stop_soon(before, JobState.CANCELLED.value)
        self._context.events.post(job.buyer)
        self._context.dispatch.set()
        self._context.settle.set()
        action = await self._context.run(lambda tx: outbox.verdict_of(tx, job.job_id))
        return await self._context.run(lambda tx: self._reply(tx, job, action, b""))

    def _cancel(self, tx: Tx, job: JobRow) -> JobRow:
        now_s = self._context.now_s()
        seconds = min(metered_s(job, now_s), _seen_running_s(tx, job, now_s))
        units = used_units(job.rate_units_per_hour or 0, seconds, job.deposit_units)
        tx.execute("jobs.set_used", job_id=job.job_id, used_seconds=seconds, used_units=units)
        moved = jobs.move(tx, job, JobState.CANCELLED, Reason.CANCELLED.value, now_s)
        if units > 0:
            settle_instead(tx, moved, units, cancelled_hash(job.job_id), now_s)
        else:
            outbox.refund(tx, moved, now_s)
        return moved


def metered_s(job: JobRow, now_s: float) -> int:
    """Seconds that a running job has to be paid for now: no further than its node was heard of."""
    if job.status is not JobState.RUNNING or job.running_at_s is None or job.lease_expires_at_s is None:
        return 0
    heard_s = job.lease_expires_at_s - LEASE_S + HEARTBEAT_S
    observed_s = max(0.0, min(now_s, heard_s) - job.running_at_s)
    return max(job.used_seconds, used_seconds(observed_s, observed_s, job.timeout_s))


def _seen_running_s(tx: Tx, job: JobRow, now_s: float) -> int:
    """Seconds since the buyer was told that the job runs: without a result statement no more can be shown."""
    row = tx.row("jobs.running_since", job_id=job.job_id, epoch=job.epoch)
    return math.ceil(max(0.0, now_s - row["at_s"])) if row else 0


def _check_receipt(login: LoginRow, job: JobRow, signed: Signed, result_hash: bytes) -> None:
    check_signed(signed)
    if signed.signer != login.peer_id or not verify_peer_signature(
        login.peer_id, signing_input(Domain.RECEIPT, signed.payload), signed.signature
    ):
        raise UserError("bad_signature", "The receipt is not signed by this engine.")
    receipt = decode(Receipt, signed.payload)
    if receipt.job_id != job.job_id or receipt.epoch != job.epoch or receipt.statement_hash != result_hash:
        raise Refused("receipt_differs", "The receipt is about another result than the node's.")


def _offer_changed() -> Refused:
    return Refused(
        "offer_changed",
        "This is not the settlement that was offered last.",
        "Nothing was sent.",
        "Ask for the settlement again and sign that.",
    )
