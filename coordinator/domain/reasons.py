"""Why a job moved: the codes of event rows, and their words."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """The ``code`` of a job event that is no failure code."""

    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    NODE_REFUSED = "node_refused"
    NODE_UNREACHABLE = "node_unreachable"
    STAGING = "staging"
    RUNNING = "running"
    TOPPED_UP = "topped_up"
    DELIVERING = "delivering"
    RECEIVED = "received"
    CANCELLED = "cancelled"
    SETTLED = "settled"
    FINALIZED = "finalized"
    RESOLVED = "resolved"
    REFUNDED = "refunded"
    RECLAIMED = "reclaimed"
    UNFUNDED = "unfunded"

    @property
    def words(self) -> str:
        """What happened, for a buyer."""
        return _WORDS[self]


_WORDS = {
    Reason.SUBMITTED: "The escrow is open; the job waits for a node.",
    Reason.CLAIMED: "A node was found.",
    Reason.NODE_REFUSED: "The node did not take the job.",
    Reason.NODE_UNREACHABLE: "The node could not be reached.",
    Reason.STAGING: "The node fetches the inputs.",
    Reason.RUNNING: "The script runs.",
    Reason.TOPPED_UP: "The buyer has paid for more time.",
    Reason.DELIVERING: "The script ended with success; the results are on their way.",
    Reason.RECEIVED: "The results arrived and were verified.",
    Reason.CANCELLED: "Cancelled by the buyer.",
    Reason.SETTLED: "Node and platform were paid; the rest went back to the buyer.",
    Reason.FINALIZED: "The review window ended without the buyer's signature: node and platform were paid.",
    Reason.RESOLVED: "The arbiter has decided the dispute: what was decided is paid, the rest went back.",
    Reason.REFUNDED: "Everything went back to the buyer.",
    Reason.RECLAIMED: "The buyer took the deposit back after the deadline.",
    Reason.UNFUNDED: "The escrow never became final on the chain: nothing was taken, nothing is paid.",
}
