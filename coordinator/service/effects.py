"""The boundaries between two effects of the coordinator, on database, chain or a peer, numbered for ever.

The process may die at any of them, and nothing is lost or doubled by it: the tests end it at every one of
this list. There is no other way to mark one than by naming it here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

from coordinator.store.records import ActionRow

_TAKEN = "a worker has the action to itself", "it is signed, or its bytes are looked for"
_SIGNED = "its transaction is signed", "the bytes are stored"
_STORED = "the bytes are stored", "they are sent"
_SENT = "a node of the chain has taken the bytes", "it is known what became of them"
_LANDED = "it is final on the chain", "that is written down"
_DONE = "it is written down that the action is done", "anybody is told"


class Boundary(Enum):
    """Its number, the effect that it comes after, and the one that it comes before."""

    LEDGER_READ = 1, "what moved on the chain is read", "it is posted to the ledger"
    LEDGER_POSTED = 2, "it is posted to the ledger", "whoever asked is answered"
    ESCROW_SEEN = 3, "the escrow of a submitted job is seen on the chain", "the job is queued"
    JOB_QUEUED = 4, "the job is queued", "its buyer is answered"
    JOB_CLAIMED = 5, "a job is claimed for a slot, and its Assign wanted", "the node is told"
    NODE_TOLD = 6, "the node has answered", "anything is made of the answer"
    REPORT_KEPT = 7, "what a node reports is written down", "the node is answered"
    RECEIPT_KEPT = 8, "a receipt is written down, and its settlement wanted", "a message to sign is built"
    OFFER_KEPT = 9, "the message to countersign is written down", "the buyer has it"
    COUNTERSIGNED = 10, "the bytes that both have signed are stored", "the buyer is answered"
    CANCEL_KEPT = 11, "a cancellation is written down, and its verdict wanted", "node and buyer are told"
    CLAIM_WANTED = 12, "a Claim is wanted", "it is signed"
    FINALIZE_WANTED = 13, "a Finalize is wanted in place of a settlement", "it is signed"
    SPONSORED = 14, "a fee that is to be paid for a buyer is counted", "the buyer has the signature"
    EXTENDED = 15, "the longer limit of a job is written down", "its buyer is answered"

    ASSIGN_TAKEN = 20, *_TAKEN
    ASSIGN_SIGNED = 21, *_SIGNED
    ASSIGN_STORED = 22, *_STORED
    ASSIGN_SENT = 23, *_SENT
    ASSIGN_LANDED = 24, *_LANDED
    ASSIGN_DONE = 25, *_DONE
    # what both sides sign is stored at COUNTERSIGNED
    SETTLE_TAKEN = 30, *_TAKEN
    SETTLE_SENT = 33, *_SENT
    SETTLE_LANDED = 34, *_LANDED
    SETTLE_DONE = 35, *_DONE
    REFUND_TAKEN = 40, *_TAKEN
    REFUND_SIGNED = 41, *_SIGNED
    REFUND_STORED = 42, *_STORED
    REFUND_SENT = 43, *_SENT
    REFUND_LANDED = 44, *_LANDED
    REFUND_DONE = 45, *_DONE
    CLAIM_TAKEN = 50, *_TAKEN
    CLAIM_SIGNED = 51, *_SIGNED
    CLAIM_STORED = 52, *_STORED
    CLAIM_SENT = 53, *_SENT
    CLAIM_LANDED = 54, *_LANDED
    CLAIM_DONE = 55, *_DONE
    FINALIZE_TAKEN = 60, *_TAKEN
    FINALIZE_SIGNED = 61, *_SIGNED
    FINALIZE_STORED = 62, *_STORED
    FINALIZE_SENT = 63, *_SENT
    FINALIZE_LANDED = 64, *_LANDED
    FINALIZE_DONE = 65, *_DONE
    CLOSE_TAKEN = 70, *_TAKEN
    CLOSE_SIGNED = 71, *_SIGNED
    CLOSE_STORED = 72, *_STORED
    CLOSE_SENT = 73, *_SENT
    CLOSE_LANDED = 74, *_LANDED
    CLOSE_DONE = 75, *_DONE

    def __init__(self, number: int, after: str, before: str) -> None:
        self.number = number
        self.after = after
        self.before = before

    @property
    def step(self) -> str:
        """Of a chain action: how far it is, whatever its kind; such as ``stored``."""
        return self.name.rpartition("_")[2].lower()


def of_action(action: ActionRow, step: str) -> Boundary:
    """The boundary after a step of a chain action."""
    return Boundary[f"{action.kind}_{step}".upper()]


Effect = Callable[[Boundary], Awaitable[None]]
"""Called at each boundary; a test ends the process there."""


async def no_effect(_: Boundary) -> None:
    """The :data:`Effect` of production."""
