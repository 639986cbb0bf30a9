"""What the arbiter's wallet signs: the decision of a disputed claim, here or at another machine."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from solders.instruction import Instruction
from solders.signature import Signature

from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.browser.explain import plain_amount
from p2p.chain.browser.operations import check_cluster, transactions_request
from p2p.chain.browser.request import SignTransactions
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import SIGNATURE_BYTES
from p2p.chain.settlement import SettleMessage
from p2p.chain.transaction import build_message
from p2p.core.errors import Refused, UserError
from p2p.core.ids import JobId, Wallet

_UNSIGNED = "Nothing was signed, and no money moved."


def resolve_request(chain: EscrowClient, job: OnChainJob, used_units: int) -> SignTransactions:
    """Pay ``used_units`` of what was claimed, and give the rest back; for the job's own arbiter."""

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [await _resolve(chain, signer, job.owner, job.job_id, used_units)]

    asset = chain.asset_of(job)
    paid, claimed = plain_amount(used_units, asset), plain_amount(job.used_units, asset)
    return transactions_request(
        chain,
        f"Dispute about job {job.job_id[:8]}: pay {paid} of the {claimed} claimed",
        make,
        wallet=job.arbiter,
        done="The dispute is decided",
    )


async def resolve_message(chain: EscrowClient, job: OnChainJob, used_units: int) -> SettleMessage:
    """The same as a message, to be signed elsewhere by the job's arbiter within the life of its blockhash."""
    await check_cluster(chain)
    recent = await chain.recent()
    instruction = await _resolve(chain, job.arbiter, job.owner, job.job_id, used_units)
    return SettleMessage(build_message([instruction], job.arbiter, recent), recent.last_valid_height)


async def _resolve(
    chain: EscrowClient, signer: Wallet, owner: Wallet, job_id: JobId, used_units: int
) -> Instruction:
    job = check_resolvable(await chain.existing_job(owner, job_id), used_units)
    if signer != job.arbiter:
        raise Refused(
            "not_the_arbiter",
            f"The arbiter of this job is {job.arbiter}, and not {signer}.",
            _UNSIGNED,
            "Use the wallet of the arbiter; an open job keeps the one that it was opened with.",
        )
    assert job.node is not None  # a claim names its node
    asset = chain.asset_of(job)
    return chain.build.resolve(
        signer, owner, job_id, asset, node=job.node, fee_owner=job.fee_owner, used_units=used_units
    )


def check_resolvable(job: OnChainJob, used_units: int) -> OnChainJob:
    """The job, if the arbiter can decide that much now.

    :raises Refused: ``already_final``, ``not_disputed`` or ``used_too_much``.
    """
    if job.status.final:
        raise Refused(
            "already_final",
            f"Job {job.job_id} has ended on the chain: {job.status.name.lower()}.",
            _UNSIGNED,
            "`cyxwiz-coordinator dispute show` tells how.",
        )
    if job.status is not JobStatus.DISPUTED:
        raise Refused("not_disputed", f"No claim of job {job.job_id} is disputed on the chain.", _UNSIGNED)
    if not 0 <= used_units <= job.used_units:
        raise Refused(
            "used_too_much",
            "More cannot be paid than was claimed.",
            _UNSIGNED,
            "`--pay-all` pays all that was claimed.",
        )
    return job


def parse_signature(text: str) -> bytes:
    """A signature as wallets and tools print it: base58, or base64.

    :raises UserError: it is neither.
    """
    text = text.strip()
    try:
        return bytes(Signature.from_string(text))
    except ValueError:
        pass
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != SIGNATURE_BYTES:
        raise UserError("bad_signature", f"{text[:100]!r} is no signature.", "Nothing was sent.")
    return found
