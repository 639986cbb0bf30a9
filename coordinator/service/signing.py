"""The instructions of the outbox's actions, once the chain lets them be done."""

from __future__ import annotations

from coordinator.service.context import Context
from coordinator.store import outbox
from coordinator.store.records import ActionRow
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.instructions import Step
from p2p.core.errors import Bug, EnvironmentFailure
from p2p.core.ids import Wallet
from p2p.core.limits import CLOSE_AGAIN_S, FINALIZE_LOOK_S


class NotDue(Exception):
    """The chain does not allow the action yet, or is not sure yet; look again after ``wait_s``."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class TooLate(Exception):
    """The chain never allows the action any more."""


async def step(context: Context, action: ActionRow, on_chain: OnChainJob) -> Step:
    """What to sign for an action. The coordinator that the job was opened under alone signs it.

    :raises NotDue: its time has not come.
    :raises TooLate: its time is over.
    :raises EnvironmentFailure: (also) the key of the job's coordinator is not here.
    """
    if action.kind in (outbox.ASSIGN, outbox.REFUND, outbox.CLAIM):
        context.keyring.signer(on_chain.coordinator)
    build, signer = context.chain.build, on_chain.coordinator
    owner, job_id, asset = on_chain.owner, on_chain.job_id, context.chain.asset_of(on_chain)
    match action.kind:
        case outbox.ASSIGN:
            node = Wallet(action.node_wallet or "")
            return build.assign(signer, owner, job_id, asset, node, on_chain.fee_owner)
        case outbox.REFUND:
            return build.refund(signer, owner, job_id, asset)
        case outbox.CLAIM:
            await _check_claim(context, action, on_chain)
            return build.claim(signer, owner, job_id, action.used_units or 0, action.result_hash or b"")
        case outbox.FINALIZE:
            node = await _check_finalize(context, on_chain)
            return build.finalize(owner, job_id, asset, node, on_chain.fee_owner)
        case outbox.CLOSE:
            if not on_chain.status.final:
                raise NotDue(CLOSE_AGAIN_S)  # a node that is behind: it has ended here
            return build.close(owner, job_id, on_chain.rent_payer)
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


async def _check_finalize(context: Context, on_chain: OnChainJob) -> Wallet:
    """Whom it pays."""
    if on_chain.status is not JobStatus.CLAIMED or on_chain.node is None:
        raise NotDue(FINALIZE_LOOK_S)  # disputed: the arbiter decides
    left_s = on_chain.review_ends_at_s - await context.chain.chain_time_s()
    if left_s > 0:
        raise NotDue(min(left_s, FINALIZE_LOOK_S))
    return on_chain.node
