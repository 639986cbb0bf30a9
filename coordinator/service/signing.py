"""Signing the outbox's actions, once the chain lets them be done."""

from __future__ import annotations

from coordinator.service.context import Context
from coordinator.store import outbox
from coordinator.store.records import ActionRow, JobRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.transaction import SignedTransaction
from p2p.core.errors import Bug, EnvironmentFailure
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import FINALIZE_LOOK_S


class NotDue(Exception):
    """The chain does not allow the action yet; look again after ``wait_s``."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class TooLate(Exception):
    """The chain never allows the action any more."""


async def sign(context: Context, action: ActionRow, job: JobRow, on_chain: OnChainJob) -> SignedTransaction:
    """The action's transaction; nothing is sent.

    :raises NotDue: its time has not come.
    :raises TooLate: its time is over.
    """
    chain, signer = context.chain, context.signer
    owner, job_id = Wallet(job.buyer), JobId(job.job_id)
    if action.kind == outbox.ASSIGN:
        return await chain.prepare_assign(signer, owner, job_id, Wallet(action.node_wallet or ""))
    if action.kind == outbox.REFUND:
        return await chain.prepare_refund(signer, owner, job_id)
    if action.kind == outbox.CLAIM:
        await _check_claim(context, action, on_chain)
        return await chain.prepare_claim(
            signer, owner, job_id, action.used_units or 0, action.result_hash or b""
        )
    if action.kind == outbox.FINALIZE:
        await _check_finalize(context, on_chain)
        return await chain.prepare_finalize(signer, owner, job_id)
    raise Bug(f"an action of kind {action.kind} is to be signed")


async def window_ends_at_s(context: Context, on_chain: OnChainJob) -> float:
    """When a claim's review window ends, by our own clock; the program goes by the chain's."""
    left_s = on_chain.review_ends_at_s - await context.chain.chain_time_s()
    return context.now_s() + max(0, left_s)


async def _check_claim(context: Context, action: ActionRow, on_chain: OnChainJob) -> None:
    if on_chain.node != action.node_wallet:
        raise EnvironmentFailure("assign_pending", "The chain does not yet know which node did the work.")
    if await context.chain.chain_time_s() >= on_chain.deadline_s:
        raise TooLate("the escrow's deadline has passed")


async def _check_finalize(context: Context, on_chain: OnChainJob) -> None:
    if on_chain.status is not JobStatus.CLAIMED:
        raise NotDue(FINALIZE_LOOK_S)  # disputed: the arbiter decides
    left_s = on_chain.review_ends_at_s - await context.chain.chain_time_s()
    if left_s > 0:
        raise NotDue(min(left_s, FINALIZE_LOOK_S))
