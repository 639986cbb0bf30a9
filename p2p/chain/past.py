"""What became of a job whose account was closed: read from the transactions about it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.pubkey import Pubkey

from p2p.chain.accounts import JobStatus
from p2p.chain.calls import Call, asset_of_call, calls_in, mentions_of
from p2p.chain.errors import chain_unexpected
from p2p.chain.instructions import Tag
from p2p.core.ids import JobId
from p2p.core.limits import HISTORY_ENTRIES_MAX
from p2p.core.money import Asset

if TYPE_CHECKING:
    from p2p.chain.sending import ChainSending

_ENDS = {
    Tag.SETTLE: JobStatus.SETTLED,
    Tag.FINALIZE: JobStatus.FINALIZED,
    Tag.RESOLVE: JobStatus.RESOLVED,
    Tag.REFUND: JobStatus.REFUNDED,
    Tag.CANCEL: JobStatus.CANCELLED,
    Tag.RECLAIM: JobStatus.RECLAIMED,
}
_RETURNED = (JobStatus.REFUNDED, JobStatus.CANCELLED, JobStatus.RECLAIMED)


@dataclass(frozen=True, slots=True)
class PastJob:
    """An ended job.

    ``signature``: of the transaction that ended it. ``opening``: of that which opened it, under a fee that
    :class:`p2p.chain.fees.FeeHistory` finds.
    """

    job_id: JobId
    asset: Asset
    status: JobStatus
    deposit_units: int
    used_units: int
    result_hash: bytes
    signature: str
    opening: str


async def read_past_job(chain: ChainSending, address: Pubkey) -> PastJob | None:
    """The job that had its account at ``address``; nothing if there never was one, or it has not ended.

    :raises EnvironmentFailure: the chain cannot be reached, or has forgotten how the job was opened.
    """
    rows = await mentions_of(chain, str(address), HISTORY_ENTRIES_MAX)
    if len(rows) == HISTORY_ENTRIES_MAX:  # anybody may name it; not all are read in vain
        raise chain_unexpected(f"too many transactions name the job at {address}")
    named = [mention.signature for mention in reversed(rows) if not mention.failed]
    calls = [call for signature in named for call in await calls_in(chain, signature)]
    mine = [call for call in calls if call.job == address]
    ending = next((call for call in reversed(mine) if call.tag in _ENDS), None)
    if ending is None:
        return None
    opening = next((call for call in mine if call.tag is Tag.OPEN), None)
    if opening is None:
        raise chain_unexpected(f"no opening of the job at {address} in its history")
    asset = asset_of_call(chain, opening)
    if asset is None:
        raise chain_unexpected("a job in an unknown token")
    status = _ENDS[ending.tag]
    used, result_hash = (0, bytes(32)) if status in _RETURNED else _verdict(mine)
    added = sum(struct.unpack_from("<Q", call.data, 1)[0] for call in mine if call.tag is Tag.TOP_UP)
    deposit = struct.unpack_from("<Q", opening.data, 17)[0] + added
    return PastJob(
        JobId(opening.data[1:17].hex()),
        asset,
        status,
        deposit,
        used,
        result_hash,
        ending.signature,
        opening.signature,
    )


def _verdict(calls: list[Call]) -> tuple[int, bytes]:
    """What was paid for, and the result: as claimed, settled or resolved last."""
    used, result_hash = 0, bytes(32)
    for call in calls:
        if call.tag in (Tag.CLAIM, Tag.SETTLE):
            used, result_hash = struct.unpack_from("<Q", call.data, 1)[0], call.data[9:41]
        elif call.tag is Tag.RESOLVE:
            used = struct.unpack_from("<Q", call.data, 1)[0]
    return used, result_hash
