"""The life of a job, and of a dispute about its claim: each one enum, one transition table."""

from __future__ import annotations

from enum import Enum

from p2p.core.errors import Refused


class JobState(Enum):
    """Where a job is. The comments name who causes the way into each state."""

    QUEUED = "queued"  # buyer: escrow seen on chain; coordinator: a lease was lost
    ASSIGNED = "assigned"  # coordinator: claimed for a node under a new epoch
    STAGING = "staging"  # node: pulls inputs and installs requirements
    RUNNING = "running"  # node: the script has started; this time is paid
    DELIVERING = "delivering"  # node: exited with 0, result statement signed
    COMPLETED = "completed"  # buyer: verified every chunk and signed the receipt
    SETTLED = "settled"  # chain: node and platform paid, the rest back
    FAILED = "failed"  # node or coordinator: ended without success
    CANCELLED = "cancelled"  # buyer
    REFUNDED = "refunded"  # chain: everything back to the buyer

    @property
    def is_leased(self) -> bool:
        """A node holds a lease in this state and loses it by silence."""
        return self in _LEASED

    @property
    def is_over(self) -> bool:
        """No work will be done any more; the money may still be on its way."""
        return self in _OVER

    @property
    def is_final(self) -> bool:
        """Nothing will change any more."""
        return not TRANSITIONS[self]


_S = JobState
_LEASED = frozenset({_S.ASSIGNED, _S.STAGING, _S.RUNNING, _S.DELIVERING})
_OVER = frozenset({_S.COMPLETED, _S.SETTLED, _S.FAILED, _S.CANCELLED, _S.REFUNDED})

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.ASSIGNED, _S.CANCELLED, _S.FAILED}),
    _S.ASSIGNED: frozenset({_S.STAGING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.STAGING: frozenset({_S.RUNNING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.DELIVERING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    # Settled without a receipt: the buyer stayed silent through the whole review window of a claim.
    _S.DELIVERING: frozenset({_S.COMPLETED, _S.SETTLED, _S.QUEUED, _S.FAILED}),
    _S.COMPLETED: frozenset({_S.SETTLED, _S.REFUNDED}),
    _S.FAILED: frozenset({_S.REFUNDED}),
    _S.CANCELLED: frozenset({_S.SETTLED, _S.REFUNDED}),
    _S.SETTLED: frozenset(),
    _S.REFUNDED: frozenset(),
}


def check_transition(old: JobState, new: JobState) -> None:
    """Allow ``old → new`` or say why not.

    :raises Refused: the table does not have it.
    """
    if new not in TRANSITIONS[old]:
        raise Refused("bad_transition", f"A job that is {old.value} cannot become {new.value}.")


class DisputeState(Enum):
    """Where a dispute is. All but the first are final."""

    OPEN = "open"
    RESOLVED = "resolved"  # the arbiter decided
    WITHDRAWN = "withdrawn"  # buyer and coordinator settled after all
    CONCEDED = "conceded"  # node or coordinator gave everything back
    EXPIRED = "expired"  # nobody decided in time, and the deposit was reclaimed

    @property
    def is_final(self) -> bool:
        return not DISPUTE_TRANSITIONS[self]


_D = DisputeState
DISPUTE_TRANSITIONS: dict[DisputeState, frozenset[DisputeState]] = {
    _D.OPEN: frozenset({_D.RESOLVED, _D.WITHDRAWN, _D.CONCEDED, _D.EXPIRED}),
    _D.RESOLVED: frozenset(),
    _D.WITHDRAWN: frozenset(),
    _D.CONCEDED: frozenset(),
    _D.EXPIRED: frozenset(),
}


def check_dispute_step(old: DisputeState, new: DisputeState) -> None:
    """Allow ``old → new``.

    :raises Refused: the table does not have it.
    """
    if new not in DISPUTE_TRANSITIONS[old]:
        raise Refused("bad_transition", f"A dispute that is {old.value} cannot become {new.value}.")


class FailureCode(Enum):
    """Why an attempt or a job ended without success; the text a buyer reads is in ``words``."""

    SCRIPT_ERROR = "script_error"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    OUTPUT_FULL = "output_full"
    LOG_FLOOD = "log_flood"
    KILLED = "killed"
    REQUIREMENTS = "requirements"
    INPUT = "input"
    NODE = "node"
    NODE_LOST = "node_lost"
    STOPPED = "stopped"
    EXPIRED = "expired"

    @property
    def is_buyers(self) -> bool:
        """Another node would end the same way, so the job is not tried again."""
        return self not in (FailureCode.NODE, FailureCode.NODE_LOST, FailureCode.STOPPED)

    @property
    def words(self) -> str:
        """What happened, for a buyer."""
        return _WORDS[self]


_WORDS = {
    FailureCode.SCRIPT_ERROR: "The script ended with an error.",
    FailureCode.OUT_OF_MEMORY: "The script used more memory than the job has and was stopped.",
    FailureCode.TIMEOUT: "The script ran longer than the job's timeout and was stopped.",
    FailureCode.OUTPUT_FULL: "The script wrote more output than a job may have.",
    FailureCode.LOG_FLOOD: "The script printed faster than a log may grow and was stopped.",
    FailureCode.KILLED: "The script was killed by a signal.",
    FailureCode.REQUIREMENTS: "The requirements could not be installed.",
    FailureCode.INPUT: "The job's inputs could not be fetched or did not match their hashes.",
    FailureCode.NODE: "The node could not run the job.",
    FailureCode.NODE_LOST: "The node went silent.",
    FailureCode.STOPPED: "The node's owner stopped the job.",
    FailureCode.EXPIRED: "The job's time in the escrow was over before it was paid for.",
}
