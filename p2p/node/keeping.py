"""How long the outputs of an attempt are kept: a while for the buyer, and through a dispute to its end."""

from __future__ import annotations

from p2p.core.limits import DISPUTE_KEEP_SLACK_S, OUTPUTS_KEPT_S
from p2p.core.messages.disputes import DisputeNotice
from p2p.core.states import DisputeState
from p2p.store.node import JobRecord
from p2p.wire.codec import decode


def dispute_of(record: JobRecord) -> DisputeNotice | None:
    """What the coordinator last said of a dispute about this attempt."""
    return None if record.dispute is None else decode(DisputeNotice, record.dispute)


def is_disputed(record: JobRecord) -> bool:
    """Whether the arbiter has still to decide, as far as is known here."""
    found = dispute_of(record)
    return found is not None and found.state is DisputeState.OPEN


def kept_until_s(record: JobRecord) -> float:
    """Until when outputs are kept if nobody says that they are not needed any more."""
    finished_at_s = record.finished_at_s or record.updated_at_s
    until_s = finished_at_s + OUTPUTS_KEPT_S
    found = dispute_of(record)
    if found is not None and found.state is DisputeState.OPEN:
        return max(until_s, found.keep_until_s + DISPUTE_KEEP_SLACK_S)
    return until_s
